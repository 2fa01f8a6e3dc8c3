"""Checking what a policy answers: ids of candidates, each at most once."""

import numpy as np

from fl.policies.own import OwnPolicy
from fl.policies.view import Policy, Selection

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
    known = set(view.candidates.client_id.tolist())  # before a policy can write to it
    answer = policy.select(view, rng=rng)
    is_array = isinstance(answer, np.ndarray) and answer.ndim == 1
    found: object = answer
    if (is_array or isinstance(answer, list | tuple | range)) and all(map(_is_whole, answer)):
        ordered = found = sorted(int(each) for each in answer)
        if len(set(ordered)) == len(ordered) and known.issuperset(ordered):
            return ordered
    place = f"{policy.place}: select: " if isinstance(policy, OwnPolicy) else ""
    shown = " ".join(_text(found).split())[:MAX_SHOWN]
    msg = (
        f"server.policy: {place}must select ids out of 0..{max(known)}, each at most "
        f"once, got {shown} in round {view.round}, at {view.now_s:g} s"
    )
    raise ValueError(msg)


def _is_whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _text(answer: object) -> str:
    try:
        return str(answer)
    except Exception:  # the __str__ of an object of the user's is broken
        return type(answer).__name__
