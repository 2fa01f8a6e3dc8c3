"""Evaluation of the server's model and of every client's own, off the simulated clock."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Int

from fl.execution.executor import JobHandle
from fl.metrics import METRICS, over_clients
from fl.payload import Tensors
from fl.rows import EvaluationRow, RewardRow
from fl.server.answers import Answer, answer_rows, split_answers
from fl.server.federation import Federation
from fl.training.evaluate import sum_scores
from fl.training.job import EvaluationJob, EvaluationResult

Sums = Mapping[str, float]
"""Sums of scores over a set of texts, by name."""


@dataclass(frozen=True, slots=True)
class _Found:
    """What came out of one model on one set of texts."""

    sums: Sums
    answers: Sequence[Answer] = ()
    """Those whose text is kept."""


@dataclass(frozen=True, slots=True)
class _Evaluated:
    """A model as it was last evaluated on a client's test texts; holding it keeps it comparable."""

    model: Tensors
    found: _Found


@dataclass(frozen=True, slots=True)
class _Submitted:
    """Evaluation jobs of one model on several sets of texts."""

    jobs: Sequence[tuple[JobHandle[EvaluationResult], Sequence[Int[np.ndarray, " text"]]]]
    """Each with its sets of texts."""
    num_kept: int
    """Answers of each set whose text is kept."""

    def found(self) -> list[_Found]:
        """Return the sums of all scores and what is kept of the answers, set by set."""
        results = [(handle.result(), sets) for handle, sets in self.jobs]
        by_job = [sum_scores(result.scores, [len(s) for s in sets]) for result, sets in results]
        sums = [
            {name: value for of_job in of_set for name, value in of_job.items()}
            for of_set in zip(*by_job, strict=True)
        ]
        kept: list[list[Answer]] = [[] for _ in sums]
        for result, sets in results:
            if result.answers:
                kept = split_answers(result, sets, num_kept=self.num_kept)
        return [_Found(*pair) for pair in zip(sums, kept, strict=True)]


class Evaluator:
    """Evaluates a federation, models that did not change since the last time not again.

    ``personal``: each client's model on its own test texts (mean, spread and worst clients), for
    every method. ``global``: the server's model on the common test set, where there is one.
    """

    def __init__(self, federation: Federation) -> None:
        self._federation = federation
        self._last: dict[int, _Evaluated] = {}
        asked = [METRICS[name] for name in federation.metrics]
        self._every = np.arange(len(federation.worker.test.labels))
        self._is_written = any(metric.is_written for metric in asked)
        self._is_chosen = any(metric.is_chosen for metric in asked)
        self._is_read = any(not (metric.is_written or metric.is_chosen) for metric in asked)

    def evaluate(self, round_id: int) -> list[EvaluationRow]:
        """Evaluate now; the rows of ``global``, where the method has one, come first.

        No rows where nothing is measured.
        """
        if not self._federation.metrics:
            return []
        federation, host_started_s = self._federation, time.perf_counter()
        host_training_s = federation.executor.host_training_s
        of_server, of_clients = self._submit_global(), self._submit_personal()
        rows = []
        if of_server is not None:
            (found,) = of_server.found()
            sums = self._with_reward(found.sums, self._mean_weight)
            for name in federation.metrics:
                value = METRICS[name].value(sums)
                values = (value, 0.0, value)
                n = int(sums["written"]) if METRICS[name].is_written else len(self._every)
                rows.append(self._row(round_id, name, "global", values, n=n))
            self._keep_answers(round_id, None, found.answers)
        for client_ids, model, submitted in of_clients:
            for client_id, found in zip(client_ids, submitted.found(), strict=True):
                self._last[client_id] = _Evaluated(model, found)
        for client_id in federation.client_ids:
            self._keep_answers(round_id, client_id, self._last[client_id].found.answers)
        self._keep_rewards(round_id)
        for name in federation.metrics:
            metric = METRICS[name]
            each = np.array([metric.value(self._sums_of(i)) for i in federation.client_ids])
            means = over_clients(each, is_lower_better=metric.is_lower_better)
            rows.append(self._row(round_id, name, "personal", means, n=len(each)))
        # training jobs that ran meanwhile are counted as training
        host_training_s = federation.executor.host_training_s - host_training_s
        federation.host_evaluation_s += time.perf_counter() - host_started_s - host_training_s
        return rows

    def _sums_of(self, client_id: int) -> Sums:
        """Return the sums of a client's model, those of its own reward among them."""
        weight = self._federation.worker.helpfulness_of(client_id)
        return self._with_reward(self._last[client_id].found.sums, weight)

    def _with_reward(self, sums: Sums, helpfulness: float) -> Sums:
        """Add the sum of the rewards weighed together, where texts are scored by them."""
        if "helpfulness" not in sums:
            return sums
        reward = helpfulness * sums["helpfulness"] + (1.0 - helpfulness) * sums["safety"]
        return {**sums, "reward": reward}

    def _keep_answers(
        self, round_id: int, client_id: int | None, answers: Sequence[Answer]
    ) -> None:
        """Hand on the texts of some answers."""
        if not answers:
            return
        federation = self._federation
        rows = answer_rows(
            answers,
            federation.worker,
            round_id=round_id,
            at_s=federation.now_s,
            client_id=client_id,
        )
        federation.recorder.answers(rows)

    def _keep_rewards(self, round_id: int) -> None:
        """Hand on what every client's own model earns."""
        federation = self._federation
        if federation.worker.rewards is None or not self._is_written:
            return
        rows = []
        for client_id in federation.client_ids:
            sums = self._sums_of(client_id)
            num_texts, independent = sums["written"], sums.get("independent")
            rows.append(
                RewardRow(
                    round=round_id,
                    at_s=federation.now_s,
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
    def _mean_weight(self) -> float:
        """Return how much helpfulness counts for the clients on average."""
        weights = [self._federation.worker.helpfulness_of(i) for i in self._federation.client_ids]
        return float(np.mean(weights))

    def _submit_global(self) -> "_Submitted | None":
        """Submit the server's model, where there is one."""
        model = self._federation.method.global_model(self._federation.state)
        return None if model is None else self._submit(model, "test", [self._every])

    def _submit_personal(self) -> list[tuple[list[int], Tensors, "_Submitted"]]:
        """Submit clients' models that changed: ids of equal models, the model, its jobs."""
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
        submitted = []
        for group in _group_by_model(stale, models):
            tests = [federation.shards[client_id].test for client_id in group]
            model = models[group[0]]
            submitted.append((group, model, self._submit(model, "train", tests)))
        return submitted

    def _submit(
        self,
        model: Tensors,
        table: Literal["train", "test"],
        parts: Sequence[Int[np.ndarray, " text"]],
    ) -> "_Submitted":
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
            jobs.append((federation.executor.submit(job), sets))
        return _Submitted(jobs, generation.num_kept)

    def _row(
        self,
        round_id: int,
        metric: str,
        split: str,
        values: tuple[float, float, float],
        *,
        n: int,
    ) -> EvaluationRow:
        federation = self._federation
        mean, std, worst10 = values
        return EvaluationRow(
            round=round_id,
            at_s=federation.now_s,
            energy_j=federation.energy_j(),
            site_energy_j=federation.site_energy_j(),
            uplink_bytes=federation.uplink_bytes,
            downlink_bytes=federation.downlink_bytes,
            metric=metric,
            split=split,
            mean=mean,
            std=std,
            worst10=worst10,
            n=n,
        )


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
