"""The global model as each client would tune it: some steps on its own texts, then its score.

Off the simulated clock: as usual for federated averaging with local fine-tuning, the steps are part
of the measurement and nobody is charged for them. Neither server nor clients keep what comes out.
"""

import weakref
from collections import deque
from collections.abc import Sequence
from dataclasses import replace

from fl.execution.executor import JobHandle
from fl.methods.base import ServerState
from fl.server.beginning import Beginnings
from fl.server.federation import Federation
from fl.server.scoring import Scored, Scorer, Sums
from fl.training.job import TrainJob, TrainResult

PURPOSE = "evaluation"
"""Purpose of the draws, by client and version of the server."""
MOST_UNDER_WAY = 64
"""Training jobs that are under way at most [our choice]."""


class Finetuned:
    """The models of some clients that begin at one state of the server; computed when asked for."""

    def __init__(self, federation: Federation, scorer: Scorer, client_ids: Sequence[int]) -> None:
        self._federation, self._scorer = federation, scorer
        self._client_ids = client_ids
        # Every client as if it came new: what some of them hold already is sent to all.
        self._state: ServerState | None = replace(federation.state, held={})
        self._beginnings = Beginnings()
        self._sums: Sequence[Sums] | None = None

    def is_ready(self) -> bool:
        """Return whether :attr:`sums` runs no job."""
        return self._sums is not None

    @property
    def sums(self) -> Sequence[Sums]:
        """Sums of scores of each client's model on its own test texts."""
        if self._sums is None:
            self._sums = self._score_all()
            self._state = None
        return self._sums

    def _score_all(self) -> Sequence[Sums]:
        under_way: deque[tuple[int, JobHandle[TrainResult]]] = deque()
        scored: list[Scored] = []
        for client_id in self._client_ids:
            under_way.append((client_id, self._trained(client_id)))
            if len(under_way) == MOST_UNDER_WAY:
                scored.append(self._score(*under_way.popleft()))
        scored += [self._score(*each) for each in under_way]
        return [each.found[0].sums for each in scored]

    def _trained(self, client_id: int) -> JobHandle[TrainResult]:
        federation, state = self._federation, self._state
        if state is None:
            msg = "sums: are known, nothing is trained any more"
            raise RuntimeError(msg)
        method, version = federation.method, state.version
        beginning = self._beginnings.begin(
            method,
            method.download(state, client_id=client_id),
            method.initial_personal(client_id),
            version=version,
        )
        job = TrainJob(
            model_key=federation.worker.model_key,
            client_id=client_id,
            round=version + 1,
            version=version,
            start=beginning.start,
            samples=federation.shards[client_id].train,
            settings=replace(
                federation.job_settings,  # the schedule over rounds is the server's, not this run's
                local_steps=federation.server.finetune_steps,
                local_epochs=None,
            ),
            seed=int(federation.streams(PURPOSE, client_id, version).integers(2**63 - 1)),
        )
        return federation.executor.submit(job)

    def _score(self, client_id: int, handle: JobHandle[TrainResult]) -> Scored:
        federation, trained = self._federation, handle.result().tensors
        handle.drop()
        model = {name: trained[name] for name in federation.method.initial}
        return self._scorer.submit(model, "train", [federation.shards[client_id].test])


class Finetuner:
    """Tunes the global model at every evaluation; one that did not change not again.

    Parameters
    ----------
    federation
        The run.
    scorer
        Evaluates what comes out.
    client_ids
        Who tunes.
    """

    def __init__(self, federation: Federation, scorer: Scorer, client_ids: Sequence[int]) -> None:
        self._federation, self._scorer = federation, scorer
        self._client_ids = client_ids
        self._state: weakref.ref[ServerState] | None = None
        self._last: Finetuned | None = None

    def now(self, round_id: int) -> Finetuned | None:
        """Return the models that begin at the present state of the server; ``None``: none do.

        They do where ``server.finetune_steps`` is given, the method has a global model, and the
        round is one of those of ``server.finetune_every``.
        """
        federation = self._federation
        if not federation.server.finetune_steps or not self._is_due(round_id):
            return None
        if self._state is None or self._state() is not federation.state:
            self._state = weakref.ref(federation.state)
            has_model = federation.method.global_model(federation.state) is not None
            self._last = None
            if has_model:
                self._last = Finetuned(federation, self._scorer, self._client_ids)
        return self._last

    def _is_due(self, round_id: int) -> bool:
        server = self._federation.server
        if server.finetune_every is None or round_id == server.num_rounds:
            return True
        return round_id > 0 and round_id % server.finetune_every == 0
