"""A policy of the user's own: a class in a file, named ``path.py:Class``."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any

import numpy as np
from annotated_types import Predicate
from jaxtyping import Int

from fl.own_code import OwnClass, load_class, names_a_class
from fl.policies.answer import find_fault_of_questions, find_fault_of_selection, known_ids
from fl.policies.view import AskingPolicy, ClientIds, Policy, Selection
from fl.problems import OwnCodeError, during

KEY = "server.policy"
"""Key of the scenario with which messages begin."""


@dataclass(frozen=True, kw_only=True)
class OwnPolicyConfig:
    """A class in a file, with ``select(view, *, rng)``; all keys beside are its arguments."""

    kind: Annotated[str, Predicate(names_a_class)]
    """File and class: ``path.py:Class``."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Arguments of the class; in a file they stand beside ``kind``."""


class OwnPolicy:
    """Ask an object of the user's class; its faults are told with place, round and time."""

    def __init__(self, own: OwnClass, made: Policy) -> None:
        self._own = own
        self._made = made

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
        return self._answer(
            "select", self._made.select, find_fault_of_selection, view=view, rng=rng
        )

    def _answer(
        self,
        hook: str,
        call: Callable[..., Sequence[int] | Int[np.ndarray, " client"]],
        find_fault: Callable[[Any, ClientIds], str | None],
        *,
        view: Selection,
        rng: np.random.Generator,
    ) -> Sequence[int] | Int[np.ndarray, " client"]:
        from fl.global_generators import seeded_generators  # noqa: PLC0415  torch, where one runs

        seed, known = int(copy.deepcopy(rng).integers(2**63 - 1)), known_ids(view)
        try:
            with during(f"in round {view.round}, at {view.now_s:g} s"):
                with seeded_generators(seed), self._own.blame(hook, self._made):
                    answer = call(view, rng=rng)
                rule = find_fault(answer, known)
                if rule is not None:
                    raise self._own.fault(hook, rule, self._made)
                return answer
        except OwnCodeError as error:
            msg = f"{KEY}: {error}"
            raise OwnCodeError(msg) from error


class OwnAskingPolicy(OwnPolicy):
    """The same of a class that has ``ask``."""

    def __init__(self, own: OwnClass, made: AskingPolicy) -> None:
        super().__init__(own, made)
        self._asking = made

    def ask(
        self, view: Selection, *, rng: np.random.Generator
    ) -> Sequence[int] | Int[np.ndarray, " asked"]:
        """Return whom the user's class asks for their losses.

        Raises
        ------
        fl.problems.OwnCodeError
            One line, as of :meth:`select`.
        """
        return self._answer("ask", self._asking.ask, find_fault_of_questions, view=view, rng=rng)


def own_asks(config: OwnPolicyConfig) -> bool:
    """Return whether a user's class asks clients: whether it has ``ask``.

    Raises
    ------
    fl.problems.OwnCodeError
        One line: a file or class that cannot be used.
    """
    return hasattr(load_class(config.kind, key=KEY, protocol=Policy).cls, "ask")


def own_policy(config: OwnPolicyConfig) -> OwnPolicy:
    """Load a user's class and make its object.

    Raises
    ------
    fl.problems.OwnCodeError
        One line: a file or class that cannot be used, or an unknown or missing setting.
    """
    own = load_class(config.kind, key=KEY, protocol=Policy)
    if hasattr(own.cls, "ask"):
        return OwnAskingPolicy(own, own.make(config.settings, key=KEY, protocol=AskingPolicy))
    return OwnPolicy(own, own.make(config.settings, key=KEY, protocol=Policy))
