"""Evaluation of the server's model and of every client's own, off the simulated clock."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fl.payload import Tensors
from fl.rows import EvaluationRow
from fl.server.federation import Federation
from fl.training.evaluate import accuracy_over_clients, predict_right


@dataclass(frozen=True, slots=True)
class _Evaluated:
    """A model as it was last evaluated on a client's test texts; holding it keeps it comparable."""

    model: Tensors
    accuracy: float


class Evaluator:
    """Evaluates a federation, models that did not change since the last time not again.

    ``personal``: each client's model on its own test texts (mean, spread and worst clients), for
    every method. ``global``: the server's model on the common test set, where there is one.
    """

    def __init__(self, federation: Federation) -> None:
        self._federation = federation
        self._last: dict[int, _Evaluated] = {}

    def evaluate(self, round_id: int) -> list[EvaluationRow]:
        """Evaluate now; the row ``global``, where the method has one, comes first."""
        federation, host_started_s = self._federation, time.perf_counter()
        rows = []
        model = federation.method.global_model(federation.state)
        if model is not None:
            indices = np.arange(len(federation.test.labels))
            right = predict_right(
                model,
                federation.worker,
                examples=federation.test,
                indices=indices,
                batch_size=federation.evaluation_batch_size,
            )
            mean = float(right.mean())
            rows.append(self._row(round_id, "global", (mean, 0.0, mean), n=len(indices)))
        accuracies = self._personal_accuracies()
        over_clients = accuracy_over_clients(accuracies)
        rows.append(self._row(round_id, "personal", over_clients, n=len(accuracies)))
        federation.host_evaluation_s += time.perf_counter() - host_started_s
        return rows

    def _personal_accuracies(self) -> list[float]:
        """Accuracy of each client's model on its own test texts, by client id."""
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
            self._evaluate_group(group, models[group[0]])
        return [self._last[client_id].accuracy for client_id in federation.client_ids]

    def _evaluate_group(self, client_ids: Sequence[int], model: Tensors) -> None:
        """Evaluate clients that use one and the same model in one pass over all their texts."""
        federation = self._federation
        tests = [federation.shards[client_id].test for client_id in client_ids]
        right = predict_right(
            model,
            federation.worker,
            examples=federation.worker.train,
            indices=np.concatenate(tests),
            batch_size=federation.evaluation_batch_size,
        )
        parts = np.split(right, np.cumsum([len(test) for test in tests])[:-1])
        for client_id, part in zip(client_ids, parts, strict=True):
            self._last[client_id] = _Evaluated(model, float(part.mean()))

    def _row(
        self, round_id: int, split: str, values: tuple[float, float, float], *, n: int
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
            metric="accuracy",
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
