"""FedTT+: each round trains, sends and averages some factors of every tensor train."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import nn

from fl.methods.averaging import AveragingMethod
from fl.methods.base import Contribution, Method, ServerState
from fl.methods.fedtt.method import install_trains
from fl.methods.fedtt_plus.config import FedttPlusConfig


def due_factors(rule: str, *, num_factors: int, round_id: int) -> frozenset[int]:
    """Give the factors of a train that a round trains, counted from 1.

    Parameters
    ----------
    rule
        ``ends_and_one``: the first, the last and one between them in turn; ``single``: one in turn.
    num_factors
        Length ``J`` of the train.
    round_id
        Number ``t`` of the round.

    Examples
    --------
    >>> [sorted(due_factors("ends_and_one", num_factors=5, round_id=t)) for t in (1, 2, 3)]
    [[1, 3, 5], [1, 4, 5], [1, 2, 5]]
    >>> [sorted(due_factors("single", num_factors=5, round_id=t)) for t in (1, 4, 5)]
    [[2], [5], [1]]
    """
    if rule == "single":
        return frozenset({1 + round_id % num_factors})
    between = num_factors - 2
    middle = {2 + round_id % between} if between > 0 else set()
    return frozenset({1, num_factors} | middle)


def install(config: FedttPlusConfig, module: nn.Module, *, generator: torch.Generator) -> Method:
    """Put tensor-train adapters and head into a backbone; rounds take turns at the factors.

    Raises
    ------
    ValueError
        As for fedtt; or trains so short that every round would train all of their factors.
    """
    installed = install_trains(config, module, generator=generator)
    lengths = {len(names) for names in installed.factors.values()}
    if all(len(_due(config, length, 1)) == length for length in lengths):
        msg = (
            f"factors: must leave a factor frozen; {config.factors} trains all of trains of "
            f"{max(lengths)} factors, as narrow models have: use single, or fedtt"
        )
        raise ValueError(msg)
    frozen = installed.frozen
    in_turn = {name for names in installed.factors.values() for name in names}
    always = [name for name in installed.initial if name not in in_turn | frozen]
    # All trains are back at the same factors after this many rounds.
    period = math.lcm(*(max(1, length - 2) for length in lengths), *lengths)

    def schedule(round_id: int) -> Sequence[str]:
        due = [
            name
            for names in installed.factors.values()
            for factor, name in enumerate(names, start=1)
            if factor in _due(config, len(names), round_id)
        ]
        return sorted([*always, *due])

    return FedttPlusMethod(
        kind=config.kind,
        initial=installed.initial,
        shared=tuple(name for name in installed.initial if name not in frozen),
        options=config,
        schedule=schedule,
        turns=frozenset(frozenset(schedule(round_id)) for round_id in range(period)),
    )


@dataclass(frozen=True, kw_only=True)
class FedttPlusMethod(AveragingMethod):
    """Averaging with a schedule that refuses updates holding more or less than one round's turn."""

    turns: frozenset[frozenset[str]] = field(default_factory=frozenset)
    """What rounds train and send, each once."""

    def aggregate(self, state: ServerState, contributions: Sequence[Contribution]) -> ServerState:
        """Average the factors that are due; all others stay the very same tensors.

        Raises
        ------
        ValueError
            An update does not hold exactly what some round trains, or two hold different rounds.
        """
        for item in contributions:
            if frozenset(item.payload.tensors) not in self.turns:
                msg = (
                    f"update: must hold the factors that one round trains and no others, client "
                    f"{item.client_id} sent {len(item.payload.tensors)} tensors that are no turn"
                )
                raise ValueError(msg)
        return super().aggregate(state, contributions)


def _due(config: FedttPlusConfig, num_factors: int, round_id: int) -> frozenset[int]:
    return due_factors(config.factors, num_factors=num_factors, round_id=round_id)
