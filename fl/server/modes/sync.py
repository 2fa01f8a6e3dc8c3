"""The synchronous server: rounds that wait for every selected client."""

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import simpy

from fl.metrics import METRICS
from fl.network import TransferEvent
from fl.problems import during
from fl.rows import EvaluationRow, RoundRow
from fl.server.config import ServerConfig
from fl.server.evaluation import Evaluator
from fl.server.federation import Federation, Progress
from fl.server.participation import Participation
from fl.server.selection import select_clients


def run_rounds(federation: Federation) -> Generator[simpy.Event, Any, None]:
    """Run all rounds as a SimPy process; ends with the last round or at the targets.

    Rounds count from 1; evaluation 0 is of the untrained models, and where these reach the targets
    already, no round is run. Aggregation and evaluation take no simulated time.
    """
    server, evaluator = federation.server, Evaluator(federation)
    means: Mapping[str, float] = {}
    for round_id in range(server.num_rounds + 1):
        if round_id > 0:
            yield from _round(federation, round_id)
        is_due = round_id % server.evaluate_every == 0 or round_id == server.num_rounds
        if is_due:
            means = _evaluate(federation, evaluator, round_id=round_id)
        _tell(federation, round_id=round_id, means=means)
        # Never by an older evaluation: so the last round of a run is always evaluated.
        if is_due and server.stop_at_targets and _is_reached(federation.server, means):
            return


def _round(federation: Federation, round_id: int) -> Generator[simpy.Event, Any, None]:
    """Run one round: select, all at once, aggregate, record."""
    env, started_at_s = federation.env, federation.now_s
    timeout_s = federation.server.round_timeout_s
    deadline_at_s = None if timeout_s is None else started_at_s + timeout_s
    client_ids = select_clients(federation, round_id)
    ids = [federation.new_participation_id() for _ in client_ids]
    broadcasts = _broadcast(federation, client_ids, participation_ids=ids, timeout_s=timeout_s)
    participations = [
        Participation(
            federation,
            participation_id=participation_id,
            client_id=client_id,
            round_id=round_id,
            deadline_at_s=deadline_at_s,
            broadcast=broadcast,
        )
        for participation_id, client_id, broadcast in zip(ids, client_ids, broadcasts, strict=True)
    ]
    done = [each.done for each in participations]
    if timeout_s is not None:
        yield env.all_of(done) | env.timeout(timeout_s)
        for each in participations:
            each.stop("late")
    yield env.all_of(done)
    _aggregate(federation, participations)
    _record(federation, participations, round_id=round_id, started_at_s=started_at_s)


def _broadcast(
    federation: Federation,
    client_ids: Sequence[int],
    *,
    participation_ids: Sequence[int],
    timeout_s: float | None,
) -> Sequence[TransferEvent | None]:
    """Start the round's broadcast, one event a client; all ``None`` for unicast."""
    if federation.server.downlink == "unicast" or not client_ids:
        return [None] * len(client_ids)
    method = federation.method
    with during("in a broadcast of the server"):
        payload = method.download(federation.state, client_id=client_ids[0])
    if payload is None:
        return [None] * len(client_ids)
    if federation.twin is not None:
        payload = federation.twin.charge(client_ids[0]).download or payload
    return federation.network.broadcast(
        client_ids,
        payload.size_bytes,
        timeout_s=timeout_s,
        participation_ids=participation_ids,
    )


def _aggregate(federation: Federation, participations: Sequence[Participation]) -> None:
    """Merge what was received; without any update the state stays as it is."""
    merged = [each.contribution() for each in participations if each.is_received]
    received = [item for item in merged if item is not None]
    if received:
        with during(f"in round {participations[0].round}, {len(received)} contributions"):
            federation.state = federation.method.aggregate(federation.state, received)
        if federation.twin is not None:
            parts = [each.charged for each in participations if each.is_received]
            charged = [each for each in parts if each is not None]
            federation.twin.aggregate(charged, leader=federation.state)


def _record(
    federation: Federation,
    participations: Sequence[Participation],
    *,
    round_id: int,
    started_at_s: float,
) -> None:
    """Write the rows of a round and add up its bytes."""
    uplink_bytes = sum(each.uplink_bytes for each in participations)
    downlink_bytes = sum(each.downlink_bytes for each in participations)
    federation.uplink_bytes += uplink_bytes
    federation.downlink_bytes += downlink_bytes
    rows = [each.row(staleness=0) for each in participations]
    for row in rows:
        federation.roster.end(row.client_id, round_id=round_id, loss=row.train_loss)
        federation.wasted_j += row.wasted_j
    of_round = RoundRow(
        round=round_id,
        started_at_s=started_at_s,
        finished_at_s=federation.now_s,
        num_selected=len(participations),
        num_received=sum(each.is_received for each in participations),
        num_late=sum(each.outcome.startswith("late") for each in participations),
        num_failed=sum(each.outcome.startswith("dropped") for each in participations),
        uplink_bytes=uplink_bytes,
        downlink_bytes=downlink_bytes,
        energy_j=federation.energy_j(),
        site_energy_j=federation.site_energy_j(),
        wasted_j=federation.wasted_j,
    )
    federation.recorder.round(of_round, rows)


def _evaluate(
    federation: Federation, evaluator: Evaluator, *, round_id: int
) -> Mapping[str, float]:
    """Evaluate, record, and give the means that targets are compared with, by metric."""
    with during(f"in the evaluation after round {round_id}"):
        rows: list[EvaluationRow] = evaluator.evaluate(round_id)
    for row in rows:
        federation.recorder.evaluation(row)
    return {row.metric: row.mean for row in rows if row.split == federation.server.target_split}


def _is_reached(server: ServerConfig, means: Mapping[str, float]) -> bool:
    """Return whether every target is reached; none is where the method has no such split."""
    return all(
        name in means
        and (means[name] <= value if METRICS[name].is_lower_better else means[name] >= value)
        for name, value in server.targets.items()
    )


def _tell(federation: Federation, *, round_id: int, means: Mapping[str, float]) -> None:
    metric = next(iter(federation.metrics), None)
    federation.on_progress(
        Progress(
            round=round_id,
            num_rounds=federation.server.num_rounds,
            at_s=federation.now_s,
            energy_j=federation.energy_j(),
            metric=metric,
            value=None if metric is None else means.get(metric),
        )
    )
