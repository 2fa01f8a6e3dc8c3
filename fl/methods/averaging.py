"""Averaging of tensors, and the family of methods that differ only in what they share.

A method of this family names its tensors *shared* (they travel and are averaged) or *personal*
(they stay with the client). Federated averaging on LoRA shares all, local training shares none.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from fl.methods.base import Contribution, ServerState, Start
from fl.payload import Payload, Tensors


def weighted_mean(updates: Sequence[Tensors], weights: Sequence[float]) -> dict[str, torch.Tensor]:
    """Average like-named tensors: ``sum_i p_i x_i`` with ``p_i = w_i / sum w``.

    Sums run in float64 in the order given, so a caller that sorts by client id gets the same bits
    whatever order updates arrived in.

    Parameters
    ----------
    updates
        One mapping a client; the same names and shapes in all, at least one.
    weights
        One weight a client, each at least 0, not all 0.

    Raises
    ------
    ValueError
        If weights or names do not fit.
    """
    total = float(sum(weights))
    if not updates or len(updates) != len(weights) or min(weights) < 0 or total <= 0:
        msg = f"weights: one >= 0 for each update and a sum > 0, got {list(weights)}"
        raise ValueError(msg)
    names = updates[0].keys()
    if any(update.keys() != names for update in updates):
        msg = f"updates: all must name the same {len(names)} tensors"
        raise ValueError(msg)
    mean = {}
    for name in sorted(names):
        first = updates[0][name]
        accumulated = torch.zeros(first.shape, dtype=torch.float64)
        for update, weight in zip(updates, weights, strict=True):
            accumulated.add_(update[name].to(torch.float64), alpha=weight / total)
        mean[name] = accumulated.to(first.dtype)
    return mean


@dataclass(frozen=True, kw_only=True)
class AveragingMethod:
    """A method whose shared tensors are averaged by sample count and whose others stay.

    Implements :class:`fl.methods.base.Method`. Everything that is installed is trained in every
    job.
    """

    kind: str
    initial: Tensors
    """Value of every installed tensor before any training."""
    shared: tuple[str, ...]
    """Names of the tensors that travel, sorted; the rest is personal."""
    neutral: Tensors | None
    """Personal tensors that complete the server's model (the untrained ones, which change nothing);
    ``None`` when the server has no whole model."""
    same_download: bool = True

    def initial_state(self) -> ServerState:
        """Give the server's state before the first round."""
        return ServerState(version=0, tensors=self._pick(self.initial, self.shared))

    def initial_personal(self, client_id: int) -> Tensors:
        """Give the untrained personal tensors, one copy for all clients."""
        return self.personal(self.initial)

    def download(self, state: ServerState, *, client_id: int, round_id: int) -> Payload | None:
        """Give the shared tensors."""
        return Payload(state.tensors) if self.shared else None

    def start(self, download: Payload | None, personal: Tensors, *, round_id: int) -> Start:
        """Begin at the downloaded shared tensors and the client's own; train all of them."""
        received = download.tensors if download is not None else {}
        tensors = {**received, **personal}
        return Start(tensors=tensors, trainable=tuple(sorted(tensors)))

    def upload(self, trained: Tensors, *, round_id: int) -> Payload | None:
        """Give the trained shared tensors."""
        return Payload(self._pick(trained, self.shared)) if self.shared else None

    def personal(self, trained: Tensors) -> Tensors:
        """Give the trained tensors that stay."""
        shared = frozenset(self.shared)
        return {name: tensor for name, tensor in trained.items() if name not in shared}

    def aggregate(self, state: ServerState, contributions: Sequence[Contribution]) -> ServerState:
        """Average the received tensors with the clients' sample counts as weights."""
        ordered = sorted(contributions, key=lambda item: item.client_id)
        mean = weighted_mean(
            [item.payload.tensors for item in ordered], [item.num_samples for item in ordered]
        )
        return ServerState(version=state.version + 1, tensors=mean)

    def global_model(self, state: ServerState) -> Tensors | None:
        """Give the shared tensors completed by untrained personal ones."""
        return None if self.neutral is None else {**state.tensors, **self.neutral}

    def personal_model(self, state: ServerState, personal: Tensors) -> Tensors:
        """Give the shared tensors completed by the client's own."""
        return {**state.tensors, **personal}

    @staticmethod
    def _pick(tensors: Tensors, names: Sequence[str]) -> Tensors:
        return {name: tensors[name] for name in names}
