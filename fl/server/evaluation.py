"""Evaluation of the global model and of every personal model, off the simulated clock."""

import time
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool

from fl.methods.base import ServerState
from fl.metrics import METRICS
from fl.payload import Tensors
from fl.rows import EvaluationRow, RewardRow, ScoreRow
from fl.server.answers import Answer, answer_rows
from fl.server.client_summary import (
    ClientSummary,
    counted_clients,
    prior_accuracy,
    summarise,
)
from fl.server.federation import Federation
from fl.server.finetuning import Finetuned, Finetuner
from fl.server.scoring import Found, Scored, Scorer, Sums


@dataclass(frozen=True, slots=True)
class _Evaluated:
    """A model as it was last evaluated on a set of texts."""

    key: bytes
    """Of the model, as of :meth:`fl.server.tensor_tokens.TensorTokens.key`."""
    scored: Scored
    place: int
    """Of its set of texts."""

    @property
    def found(self) -> Found:
        return self.scored.found[self.place]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """An evaluation whose jobs were submitted, and what the run had spent by then."""

    round: int
    at_s: float
    energy_j: float
    site_energy_j: float
    uplink_bytes: int
    downlink_bytes: int
    of_server: "_Evaluated | None"
    of_clients: Sequence["_Evaluated"]
    """Those that are measured, in order."""
    is_trained: Bool[np.ndarray, " client"]
    """Which of them have trained by then, and not in vain."""
    finetuned: Finetuned | None
    """The global model as they tune it."""

    def is_ready(self) -> bool:
        """Return whether no job has to be waited for."""
        is_tuned = self.finetuned is None or self.finetuned.is_ready()
        return is_tuned and all(each.scored.is_ready() for each in self._all)

    def wait(self) -> None:
        """Wait for all scores."""
        for each in self._all:
            _ = each.found
        if self.finetuned is not None:
            _ = self.finetuned.sums

    @property
    def _all(self) -> "Sequence[_Evaluated]":
        of_server = [] if self.of_server is None else [self.of_server]
        return [*of_server, *self.of_clients]


