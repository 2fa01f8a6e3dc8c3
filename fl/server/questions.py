"""Asking clients how the present model does on their own texts: time, bytes and joules.

Each one that is asked downloads the model that it would train, scores texts of its own on its
device and sends one number. All are asked at once. A client that leaves, or whose battery runs out,
ends at that instant what it does, and a crash of the server takes all answers with it. An answer
that the policy sees has informed its decision, so what it cost is not in vain; what other questions
cost is.
"""

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import simpy
from jaxtyping import Int

from fl.clients.work import Work
from fl.network import Direction, TransferEvent, TransferOutcome
from fl.payload import Tensors
from fl.rows import QuestionRow
from fl.server.computing import Computing, begin_computing, end_computing, most_w
from fl.server.federation import Federation
from fl.server.presence import LEFT
from fl.training.job import EvaluationJob, Start

ANSWER_BYTES = 4
"""One number of single precision."""
ANSWERED = "answered"

AskedFor = Literal["loss", "accuracy"]
"""The mean loss of the training texts [nat], or the accuracy on the client's own test texts."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What the questions of one decision gave."""

    what: AskedFor = "loss"
    values: Mapping[int, float] = field(default_factory=dict)
    """Answers of the clients that gave one, by client."""
    questions: Sequence["_Question"] = ()
    """All that were asked; they have ended."""

    def record(
        self, federation: Federation, round_id: int, candidate_ids: Int[np.ndarray, " client"]
    ) -> None:
        """Write the rows of the questions.

        Parameters
        ----------
        federation
            The run.
        round_id
            Round about to start.
        candidate_ids
            Who can be selected now; the policy sees no answers of others, and decides nothing where
            there is nobody.
        """
        if not self.questions:
            return
        here = set(candidate_ids.tolist())
        for each in self.questions:
            if each.client_id not in here:
                each.discard(LEFT if here else "abandoned")
        rows = [each.row(round_id) for each in self.questions]
        federation.asked.wasted_j += sum(row.wasted_j for row in rows)
        federation.recorder.questions(rows)


def ask_clients(
    federation: Federation,
    client_ids: Sequence[int],
    *,
    what: AskedFor = "loss",
    timeout_s: float | None = None,
) -> Generator[simpy.Event, Any, Answers]:
    """Ask clients for a number, in simulated time.

    Parameters
    ----------
    federation
        The run.
    client_ids
        Whom to ask.
    what
        For which number.
    timeout_s
        Seconds after which nothing more is sent, computed or waited for; ``None``: the network's
        own limits hold.
    """
    now_s = federation.now_s
    deadline_at_s = None if timeout_s is None else now_s + timeout_s
    questions = [
        _Question(federation, each, what=what, deadline_at_s=deadline_at_s) for each in client_ids
    ]
    yield federation.env.all_of([each.done for each in questions])
    for each in questions:
        federation.presence.note_recorded(each)
    values = {each.client_id: each.answer() for each in questions if each.is_answered}
    return Answers(what, values, questions)


