"""One client's part in a round: download, compute, upload, in simulated time."""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import simpy

from fl.clients.devices import compute_s
from fl.execution.executor import JobHandle
from fl.methods.base import Contribution
from fl.network import TransferEvent, TransferOutcome
from fl.payload import Payload
from fl.rows import ClientRow
from fl.server.federation import Federation
from fl.training.job import Start, TrainJob, TrainResult


@dataclass(slots=True, kw_only=True)
class Part:
    """What has become of a client's part so far; times are ``None`` until the step has ended."""

    participation_id: int
    client_id: int
    round: int
    version: int
    """Server version that the client works from."""
    outcome: str = "running"
    download_s: float | None = None
    compute_s: float | None = None
    upload_s: float | None = None
    compute_j: float = 0.0
    radio_j: float = 0.0
    uplink_bytes: int = 0
    downlink_bytes: int = 0
    handle: JobHandle[TrainResult] | None = None
    """The job, once its inputs were fixed."""

    @property
    def is_received(self) -> bool:
        """Whether the server has the update (or, without exchange, the client finished)."""
        return self.outcome == "received"


def take_part(
    federation: Federation,
    part: Part,
    *,
    deadline_at_s: float | None,
    broadcast: TransferEvent | None = None,
) -> Generator[simpy.Event, Any, None]:
    """Run a client's part as a SimPy process, filling in ``part``.

    The job's inputs are fixed, and the job is submitted, when the download ends; its result is not
    asked for here. A method that sends nothing makes no transfer.

    Parameters
    ----------
    federation
        The run.
    part
        Record of this part; carries client, round and server version.
    deadline_at_s
        Instant at which the client stops, whatever it does; ``None``: never.
    broadcast
        The client's end of a running broadcast; ``None``: its download is sent here, if any.
    """
    method = federation.method
    download = method.download(federation.state, client_id=part.client_id)
    if download is not None:
        sent = broadcast or federation.network.send(
            part.client_id,
            "downlink",
            download.size_bytes,
            timeout_s=_left_s(federation, deadline_at_s),
            participation_id=part.participation_id,
        )
        outcome = yield sent.event
        part.downlink_bytes += outcome.delivered_bytes
        part.radio_j += outcome.energy_j
        if not _arrived(part, outcome, deadline_at_s):
            return
        part.download_s = outcome.finished_at_s - outcome.requested_at_s
    start = method.start(download, federation.personal_of(part.client_id), version=part.version)
    finished = yield from _compute(federation, part, start, deadline_at_s=deadline_at_s)
    if not finished:
        _drop(part)
        return
    # The shapes of the upload are those of its start: its size is known without the result.
    upload = method.upload({**start.tensors, **start.client_outputs}, version=part.version)
    if upload is not None:
        outcome = yield from _send_up(federation, part, upload, deadline_at_s=deadline_at_s)
        if not _arrived(part, outcome, deadline_at_s):
            _drop(part)
            return
        part.upload_s = outcome.finished_at_s - outcome.requested_at_s
    part.outcome = "received"


def contribution(federation: Federation, part: Part) -> Contribution | None:
    """Give a received part's update for aggregation; ``None`` when the method sends nothing.

    Runs the job if nothing has yet, and keeps the client's personal tensors: they are those of its
    last *delivered* update, so a part that was lost leaves no trace at the client.
    """
    if part.handle is None or not part.is_received:
        msg = f"part: must be received, client {part.client_id} is {part.outcome}"
        raise ValueError(msg)
    result = part.handle.result()
    federation.personal[part.client_id] = federation.method.personal(result.tensors)
    payload = federation.method.upload(result.tensors, version=part.version)
    if payload is None:
        return None
    return Contribution(
        client_id=part.client_id,
        payload=payload,
        num_samples=result.num_samples,
        staleness=federation.state.version - part.version,
    )


def client_row(part: Part, *, staleness: int) -> ClientRow:
    """Give the row of a finished part; the loss is empty unless the update was needed."""
    is_needed = part.is_received and part.handle is not None
    return ClientRow(
        participation_id=part.participation_id,
        round=part.round,
        client_id=part.client_id,
        outcome=part.outcome,
        download_s=part.download_s,
        compute_s=part.compute_s,
        upload_s=part.upload_s,
        compute_j=part.compute_j,
        radio_j=part.radio_j,
        train_loss=part.handle.result().mean_loss if is_needed and part.handle else None,
        staleness=staleness,
    )


def _compute(
    federation: Federation, part: Part, start: Start, *, deadline_at_s: float | None
) -> Generator[simpy.Event, Any, bool]:
    """Submit the job and let its simulated seconds pass; tell whether it finished in time."""
    settings, shard = federation.job_settings, federation.shards[part.client_id]
    device = federation.devices[part.client_id]
    seed = federation.job_seed(part.client_id, part.round)
    plan = federation.procedure.plan(shard.train, seed=seed)
    flop = federation.procedure.flop(plan, start, federation.cost)
    part.handle = federation.executor.submit(
        TrainJob(
            model_key=federation.worker.model_key,
            client_id=part.client_id,
            round=part.round,
            version=part.version,
            start=start,
            samples=shard.train,
            settings=settings,
            seed=seed,
        ),
        flop=flop,
    )
    started_at_s = federation.env.now
    needed_s, left_s = compute_s(flop, device), _left_s(federation, deadline_at_s)
    is_in_time = left_s is None or needed_s <= left_s
    yield federation.env.timeout(needed_s if left_s is None else min(needed_s, left_s))
    federation.network.energy.charge(
        part.client_id,
        "compute",
        started_at_s=started_at_s,
        finished_at_s=federation.env.now,
        power_w=device.compute_w,
    )
    spent_s = federation.env.now - started_at_s
    part.compute_j = spent_s * device.compute_w
    if not is_in_time:
        part.outcome = "late:compute"
        return False
    part.compute_s = spent_s
    return True


def _send_up(
    federation: Federation, part: Part, upload: Payload, *, deadline_at_s: float | None
) -> Generator[simpy.Event, Any, TransferOutcome]:
    sent = federation.network.send(
        part.client_id,
        "uplink",
        upload.size_bytes,
        timeout_s=_left_s(federation, deadline_at_s),
        participation_id=part.participation_id,
    )
    outcome: TransferOutcome = yield sent.event
    part.uplink_bytes += outcome.delivered_bytes
    part.radio_j += outcome.energy_j
    return outcome


def _arrived(part: Part, outcome: TransferOutcome, deadline_at_s: float | None) -> bool:
    """Tell whether a transfer was delivered; note in the part why not."""
    if outcome.status == "delivered":
        return True
    is_late = deadline_at_s is not None and outcome.finished_at_s >= deadline_at_s
    if outcome.status == "timeout" and is_late:
        part.outcome = f"late:{outcome.direction}"
    else:
        part.outcome = f"dropped:{outcome.direction}:{outcome.status}"
    return False


def _drop(part: Part) -> None:
    """Let the job of a lost part never run."""
    if part.handle is not None:
        part.handle.drop()


def _left_s(federation: Federation, deadline_at_s: float | None) -> float | None:
    """Seconds until the deadline, not below 0."""
    return None if deadline_at_s is None else max(0.0, deadline_at_s - federation.env.now)