class Evaluator:
    """Evaluates a federation, models that did not change since the last time not again.

    ``personal``: each personal model on the client's own test texts (mean, spread and worst
    clients), for every method, of clients with enough test texts. ``global``: the global model on
    the common test set, where there is one. ``finetuned``: that model, tuned by each client
    first. Jobs are in shards, the same ones for every executor. No model is held: what a client
    has is known by its version.
    """

    def __init__(self, federation: Federation) -> None:
        self._federation = federation
        self._client_ids = counted_clients(
            federation.shards, min_test_texts=federation.server.min_test_texts
        )
        self._scorer = Scorer(federation)
        self._finetuner = Finetuner(federation, self._scorer, self._client_ids)
        self._tokens = federation.personal.place.tokens
        self._of_server: _Evaluated | None = None
        self._last: dict[int, _Evaluated] = {}
        self._versions: dict[int, int] = {}
        """Of what each client held when it was last looked at."""
        self._state: weakref.ref[ServerState] | None = None
        """Of the server at that time."""
        self._every = np.arange(len(federation.worker.test.labels))

    def evaluate(self, round_id: int) -> list[EvaluationRow]:
        """Evaluate now, as :meth:`submit` and :meth:`rows` do."""
        return self.rows(self.submit(round_id))

    def submit(self, round_id: int) -> Evaluation:
        """Submit the jobs of an evaluation of the models of this instant; wait for no score."""
        federation, finetuned = self._federation, None
        with self._timed():
            if federation.metrics:
                self._submit_global()
                self._submit_personal()
                finetuned = self._finetuner.now(round_id)
        return Evaluation(
            round=round_id,
            at_s=federation.now_s,
            energy_j=federation.energy_j(),
            site_energy_j=federation.site_energy_j(),
            uplink_bytes=federation.uplink_bytes,
            downlink_bytes=federation.downlink_bytes,
            of_server=self._of_server,
            of_clients=tuple(self._last[i] for i in self._client_ids if i in self._last),
            is_trained=np.array([i in federation.personal for i in self._client_ids]),
            finetuned=finetuned,
        )

    def wait(self, evaluation: Evaluation) -> None:
        """Wait for all scores of an evaluation, which its host time is counted for."""
        with self._timed():
            evaluation.wait()

    def rows(self, evaluation: Evaluation) -> list[EvaluationRow]:
        """Wait for the scores and hand on texts and rewards; return the rows.

        Those of ``global``, where the method has one, come first. No rows where nothing is
        measured.
        """
        federation = self._federation
        if not federation.metrics:
            return []
        rows = []
        with self._timed():
            of_server = evaluation.of_server
            if of_server is not None:
                sums = self._with_reward(of_server.found.sums, self._mean_weight)
                for name in federation.metrics:
                    value = METRICS[name].value(sums)
                    n = int(sums["written"]) if METRICS[name].is_written else len(self._every)
                    rows.append(_global_row(evaluation, name, value, num_texts=n))
                self._keep_answers(evaluation, None, of_server.found.answers)
            of_clients = [each.found for each in evaluation.of_clients]
            for client_id, found in zip(self._client_ids, of_clients, strict=True):
                self._keep_answers(evaluation, client_id, found.answers)
            by_client = self._with_rewards([found.sums for found in of_clients])
            self._keep_rewards(evaluation, by_client)
            for name in federation.metrics:
                summary = summarise(METRICS[name], by_client, is_trained=evaluation.is_trained)
                prior = self._prior if name == "accuracy" else None
                rows.append(self._clients_row(evaluation, name, summary, prior=prior))
                self._keep_scores(evaluation, name, by_client)
            if evaluation.finetuned is not None:
                tuned = self._with_rewards(evaluation.finetuned.sums)
                for name in federation.metrics:
                    summary = summarise(METRICS[name], tuned, is_trained=None)
                    rows.append(self._clients_row(evaluation, name, summary, split="finetuned"))
                    self._keep_scores(evaluation, name, tuned, split="finetuned")
        return rows

    @contextmanager
    def _timed(self) -> Iterator[None]:
        """Count host time as that of evaluation, but for training jobs that ran meanwhile."""
        federation, started_s = self._federation, time.perf_counter()
        training_s = federation.executor.host_training_s
        yield
        training_s = federation.executor.host_training_s - training_s
        federation.host_evaluation_s += time.perf_counter() - started_s - training_s

    def _with_reward(self, sums: Sums, helpfulness: float) -> Sums:
        """Add the sum of the rewards weighed together, where texts are scored by them."""
        if "helpfulness" not in sums:
            return sums
        reward = helpfulness * sums["helpfulness"] + (1.0 - helpfulness) * sums["safety"]
        return {**sums, "reward": reward}

    def _with_rewards(self, by_client: Sequence[Sums]) -> list[Sums]:
        """Add the same to the sums of every client that is measured, by its own weight."""
        helpfulness_of = self._federation.worker.helpfulness_of
        return [
            self._with_reward(sums, helpfulness_of(client_id))
            for client_id, sums in zip(self._client_ids, by_client, strict=True)
        ]

    def _clients_row(
        self,
        evaluation: Evaluation,
        metric: str,
        summary: ClientSummary,
        *,
        split: str = "personal",
        prior: float | None = None,
    ) -> EvaluationRow:
        """Return the row of clients' models."""
        return EvaluationRow(
            **_spent(evaluation),
            metric=metric,
            split=split,
            mean=summary.mean,
            std=summary.std,
            worst10=summary.worst10,
            n=len(self._client_ids),
            text_mean=summary.text_mean,
            num_trained=summary.num_trained,
            trained_mean=summary.trained_mean,
            prior=prior,
            num_left_out=len(self._federation.shards) - len(self._client_ids),
        )

    def _keep_scores(
        self,
        evaluation: Evaluation,
        metric: str,
        by_client: Sequence[Sums],
        *,
        split: str = "personal",
    ) -> None:
        """Hand on a metric of the model of every client."""
        rows = [
            ScoreRow(
                round=evaluation.round,
                at_s=evaluation.at_s,
                client_id=client_id,
                metric=metric,
                split=split,
                value=METRICS[metric].value(sums),
            )
            for client_id, sums in zip(self._client_ids, by_client, strict=True)
        ]
        self._federation.recorder.scores(rows)

    def _keep_answers(
        self, evaluation: Evaluation, client_id: int | None, answers: Sequence[Answer]
    ) -> None:
        """Hand on the texts of some answers."""
        if not answers:
            return
        federation = self._federation
        rows = answer_rows(
            answers,
            federation.worker,
            round_id=evaluation.round,
            at_s=evaluation.at_s,
            client_id=client_id,
        )
        federation.recorder.answers(rows)

    def _keep_rewards(self, evaluation: Evaluation, by_client: Sequence[Sums]) -> None:
        """Hand on what every personal model earns."""
        federation = self._federation
        if federation.worker.rewards is None or not self._scorer.is_written:
            return
        rows = []
        for client_id, sums in zip(self._client_ids, by_client, strict=True):
            num_texts, independent = sums["written"], sums.get("independent")
            rows.append(
                RewardRow(
                    round=evaluation.round,
                    at_s=evaluation.at_s,
                    client_id=client_id,
                    helpfulness_weight=federation.worker.helpfulness_of(client_id),
                    helpfulness=sums["helpfulness"] / num_texts,
                    safety=sums["safety"] / num_texts,
                    reward=sums["reward"] / num_texts,
                    independent=None if independent is None else independent / num_texts,
                    num_texts=int(num_texts),
                )
            )
        federation.recorder.rewards(rows)

    @cached_property
    def _prior(self) -> float:
        """Return the mean over clients of what their most frequent training class scores."""
        federation = self._federation
        shards = (federation.shards[client_id] for client_id in self._client_ids)
        return float(prior_accuracy(federation.worker.train.labels, shards).mean())

    @cached_property
    def _mean_weight(self) -> float:
        """Return how much helpfulness counts for the clients on average."""
        weights = [self._federation.worker.helpfulness_of(i) for i in self._federation.client_ids]
        return float(np.mean(weights))

    def _submit_global(self) -> None:
        """Submit the global model, where there is one and it has changed."""
        model = self._federation.method.global_model(self._federation.state)
        if model is None:
            self._of_server = None
            return
        key = self._tokens.key(model)
        if self._of_server is None or self._of_server.key != key:
            self._of_server = _Evaluated(key, self._scorer.submit(model, "test", [self._every]), 0)

    def _submit_personal(self) -> None:
        """Submit personal models that changed, equal ones together; no two of them are held."""
        federation = self._federation
        for key, group in self._changed().items():
            tests = [federation.shards[client_id].test for client_id in group]
            scored = self._scorer.submit(self._model_of(group[0]), "train", tests)
            for place, client_id in enumerate(group):
                self._last[client_id] = _Evaluated(key, scored, place)

    def _changed(self) -> dict[bytes, list[int]]:
        """Return the clients whose personal models changed, by model, in order of the first."""
        federation, groups = self._federation, dict[bytes, list[int]]()
        is_same_state = self._state is not None and self._state() is federation.state
        self._state = weakref.ref(federation.state)
        for client_id in self._client_ids:
            version = federation.personal.version_of(client_id)
            if is_same_state and self._versions.get(client_id) == version:
                continue
            self._versions[client_id] = version
            key, last = self._tokens.key(self._model_of(client_id)), self._last.get(client_id)
            if last is None or last.key != key:
                groups.setdefault(key, []).append(client_id)
        return groups

    def _model_of(self, client_id: int) -> Tensors:
        federation = self._federation
        held = federation.personal.of(client_id)
        return federation.method.personal_model(federation.state, held)


def _global_row(
    evaluation: Evaluation, metric: str, value: float, *, num_texts: int
) -> EvaluationRow:
    """Return the row of the global model, to which clients make no difference."""
    return EvaluationRow(
        **_spent(evaluation),
        metric=metric,
        split="global",
        mean=value,
        std=0.0,
        worst10=value,
        n=num_texts,
        text_mean=value,
        num_trained=None,
        trained_mean=None,
        prior=None,
        num_left_out=None,
    )


def _spent(evaluation: Evaluation) -> dict[str, Any]:
    """Return when it was, and what had been spent by then."""
    names = ("round", "at_s", "energy_j", "site_energy_j", "uplink_bytes", "downlink_bytes")
    return {name: getattr(evaluation, name) for name in names}
