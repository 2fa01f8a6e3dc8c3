"""The synchronous server: rounds that wait for every selected client."""

from collections.abc import Generator, Mapping, Sequence
from typing import Any

import simpy

from fl.metrics import METRICS
from fl.rows import EvaluationRow, RoundRow
from fl.server.config import ServerConfig
from fl.server.evaluation import Evaluator
from fl.server.federation import Federation, Progress
from fl.server.participation import Part, client_row, contribution, take_part
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
    """Run one round: select, all parts at once, aggregate, record."""
    env, started_at_s = federation.env, federation.now_s
    timeout_s = federation.server.round_timeout_s
    deadline_at_s = None if timeout_s is None else started_at_s + timeout_s
    client_ids = select_clients(federation, round_id)
    version = federation.state.version
    parts = [
        Part(
            participation_id=federation.new_participation_id(),
            client_id=each,
            round=round_id,
            version=version,
        )
        for each in client_ids
    ]
    broadcasts = _broadcast(federation, parts, timeout_s=timeout_s)
    processes = [
        env.process(take_part(federation, part, deadline_at_s=deadline_at_s, broadcast=broadcast))
        for part, broadcast in zip(parts, broadcasts, strict=True)
    ]
    yield env.all_of(processes)
    _aggregate(federation, parts)
    _record(federation, parts, round_id=round_id, started_at_s=started_at_s)


def _broadcast(
    federation: Federation, parts: Sequence[Part], *, timeout_s: float | None
) -> Sequence[Any]:
    """Start the round's broadcast, one event a part; all ``None`` for unicast."""
    if federation.server.downlink == "unicast" or not parts:
        return [None] * len(parts)
    method = federation.method
    payload = method.download(federation.state, client_id=parts[0].client_id)
    if payload is None:
        return [None] * len(parts)
    return federation.network.broadcast(
        [part.client_id for part in parts],
        payload.size_bytes,
        timeout_s=timeout_s,
        participation_ids=[part.participation_id for part in parts],
    )


def _aggregate(federation: Federation, parts: Sequence[Part]) -> None:
    """Merge what was received; without any update the state stays as it is."""
    merged = [contribution(federation, part) for part in parts if part.is_received]
    received = [item for item in merged if item is not None]
    if received:
        federation.state = federation.method.aggregate(federation.state, received)


def _record(
    federation: Federation, parts: Sequence[Part], *, round_id: int, started_at_s: float
) -> None:
    """Write the rows of a round and add up its bytes."""
    uplink_bytes = sum(part.uplink_bytes for part in parts)
    downlink_bytes = sum(part.downlink_bytes for part in parts)
    federation.uplink_bytes += uplink_bytes
    federation.downlink_bytes += downlink_bytes
    rows = [client_row(part, staleness=0) for part in parts]
    for each in rows:
        federation.roster.end(each.client_id, round_id=round_id, loss=each.train_loss)
    row = RoundRow(
        round=round_id,
        started_at_s=started_at_s,
        finished_at_s=federation.now_s,
        num_selected=len(parts),
        num_received=sum(part.is_received for part in parts),
        num_late=sum(part.outcome.startswith("late") for part in parts),
        num_failed=sum(part.outcome.startswith("dropped") for part in parts),
        uplink_bytes=uplink_bytes,
        downlink_bytes=downlink_bytes,
        energy_j=federation.energy_j(),
        site_energy_j=federation.site_energy_j(),
    )
    federation.recorder.round(row, rows)


def _evaluate(
    federation: Federation, evaluator: Evaluator, *, round_id: int
) -> Mapping[str, float]:
    """Evaluate, record, and give the means that targets are compared with, by metric."""
    rows: list[EvaluationRow] = evaluator.evaluate(round_id)
    for row in rows:
        federation.recorder.evaluation(row)
    return {row.metric: row.mean for row in rows if row.split == federation.server.target_split}


def _is_reached(server: ServerConfig, means: Mapping[str, float]) -> bool:
    """Tell whether every target is reached; none is where the method has no such split."""
    return all(
        name in means
        and (means[name] <= value if METRICS[name].is_lower_better else means[name] >= value)
        for name, value in server.targets.items()
    )


def _tell(federation: Federation, *, round_id: int, means: Mapping[str, float]) -> None:
    metric = federation.metrics[0]
    federation.on_progress(
        Progress(
            round=round_id,
            num_rounds=federation.server.num_rounds,
            at_s=federation.now_s,
            energy_j=federation.energy_j(),
            metric=metric,
            value=means.get(metric),
        )
    )
