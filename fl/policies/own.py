"""A policy of the user's own: a class in a file, named ``path.py:Class``."""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from annotated_types import Predicate
from jaxtyping import Int

from fl.own_code import load_class, names_a_class
from fl.policies.answer import find_fault_of_selection, known_ids
from fl.policies.view import Policy, Selection
from fl.problems import OwnCodeError, during

KEY = "server.policy"
"""Key of the scenario with which messages begin."""
_HOOK = "select"


@dataclass(frozen=True, kw_only=True)
class OwnPolicyConfig:
    """A class in a file; ``settings`` are its arguments. It has ``select(view, *, rng)``."""

    kind: Annotated[str, Predicate(names_a_class)]
    """File and class: ``path.py:Class``."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Arguments of the class."""


class OwnPolicy:
    """Ask an object of the user's class; its faults are told with place, round and time.

    Raises
    ------
    fl.problems.OwnCodeError
        One line: a file or class that cannot be used, or an unknown or missing setting.
    """

    def __init__(self, config: OwnPolicyConfig) -> None:
        self._own = load_class(config.kind, key=KEY, protocol=Policy)
        self._made: Policy = self._own.make(config.settings, key=KEY, protocol=Policy)

    def select(
        self, view: Selection, *, rng: np.random.Generator
    ) -> Sequence[int] | Int[np.ndarray, " selected"]:
        """Return what the user's class selects, ids of candidates and each at most once.

        The global generators are seeded for it, from ``rng`` as it stands, which is left there.

        Raises
        ------
        fl.problems.OwnCodeError
            One line: what the class raises, or what is wrong with its answer.
        """
        from fl.global_generators import seeded_generators  # noqa: PLC0415  torch, where one runs

        seed, known = int(copy.deepcopy(rng).integers(2**63 - 1)), known_ids(view)
        try:
            with during(f"in round {view.round}, at {view.now_s:g} s"):
                with seeded_generators(seed), self._own.blame(_HOOK, self._made):
                    answer = self._made.select(view, rng=rng)
                rule = find_fault_of_selection(answer, known)
                if rule is not None:
                    raise self._own.fault(_HOOK, rule, self._made)
                return answer
        except OwnCodeError as error:
            msg = f"{KEY}: {error}"
            raise OwnCodeError(msg) from error
