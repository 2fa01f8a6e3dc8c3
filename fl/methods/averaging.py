"""Averaging of tensors, and the family of methods that differ only in what they share.

A method of this family gives each of its tensors a role. *Shared* ones travel and are averaged,
*personal* ones stay with the client, and the rest is *constant*: every client draws it from the
same seed, so it neither travels nor is trained. Federated averaging on LoRA shares all, local
training shares none.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

import torch

from fl.methods.base import Contribution, MethodDefaults, ServerState
from fl.methods.options import AveragingOptions, FedAvg
from fl.methods.server_optimiser import server_step
from fl.payload import Payload, Tensors
from fl.training.job import Start
from fl.training.objective import TASK_LOSS, Objective


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
        if first.is_meta:
            mean[name] = first  # it has a shape and no values
            continue
        accumulated = torch.zeros(first.shape, dtype=torch.float64, device=first.device)
        for update, weight in zip(updates, weights, strict=True):
            accumulated.add_(update[name].to(torch.float64), alpha=weight / total)
        mean[name] = accumulated.to(first.dtype)
    return mean


def normalised_mean(ordered: Sequence[Contribution]) -> dict[str, torch.Tensor]:
    """Return where the server would be if all clients had made as many steps: FedNova.

    ``b + tau sum_i p_i (x_i - b_i) / tau_i`` with ``b`` the mean of what clients began from,
    ``tau_i`` the steps of client i, and ``tau = sum_i p_i tau_i``. Wang et al., arXiv:2007.07481,
    where a local step is plain gradient descent [recollected].

    Raises
    ------
    ValueError
        If an update does not say its number of steps.
    """
    shares = [item.weight / sum(each.weight for each in ordered) for item in ordered]
    base = weighted_mean([item.base for item in ordered], shares)
    if any(value.is_meta for value in base.values()):
        return base  # shapes and no values
    steps = [item.num_steps for item in ordered]
    if not all(steps):
        msg = f"num_steps: normalising needs the steps of every update, at least 1, got {steps}"
        raise ValueError(msg)
    counts = [float(each or 0) for each in steps]
    mean_steps = sum(share * count for share, count in zip(shares, counts, strict=True))
    found = {}
    for name, start in base.items():
        moved = start.to(torch.float64)
        for item, share, count in zip(ordered, shares, counts, strict=True):
            change = item.payload.tensors[name].to(torch.float64) - item.base[name]
            moved = moved + share * mean_steps / count * change
        found[name] = moved.to(start.dtype)
    return found


def by_client(contributions: Sequence[Contribution]) -> list[Contribution]:
    """Sort received updates by client, so that sums have one order."""
    return sorted(contributions, key=lambda item: item.client_id)


def proximal_penalty(
    weight: float, parameters: Tensors, start: Tensors, *, names: Collection[str]
) -> torch.Tensor:
    """Return ``weight / 2 |w - w_start|^2`` over the named trained tensors.

    Li et al., Federated Optimization in Heterogeneous Networks (FedProx), arXiv:1812.06127,
    equation 2 [recollected].
    """
    distances = [
        (parameter - start[name]).square().sum()
        for name, parameter in parameters.items()
        if name in names
    ]
    return 0.5 * weight * torch.stack(distances).sum()


@dataclass(frozen=True, kw_only=True)
class AveragingMethod(MethodDefaults):
    """A method whose shared tensors are averaged by sample count and whose others stay.

    Implements :class:`fl.methods.base.Method`. Without a schedule, all but the constants is trained
    in every job.
    """

    kind: str
    initial: Tensors
    """Value of every installed tensor before any training."""
    shared: tuple[str, ...]
    """Names of the tensors that travel, sorted."""
    own: tuple[str, ...] = ()
    """Names of the personal tensors, sorted."""
    has_global_model: bool = True
    """Whether the shared tensors, completed by untrained personal ones, are a whole model."""
    options: AveragingOptions = field(default_factory=AveragingOptions)
    objective: Objective = TASK_LOSS
    """What its jobs optimise."""
    schedule: Callable[[int], Collection[str]] | None = None
    """Names of the shared tensors that are trained from a version of the server on (the first is
    0). Only these are sent up; down goes what a client lacks: what has changed since the version it
    holds."""
    initial_own: Callable[[int], Tensors] | None = None
    """First personal tensors of a client, from its id; those of ``initial`` when ``None``. They may
    differ in shape from client to client."""

    @property
    def same_download(self) -> bool:
        """Whether one broadcast serves all: not where each client lacks something else."""
        return self.schedule is None

    @property
    def merges(self) -> Literal["mean", "own"]:
        """Say that updates are averaged."""
        return "mean"

    @property
    def self_trained(self) -> Collection[str]:
        """Name the personal tensors, not what a schedule has clients hold of the server's."""
        return self.own

    def initial_state(self) -> ServerState:
        """Return the server's state before the first round."""
        return ServerState(version=0, tensors=self._pick(self.initial, self.shared))

    def initial_personal(self, client_id: int) -> Tensors:
        """Return the untrained personal tensors."""
        if self.initial_own is not None:
            return self.initial_own(client_id)
        return self._pick(self.initial, self.own)

    def download(self, state: ServerState, *, client_id: int) -> Payload | None:
        """Return the shared tensors that the client lacks."""
        if self.schedule is None or client_id not in state.held:
            return state.payload if self.shared else None
        has = state.held[client_id]
        lacking = [name for name in self.shared if state.changed_at.get(name, 0) > has]
        return Payload(self._pick(state.tensors, lacking)) if lacking else None

    def start(self, download: Payload | None, personal: Tensors, *, version: int) -> Start:
        """Begin at the downloaded shared tensors and the client's own; train what is due."""
        received = download.tensors if download is not None else {}
        tensors = {**self._constants, **personal, **received}
        if self.schedule is None:
            return Start(tensors=tensors, trainable=self._all_trained)
        return Start(tensors=tensors, trainable=tuple(sorted({*self._due(version), *self.own})))

    def penalty(self, parameters: Tensors, start: Start) -> torch.Tensor | None:
        """Hold the shared tensors near their start, if the proximal term is on."""
        weight = self.options.proximal_weight
        if weight is None:
            return None
        return proximal_penalty(weight, parameters, start.tensors, names=self._shared_set)

    def upload(self, trained: Tensors, *, version: int) -> Payload | None:
        """Return the shared tensors that were trained from this version."""
        return Payload(self._pick(trained, self._due(version))) if self.shared else None

    def personal(self, trained: Tensors) -> Tensors:
        """Return the tensors that stay; with a schedule also the shared ones, updated later."""
        if self.schedule is None:
            return self._pick(trained, self.own)
        # Those that it trained are newer than what it began from; the server's mean of them is
        # newer still, so the next download replaces them.
        return self._pick(trained, [*self.own, *self.shared])

    def aggregate(self, state: ServerState, contributions: Sequence[Contribution]) -> ServerState:
        """Average the received tensors by weight, and step."""
        ordered, optimiser = by_client(contributions), self.options.server_optimiser
        weights = [item.weight for item in ordered]
        if self.options.normalise_steps:
            mean = normalised_mean(ordered)
        else:
            mean = weighted_mean([item.payload.tensors for item in ordered], weights)
        if isinstance(optimiser, FedAvg):
            moved, memory = mean, dict(state.memory)
        else:
            base = weighted_mean([item.base for item in ordered], weights)
            moved, memory = server_step(
                optimiser, before=state.tensors, base=base, mean=mean, memory=state.memory
            )
        version = state.version + 1
        held = {item.client_id: state.version - item.staleness for item in ordered}
        is_tracked = self.schedule is not None
        return replace(
            state,
            version=version,
            tensors={**state.tensors, **moved},
            memory=memory,
            changed_at={**state.changed_at, **dict.fromkeys(moved, version)} if is_tracked else {},
            held={**state.held, **held} if is_tracked else {},
        )

    def global_model(self, state: ServerState) -> Tensors | None:
        """Return the shared tensors completed by constants and untrained personal ones."""
        return {**self.initial, **state.tensors} if self.has_global_model else None

    def personal_model(self, state: ServerState, personal: Tensors) -> Tensors:
        """Return the server's shared tensors completed by the client's own."""
        return {**self._constants, **personal, **state.tensors}

    def _due(self, version: int) -> Sequence[str]:
        """Name the shared tensors that are trained and sent from a version."""
        return self.shared if self.schedule is None else sorted(self.schedule(version))

    @cached_property
    def _shared_set(self) -> frozenset[str]:
        return frozenset(self.shared)

    @cached_property
    def _all_trained(self) -> tuple[str, ...]:
        return tuple(sorted({*self.shared, *self.own}))

    @cached_property
    def _constants(self) -> dict[str, torch.Tensor]:
        roles = {*self.shared, *self.own}
        return {name: tensor for name, tensor in self.initial.items() if name not in roles}

    @staticmethod
    def _pick(tensors: Mapping[str, torch.Tensor], names: Collection[str]) -> Tensors:
        return {name: tensors[name] for name in names}
