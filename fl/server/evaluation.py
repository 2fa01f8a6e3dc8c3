"""Evaluation of the server's model and of every client's own, off the simulated clock."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from fl.metrics import METRICS, over_clients
from fl.payload import Tensors
from fl.rows import EvaluationRow
from fl.server.federation import Federation
from fl.training.batches import Examples
from fl.training.evaluate import score_texts, score_writing, sum_scores

Sums = Mapping[str, float]
"""Sums of scores over a set of texts, by name."""


@dataclass(frozen=True, slots=True)
class _Evaluated:
    """A model as it was last evaluated on a client's test texts; holding it keeps it comparable."""

    model: Tensors
    sums: Sums


class Evaluator:
    """Evaluates a federation, models that did not change since the last time not again.

    ``personal``: each client's model on its own test texts (mean, spread and worst clients), for
    every method. ``global``: the server's model on the common test set, where there is one.
    """

    def __init__(self, federation: Federation) -> None:
        self._federation = federation
        self._last: dict[int, _Evaluated] = {}
        asked = {METRICS[name].over for name in federation.metrics}
        self._is_written = "rouge_l" in asked
        self._is_read = bool(asked - {"rouge_l"})

    def evaluate(self, round_id: int) -> list[EvaluationRow]:
        """Evaluate now; the rows of ``global``, where the method has one, come first."""
        federation, host_started_s = self._federation, time.perf_counter()
        rows = []
        model = federation.method.global_model(federation.state)
        if model is not None:
            every = np.arange(len(federation.test.labels))
            (sums,) = self._sums(model, federation.test, [every])
            for name in federation.metrics:
                value = METRICS[name].value(sums)
                values = (value, 0.0, value)
                n = int(sums["written"]) if name == "rouge_l" else len(every)
                rows.append(self._row(round_id, name, "global", values, n=n))
        of_clients = self._personal_sums()
        for name in federation.metrics:
            metric = METRICS[name]
            each = np.array([metric.value(sums) for sums in of_clients])
            values = over_clients(each, is_lower_better=metric.is_lower_better)
            rows.append(self._row(round_id, name, "personal", values, n=len(each)))
        federation.host_evaluation_s += time.perf_counter() - host_started_s
        return rows

    def _personal_sums(self) -> list[Sums]:
        """Sum the scores of each client's model on its own test texts, by client id."""
        federation = self._federation
        models = [
            federation.method.personal_model(federation.state, federation.personal_of(client_id))
            for client_id in federation.client_ids
        ]
        stale = [
            client_id
            for client_id in federation.client_ids
            if client_id not in self._last
            or not _is_same_model(self._last[client_id].model, models[client_id])
        ]
        for group in _group_by_model(stale, models):
            model = models[group[0]]
            tests = [federation.shards[client_id].test for client_id in group]
            found = self._sums(model, federation.worker.train, tests)
            for client_id, sums in zip(group, found, strict=True):
                self._last[client_id] = _Evaluated(model, sums)
        return [self._last[client_id].sums for client_id in federation.client_ids]

    def _sums(
        self, model: Tensors, examples: Examples, parts: Sequence[Int[np.ndarray, " text"]]
    ) -> Sequence[Sums]:
        """Score a model on several sets of texts in one pass, and add up set by set."""
        federation = self._federation
        found: list[dict[str, float]] = [{} for _ in parts]
        size = federation.evaluation_batch_size
        if self._is_read:
            scores = score_texts(
                model,
                federation.worker,
                examples=examples,
                indices=np.concatenate(parts),
                batch_size=size,
            )
            for sums, own in zip(found, sum_scores(scores, list(map(len, parts))), strict=True):
                sums.update(own)
        if self._is_written:
            generation = federation.server.generation
            few = [part[: generation.max_texts] for part in parts]
            scores = score_writing(
                model,
                federation.worker,
                examples=examples,
                indices=np.concatenate(few),
                batch_size=size,
                num_tokens=generation.max_tokens,
            )
            for sums, own in zip(found, sum_scores(scores, list(map(len, few))), strict=True):
                sums.update(own)
        return found

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
    """Tell whether two models are made of the very same tensor objects, none of them a copy."""
    return first.keys() == second.keys() and all(first[name] is second[name] for name in first)


def _group_by_model(client_ids: Sequence[int], models: Sequence[Tensors]) -> list[list[int]]:
    """Gather clients whose models are made of the same tensor objects, in order of first client."""
    groups: dict[tuple[int, ...], list[int]] = {}
    for client_id in client_ids:
        model = models[client_id]
        key = tuple(id(model[name]) for name in sorted(model))
        groups.setdefault(key, []).append(client_id)
    return list(groups.values())
