"""Evaluation of the server's model and of every client's own, off the simulated clock."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Int

from fl.execution.executor import JobHandle
from fl.metrics import METRICS
from fl.payload import Tensors
from fl.rows import EvaluationRow, RewardRow
from fl.server.answers import Answer, answer_rows, split_answers
from fl.server.client_summary import ClientSummary, prior_accuracy, summarise
from fl.server.federation import Federation
from fl.training.evaluate import sum_scores
from fl.training.evaluation_shards import joined, shards_of
from fl.training.job import EvaluationJob, EvaluationResult

Sums = Mapping[str, float]
"""Sums of scores over a set of texts, by name."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What came out of one model on one set of texts."""

    sums: Sums
    answers: Sequence[Answer] = ()
    """Those whose text is kept."""


class _Scored:
    """One model on several sets of texts: jobs until somebody needs the scores, then these."""

    def __init__(self, jobs: Sequence["_JobInShards"], *, num_kept: int) -> None:
        self._jobs: Sequence[_JobInShards] = jobs
        self._num_kept = num_kept
        """Answers of each set whose text is kept."""

    @cached_property
    def found(self) -> list[_Found]:
        """The sums of all scores and what is kept of the answers, set by set; waits for jobs."""
        results = [(job.result(), job.sets) for job in self._jobs]
        self._jobs = ()
        by_job = [sum_scores(result.scores, [len(s) for s in sets]) for result, sets in results]
        sums = [
            {name: value for of_job in of_set for name, value in of_job.items()}
            for of_set in zip(*by_job, strict=True)
        ]
        kept: list[list[Answer]] = [[] for _ in sums]
        for result, sets in results:
            if result.answers:
                kept = split_answers(result, sets, num_kept=self._num_kept)
        return [_Found(*pair) for pair in zip(sums, kept, strict=True)]


@dataclass(frozen=True, slots=True)
class _JobInShards:
    """An evaluation job that was submitted shard by shard."""

    sets: Sequence[Int[np.ndarray, " text"]]
    """Its sets of texts, one after the other."""
    shards: Sequence[tuple[Int[np.ndarray, " row"], JobHandle[EvaluationResult]]]

    def result(self) -> EvaluationResult:
        """Return the result of the whole job."""
        rows, handles = zip(*self.shards, strict=True)
        return joined(rows, [handle.result() for handle in handles])


@dataclass(frozen=True, slots=True)
class _Evaluated:
    """A model as it was last evaluated on a set of texts; holding it keeps it comparable."""

    model: Tensors
    scored: _Scored
    place: int
    """Of its set of texts."""

    @property
    def found(self) -> _Found:
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
    """By client id."""
    is_trained: Bool[np.ndarray, " client"]
    """Who has trained by then, and not in vain."""


