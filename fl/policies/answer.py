"""Checking what a policy answers: ids of candidates, each at most once."""

from collections.abc import Set
from typing import Any

import numpy as np

from fl.policies.view import Policy, Selection
from fl.problems import one_line

MAX_SHOWN = 80
"""Longest text of a wrong answer that a message repeats [characters]."""


def checked_selection(policy: Policy, view: Selection, *, rng: np.random.Generator) -> list[int]:
    """Ask a policy and return the clients that it selects, ascending.

    Parameters
    ----------
    policy
        Whom to ask.
    view
        What it sees; its candidates are all that may be selected.
    rng
        What it may draw from.

    Raises
    ------
    ValueError
        If the answer is not a set of candidates: whole numbers, each known and at most once.
    """
    known = known_ids(view)
    answer = policy.select(view, rng=rng)
    rule = find_fault_of_selection(answer, known)
    if rule is not None:
        msg = f"server.policy: {rule} in round {view.round}, at {view.now_s:g} s"
        raise ValueError(msg)
    return sorted(int(each) for each in answer)


def known_ids(view: Selection) -> Set[int]:
    """Return the clients that may be selected; asked before a policy can write to its view."""
    return set(view.candidates.client_id.tolist())


def find_fault_of_selection(answer: Any, known: Set[int]) -> str | None:  # noqa: ANN401
    """Return what is wrong with the answer of a policy: the rule and the answer.

    Parameters
    ----------
    answer
        What it selects.
    known
        Ids of the candidates, at least one.
    """
    is_array = isinstance(answer, np.ndarray) and answer.ndim == 1
    found: object = answer
    if (is_array or isinstance(answer, list | tuple | range)) and all(map(_is_whole, answer)):
        ordered = found = sorted(int(each) for each in answer)
        if len(set(ordered)) == len(ordered) and known >= set(ordered):
            return None
    shown = one_line(_text(found), MAX_SHOWN)
    return f"must select ids out of 0..{max(known)}, each at most once, got {shown}"


def _is_whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _text(answer: object) -> str:
    try:
        return str(answer)
    except Exception:  # the __str__ of an object of the user's is broken
        return type(answer).__name__