class _Question:
    """One client that is asked; it begins when it is made."""

    def __init__(
        self,
        federation: Federation,
        client_id: int,
        *,
        what: AskedFor,
        deadline_at_s: float | None,
    ) -> None:
        self.client_id = client_id
        self.outcome = "running"
        """``answered``; or why not, or why nothing was made of it, as in ``questions.csv``."""
        self.compute_j = 0.0
        self.radio_j = 0.0
        self._federation = federation
        self._what = what
        shard = federation.shards[client_id]
        self._samples = shard.train if what == "loss" else shard.test
        self._asked_at_s = self._ended_at_s = federation.now_s
        self._deadline_at_s = deadline_at_s
        self._model: Tensors = {}
        self._transfer: TransferEvent | None = None
        self._computing: Computing | None = None
        self._stopped = federation.env.event()
        self.done: simpy.Event = federation.env.process(self._run())
        """Fires when it has ended, answered or not."""
        federation.presence.watch(self)

    @property
    def most_w(self) -> float:
        """Power that its client draws at most: computing, and its radio beside it [W]."""
        return most_w(self._federation, self.client_id)

    def unbooked_j(self) -> float:
        """Return what computing has spent so far that is not booked yet."""
        return 0.0 if self._computing is None else self._computing.spent_j(self._now_s)

    @property
    def is_answered(self) -> bool:
        """Whether the server has the answer."""
        return self.outcome == ANSWERED

    def stop(self, outcome: str) -> None:
        """End it at this instant, unanswered. No effect when it has ended or was stopped before."""
        if self.done.triggered or self._stopped.triggered:
            return
        self._stopped.succeed(outcome)
        if self._transfer is not None:
            self._transfer.cancel(outcome)

    def discard(self, outcome: str) -> None:
        """Let the server forget the answer: its outcome becomes ``outcome:answer``."""
        if self.is_answered:
            self.outcome = f"{outcome}:answer"

    def row(self, round_id: int) -> QuestionRow:
        """Return the row of a question that has ended."""
        return QuestionRow(
            round=round_id,
            client_id=self.client_id,
            outcome=self.outcome,
            asked_at_s=self._asked_at_s,
            ended_at_s=self._ended_at_s,
            compute_j=self.compute_j,
            radio_j=self.radio_j,
            wasted_j=0.0 if self.is_answered else self.compute_j + self.radio_j,
        )

    def answer(self) -> float:
        """Return the answer, of single precision."""
        federation = self._federation
        job = EvaluationJob(
            model_key=federation.worker.model_key,
            tensors=self._model,
            table="train",
            samples=self._samples,
            batch_size=federation.evaluation_batch_size,
        )
        scores = federation.executor.submit(job).result().scores
        if self._what == "accuracy":
            return float(np.float32(scores["right"].sum() / scores["texts"].sum()))
        per = scores["tokens"] if "tokens" in scores else scores["texts"]
        return float(np.float32(scores["nats"].sum() / per.sum()))

    def _run(self) -> Generator[simpy.Event, Any, None]:
        """Go through the three steps as a SimPy process, up to the first that fails."""
        yield from self._steps()
        self._ended_at_s = self._now_s

    def _steps(self) -> Generator[simpy.Event, Any, None]:
        federation, client_id = self._federation, self.client_id
        method, state = federation.method, federation.state
        download = method.download(state, client_id=client_id)
        charged = None if federation.twin is None else federation.twin.charge(client_id)
        if download is not None:
            paid = download if charged is None else charged.download or download
            size_bytes = federation.coding.download_bytes(paid)
            if not (yield from self._send("downlink", size_bytes)):
                return
            download = federation.coding.downloaded(
                download, client_id=client_id, version=state.version
            )
            federation.informed[client_id] = state.version
        held = federation.personal.of(client_id)
        start = method.start(download, held, version=state.version)
        self._model = start.tensors
        is_scored = yield from self._score(start if charged is None else charged.start)
        if is_scored and (yield from self._send("uplink", ANSWER_BYTES)):
            self.outcome = ANSWERED

    def _score(self, start: Start) -> Generator[simpy.Event, Any, bool]:
        """Let the seconds of a forward pass over the client's texts go by, and book its joules."""
        federation, left_s = self._federation, self._left_s()
        if self._has_ended("compute"):
            return False
        computing = begin_computing(federation, self.client_id, work=self._work(start))
        duration_s = computing.duration_s
        if left_s is not None:
            duration_s = min(duration_s, left_s)
        self._computing = computing
        yield federation.env.timeout(duration_s) | self._stopped
        self._computing = None
        self.compute_j = end_computing(federation, computing)
        return not self._has_ended("compute")

    def _work(self, start: Start) -> Work:
        """Return the operations of the pass, texts batched by length as evaluation does."""
        federation = self._federation
        tokens, size = federation.worker.train.tokens, federation.evaluation_batch_size
        samples = self._samples
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
        if self._has_ended(direction):
            return False
        transfer = federation.network.send(self.client_id, direction, size_bytes, timeout_s=left_s)
        self._transfer = transfer
        sent: TransferOutcome = yield transfer.event
        self._transfer = None
        if direction == "uplink":
            federation.asked.uplink_bytes += sent.delivered_bytes
        else:
            federation.asked.downlink_bytes += sent.delivered_bytes
        self.radio_j += sent.energy_j
        if self._stopped.triggered:
            self.outcome = f"{self._stopped.value}:{direction}"
        elif sent.status == "timeout" and left_s is not None:
            self.outcome = f"late:{direction}"
        elif sent.status != "delivered":
            self.outcome = f"dropped:{direction}:{sent.status}"
        else:
            return True
        return False

    def _has_ended(self, step: str) -> bool:
        """Whether it was stopped, or its time is up; then its outcome says so."""
        if self._stopped.triggered:
            self.outcome = f"{self._stopped.value}:{step}"
        elif self._left_s() == 0.0:
            self.outcome = f"late:{step}"
        else:
            return False
        return True

    @property
    def _now_s(self) -> float:
        return self._federation.now_s

    def _left_s(self) -> float | None:
        """Return the seconds that are left; ``None`` without a limit."""
        if self._deadline_at_s is None:
            return None
        return max(0.0, self._deadline_at_s - self._now_s)