class Evaluator:
    """Evaluates a federation, models that did not change since the last time not again.

    ``personal``: each client's model on its own test texts (mean, spread and worst clients), for
    every method. ``global``: the server's model on the common test set, where there is one. Jobs
    are in shards, the same ones for every executor.
    """

    def __init__(self, federation: Federation) -> None:
        self._federation = federation
        self._of_server: _Evaluated | None = None
        self._last: dict[int, _Evaluated] = {}
        asked = [METRICS[name] for name in federation.metrics]
        self._every = np.arange(len(federation.worker.test.labels))
        self._is_written = any(metric.is_written for metric in asked)
        self._is_chosen = any(metric.is_chosen for metric in asked)
        self._is_read = any(not (metric.is_written or metric.is_chosen) for metric in asked)

    def evaluate(self, round_id: int) -> list[EvaluationRow]:
        """Evaluate now, as :meth:`submit` and :meth:`rows` do."""
        return self.rows(self.submit(round_id))

    def submit(self, round_id: int) -> Evaluation:
        """Submit the jobs of an evaluation of the models of this instant; wait for no score."""
        federation = self._federation
        with self._timed():
            if federation.metrics:
                self._submit_global()
                self._submit_personal()
        return Evaluation(
            round=round_id,
            at_s=federation.now_s,
            energy_j=federation.energy_j(),
            site_energy_j=federation.site_energy_j(),
            uplink_bytes=federation.uplink_bytes,
            downlink_bytes=federation.downlink_bytes,
            of_server=self._of_server,
            of_clients=tuple(self._last[i] for i in federation.client_ids if i in self._last),
            is_trained=np.array([i in federation.personal for i in federation.client_ids]),
        )

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
            for client_id, each in enumerate(evaluation.of_clients):
                self._keep_answers(evaluation, client_id, each.found.answers)
            by_client = [
                self._with_reward(each.found.sums, federation.worker.helpfulness_of(client_id))
                for client_id, each in enumerate(evaluation.of_clients)
            ]
            self._keep_rewards(evaluation, by_client)
            for name in federation.metrics:
                found = summarise(METRICS[name], by_client, is_trained=evaluation.is_trained)
                prior = self._prior if name == "accuracy" else None
                rows.append(_personal_row(evaluation, name, found, n=len(by_client), prior=prior))
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
        """Hand on what every client's own model earns."""
        federation = self._federation
        if federation.worker.rewards is None or not self._is_written:
            return
        rows = []
        for client_id, sums in enumerate(by_client):
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
        return float(prior_accuracy(federation.worker.train.labels, federation.shards).mean())

    @cached_property
    def _mean_weight(self) -> float:
        """Return how much helpfulness counts for the clients on average."""
        weights = [self._federation.worker.helpfulness_of(i) for i in self._federation.client_ids]
        return float(np.mean(weights))

    def _submit_global(self) -> None:
        """Submit the server's model, where there is one and it has changed."""
        model = self._federation.method.global_model(self._federation.state)
        if model is None:
            self._of_server = None
        elif self._of_server is None or not _is_same_model(self._of_server.model, model):
            self._of_server = _Evaluated(model, self._submit(model, "test", [self._every]), 0)

    def _submit_personal(self) -> None:
        """Submit clients' models that changed, equal ones together."""
        federation = self._federation
        models = [
            federation.method.personal_model(federation.state, federation.personal.of(client_id))
            for client_id in federation.client_ids
        ]
        stale = [
            client_id
            for client_id in federation.client_ids
            if client_id not in self._last
            or not _is_same_model(self._last[client_id].model, models[client_id])
        ]
        for group in _group_by_model(stale, models):
            tests = [federation.shards[client_id].test for client_id in group]
            model = models[group[0]]
            scored = self._submit(model, "train", tests)
            for place, client_id in enumerate(group):
                self._last[client_id] = _Evaluated(model, scored, place)

    def _submit(
        self,
        model: Tensors,
        table: Literal["train", "test"],
        parts: Sequence[Int[np.ndarray, " text"]],
    ) -> _Scored:
        """Submit a model on several sets of texts, all sets in one job of each kind."""
        federation, generation = self._federation, self._federation.server.generation
        asked: list[tuple[Sequence[Int[np.ndarray, " text"]], int | None, bool]] = []
        if self._is_read:
            asked.append((parts, None, False))
        if self._is_chosen:
            asked.append((parts, None, True))
        if self._is_written:
            few = [part[: generation.max_texts] for part in parts]
            asked.append((few, generation.max_tokens, False))
        jobs = []
        for sets, max_new_tokens, is_choice in asked:
            job = EvaluationJob(
                model_key=federation.worker.model_key,
                tensors=model,
                table=table,
                samples=np.concatenate(sets),
                batch_size=federation.evaluation_batch_size,
                max_new_tokens=max_new_tokens,
                is_choice=is_choice,
            )
            shards = [
                (shard.rows, federation.executor.submit(shard.job))
                for shard in shards_of(job, federation.worker)
            ]
            jobs.append(_JobInShards(sets, shards))
        return _Scored(jobs, num_kept=generation.num_kept)


def _global_row(
    evaluation: Evaluation, metric: str, value: float, *, num_texts: int
) -> EvaluationRow:
    """Return the row of the server's model, to which clients make no difference."""
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
    )


def _personal_row(
    evaluation: Evaluation, metric: str, found: ClientSummary, *, n: int, prior: float | None
) -> EvaluationRow:
    return EvaluationRow(
        **_spent(evaluation),
        metric=metric,
        split="personal",
        mean=found.mean,
        std=found.std,
        worst10=found.worst10,
        n=n,
        text_mean=found.text_mean,
        num_trained=found.num_trained,
        trained_mean=found.trained_mean,
        prior=prior,
    )


def _spent(evaluation: Evaluation) -> dict[str, Any]:
    """Return when it was, and what had been spent by then."""
    names = ("round", "at_s", "energy_j", "site_energy_j", "uplink_bytes", "downlink_bytes")
    return {name: getattr(evaluation, name) for name in names}


def _is_same_model(first: Tensors, second: Tensors) -> bool:
    """Return whether two models are made of the very same tensor objects, none of them a copy."""
    return first.keys() == second.keys() and all(first[name] is second[name] for name in first)


def _group_by_model(client_ids: Sequence[int], models: Sequence[Tensors]) -> list[list[int]]:
    """Gather clients whose models are made of the same tensor objects, in order of first client."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for client_id in client_ids:
        model = models[client_id]
        key = tuple(id(model[name]) for name in sorted(model))
        groups.setdefault(key, []).append(client_id)
    return list(groups.values())
