"""FedTT+: each server version has some factors of every tensor train trained and averaged."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from fl.methods.averaging import AveragingMethod
from fl.methods.base import Contribution, Method, ServerState
from fl.methods.fedtt.method import install_trains
from fl.methods.fedtt_plus.config import FedttPlusConfig


def due_factors(rule: str, *, num_factors: int, version: int) -> frozenset[int]:
    """Return the factors of a train that are trained from a version, counted from 1.

    Parameters
    ----------
    rule
        ``ends_and_one``: the first, the last and one between them in turn; ``single``: one in turn.
    num_factors
        Length ``J`` of the train.
    version
        Server version that clients begin from, 0 at first; the paper's round ``t`` is 1 more.

    Examples
    --------
    >>> [sorted(due_factors("ends_and_one", num_factors=5, version=v)) for v in (0, 1, 2)]
    [[1, 3, 5], [1, 4, 5], [1, 2, 5]]
    >>> [sorted(due_factors("single", num_factors=5, version=v)) for v in (0, 3, 4)]
    [[2], [5], [1]]
    """
    turn = version + 1
    if rule == "single":
        return frozenset({1 + turn % num_factors})
    between = num_factors - 2
    middle = {2 + turn % between} if between > 0 else set()
    return frozenset({1, num_factors} | middle)


def install(config: FedttPlusConfig, module: nn.Module, *, generator: torch.Generator) -> Method:
    """Put tensor-train adapters and head into a backbone; versions take turns at the factors.

    Raises
    ------
    ValueError
        As for fedtt; or trains so short that all of their factors would always be trained.
    """
    installed = install_trains(config, module, generator=generator)
    lengths = {len(names) for names in installed.factors.values()}
    if all(len(_due(config, length, 0)) == length for length in lengths):
        msg = (
            f"factors: must leave a factor frozen; {config.factors} trains all of trains of "
            f"{max(lengths)} factors, as narrow models have: use single, or fedtt"
        )
        raise ValueError(msg)
    frozen = installed.frozen
    in_turn = {name for names in installed.factors.values() for name in names}
    always = [name for name in installed.initial if name not in in_turn | frozen]
    # All trains are back at the same factors after this many versions.
    period = math.lcm(*(max(1, length - 2) for length in lengths), *lengths)

    def schedule(version: int) -> Sequence[str]:
        due = [
            name
            for names in installed.factors.values()
            for factor, name in enumerate(names, start=1)
            if factor in _due(config, len(names), version)
        ]
        return sorted([*always, *due])

    return FedttPlusMethod(
        kind=config.kind,
        initial=installed.initial,
        shared=tuple(name for name in installed.initial if name not in frozen),
        options=config,
        schedule=schedule,
        turns=frozenset(frozenset(schedule(version)) for version in range(period)),
    )


@dataclass(frozen=True, kw_only=True)
class FedttPlusMethod(AveragingMethod):
    """Averaging with a schedule that refuses updates holding more or less than one turn."""

    turns: frozenset[frozenset[str]] = field(default_factory=frozenset)
    """What is trained and sent from some version, each set once."""

    def aggregate(self, state: ServerState, contributions: Sequence[Contribution]) -> ServerState:
        """Average the factors that are due; all others stay the very same tensors.

        Raises
        ------
        ValueError
            An update does not hold exactly what some version trains, or two hold different turns.
        """
        for item in contributions:
            if frozenset(item.payload.tensors) not in self.turns:
                msg = (
                    f"update: must hold the factors of one turn and no others, client "
                    f"{item.client_id} sent {len(item.payload.tensors)} tensors that are no turn"
                )
                raise ValueError(msg)
        return super().aggregate(state, contributions)


def _due(config: FedttPlusConfig, num_factors: int, version: int) -> frozenset[int]:
    return due_factors(config.factors, num_factors=num_factors, version=version)
