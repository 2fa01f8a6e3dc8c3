"""Asking clients for the loss of the present model on their own texts: time, bytes and joules.

Each one that is asked downloads the model that it would train, scores its training texts on its
device and sends one number. All are asked at once. A client that leaves, or whose battery runs out,
ends at that instant what it does, and a crash of the server takes all answers with it.
"""

from collections.abc import Generator, Sequence
from typing import Any

import numpy as np
import simpy

from fl.clients.work import Work
from fl.network import Direction, TransferEvent, TransferOutcome
from fl.payload import Tensors
from fl.server.computing import Computing, begin_computing, end_computing, most_w
from fl.server.federation import Federation
from fl.training.job import EvaluationJob, Start

ANSWER_BYTES = 4
"""One number of single precision."""


def ask_losses(
    federation: Federation, client_ids: Sequence[int], *, timeout_s: float | None = None
) -> Generator[simpy.Event, Any, dict[int, float]]:
    """Ask clients for their mean losses, in simulated time; gives those that answered, by client.

    Parameters
    ----------
    federation
        The run.
    client_ids
        Whom to ask.
    timeout_s
        Seconds after which nothing more is sent, computed or waited for; ``None``: the network's
        own limits hold.
    """
    now_s = federation.now_s
    deadline_at_s = None if timeout_s is None else now_s + timeout_s
    questions = [_Question(federation, each, deadline_at_s=deadline_at_s) for each in client_ids]
    yield federation.env.all_of([each.done for each in questions])
    for each in questions:
        federation.presence.note_recorded(each)
    return {each.client_id: each.loss() for each in questions if each.is_answered}


class _Question:
    """One client that is asked; it begins when it is made."""

    def __init__(
        self, federation: Federation, client_id: int, *, deadline_at_s: float | None
    ) -> None:
        self.client_id = client_id
        self.is_answered = False
        self._federation = federation
        self._deadline_at_s = deadline_at_s
        self._model: Tensors = {}
        self._transfer: TransferEvent | None = None
        self._computing: Computing | None = None
        self._stopped = federation.env.event()
        self.done: simpy.Event = federation.env.process(self._steps())
        """Fires when it has ended, answered or not."""
        federation.presence.watch(self)

    @property
    def most_w(self) -> float:
        """Power that its client draws at most: computing, and its radio beside it [W]."""
        return most_w(self._federation, self.client_id)

    def unbooked_j(self) -> float:
        """Return what computing has spent so far that is not booked yet."""
        return 0.0 if self._computing is None else self._computing.spent_j(self._now_s)

    def stop(self, outcome: str) -> None:
        """End it at this instant, unanswered. No effect when it has ended or was stopped before."""
        if self.done.triggered or self._stopped.triggered:
            return
        self._stopped.succeed(outcome)
        if self._transfer is not None:
            self._transfer.cancel(outcome)

    def discard(self, outcome: str) -> None:  # outcome as in the Protocol
        """Let the server forget the answer."""
        del outcome
        self.is_answered = False

    def loss(self) -> float:
        """Return the answer: the mean loss of the client's texts [nat], of single precision."""
        federation = self._federation
        job = EvaluationJob(
            model_key=federation.worker.model_key,
            tensors=self._model,
            table="train",
            samples=federation.shards[self.client_id].train,
            batch_size=federation.evaluation_batch_size,
        )
        scores = federation.executor.submit(job).result().scores
        per = scores["tokens"] if "tokens" in scores else scores["texts"]
        return float(np.float32(scores["nats"].sum() / per.sum()))

    def _steps(self) -> Generator[simpy.Event, Any, None]:
        federation, client_id = self._federation, self.client_id
        method, state = federation.method, federation.state
        download = method.download(state, client_id=client_id)
        charged = None if federation.twin is None else federation.twin.charge(client_id)
        if download is not None:
            size_bytes = download.size_bytes
            if charged is not None and charged.download is not None:
                size_bytes = charged.download.size_bytes
            if not (yield from self._send("downlink", size_bytes)):
                return
            federation.informed[client_id] = state.version
        held = federation.personal.of(client_id)
        start = method.start(download, held, version=state.version)
        self._model = start.tensors
        if (yield from self._score(start if charged is None else charged.start)):
            self.is_answered = yield from self._send("uplink", ANSWER_BYTES)

    def _score(self, start: Start) -> Generator[simpy.Event, Any, bool]:
        """Let the seconds of a forward pass over the client's texts go by, and book its joules."""
        federation, left_s = self._federation, self._left_s()
        if self._stopped.triggered:
            return False
        computing = begin_computing(federation, self.client_id, work=self._work(start))
        duration_s = computing.duration_s
        if left_s is not None:
            duration_s = min(duration_s, left_s)
        self._computing = computing
        yield federation.env.timeout(duration_s) | self._stopped
        self._computing = None
        end_computing(federation, computing)
        return self._left_s() != 0.0

    def _work(self, start: Start) -> Work:
        """Return the operations of the pass, texts batched by length as evaluation does."""
        federation = self._federation
        tokens, size = federation.worker.train.tokens, federation.evaluation_batch_size
        samples = federation.shards[self.client_id].train
        order = samples[np.argsort(tokens.lengths[samples], kind="stable")]
        flop = federation.cost.job_flop(
            (),
            batches=[order[at : at + size] for at in range(0, len(order), size)],
            lengths=tokens.lengths,
            answer_lengths=tokens.answer_lengths,
            tensors=start.tensors,
        )
        return Work(flop=flop)

    def _send(self, direction: Direction, size_bytes: int) -> Generator[simpy.Event, Any, bool]:
        """Let a transfer run to its end; gives whether it was delivered."""
        federation, left_s = self._federation, self._left_s()
        if left_s == 0.0 or self._stopped.triggered:
            return False
        transfer = federation.network.send(self.client_id, direction, size_bytes, timeout_s=left_s)
        self._transfer = transfer
        sent: TransferOutcome = yield transfer.event
        self._transfer = None
        if direction == "uplink":
            federation.asked.uplink_bytes += sent.delivered_bytes
        else:
            federation.asked.downlink_bytes += sent.delivered_bytes
        return sent.status == "delivered" and not self._stopped.triggered

    @property
    def _now_s(self) -> float:
        return self._federation.now_s

    def _left_s(self) -> float | None:
        """Return the seconds that are left; ``None`` without a limit."""
        if self._deadline_at_s is None:
            return None
        return max(0.0, self._deadline_at_s - self._now_s)
