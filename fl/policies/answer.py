"""Checking what a policy answers: ids of candidates, each at most once."""

from typing import Any

import numpy as np

from fl.policies.view import AskingPolicy, ClientIds, NobodyFitsError, Policy, Selection
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
        If the answer is not a set of candidates: whole numbers, each known and at most once, at
        least one unless the policy says that it ``may_select_nobody``.
    NobodyFitsError
        If the policy finds that its settings allow no candidate.
    """
    known = known_ids(view)
    try:
        answer = policy.select(view, rng=rng)
    except NobodyFitsError as error:
        raise NobodyFitsError(_located(str(error), view)) from error
    if getattr(policy, "may_select_nobody", False):
        rule = _find_fault(answer, known, verb="select")
    else:
        rule = find_fault_of_selection(answer, known)
    if rule is not None:
        raise ValueError(_located(rule, view))
    return np.sort(np.array(answer, dtype=np.int64)).tolist()


def checked_questions(
    policy: AskingPolicy, view: Selection, *, rng: np.random.Generator
) -> list[int]:
    """Ask a policy whose losses it wants to know before it selects; ascending, may be nobody.

    Raises
    ------
    ValueError
        If the answer is not a set of candidates.
    """
    known = known_ids(view)
    answer = policy.ask(view, rng=rng)
    rule = find_fault_of_questions(answer, known)
    if rule is not None:
        raise ValueError(_located(rule, view))
    return np.sort(np.array(answer, dtype=np.int64)).tolist()


def _located(rule: str, view: Selection) -> str:
    return f"server.policy: {rule} in round {view.round}, at {view.now_s:g} s"


def known_ids(view: Selection) -> ClientIds:
    """Return the clients that may be selected; asked before a policy can write to its view."""
    return view.candidates.client_id.copy()


def find_fault_of_selection(answer: Any, known: ClientIds) -> str | None:  # noqa: ANN401
    """Return what is wrong with whom a policy selects: the rule and the answer.

    Parameters
    ----------
    answer
        Whom it selects.
    known
        Ids of the candidates, ascending, at least one.
    """
    rule = _find_fault(answer, known, verb="select")
    if rule is None and not len(answer):
        return f"must select at least one of {len(known)} candidates, got none"
    return rule


def find_fault_of_questions(answer: Any, known: ClientIds) -> str | None:  # noqa: ANN401
    """Return what is wrong with whom a policy asks, who may be nobody; arguments as above."""
    return _find_fault(answer, known, verb="ask")


def _find_fault(answer: Any, known: ClientIds, *, verb: str) -> str | None:  # noqa: ANN401
    is_array = isinstance(answer, np.ndarray) and answer.ndim == 1
    found: object = answer
    if (is_array or isinstance(answer, list | tuple | range)) and _are_whole(answer):
        if not len(answer) or (known[0] <= min(answer) and max(answer) <= known[-1]):
            ids = np.sort(np.array(answer, dtype=np.int64))
            is_known = known[np.searchsorted(known, ids)] == ids
            if is_known.all() and (np.diff(ids) > 0).all():
                return None
        found = sorted(map(int, answer))
    shown = one_line(_text(found), MAX_SHOWN)
    first, last = int(known[0]), int(known[-1])
    ids_text = f"ids out of {first}..{last}"
    if last - first + 1 != len(known):
        ids_text = f"ids of the {len(known)} candidates within {first}..{last}"
    return f"must {verb} {ids_text}, each at most once, got {shown}"


def _are_whole(answer: Any) -> bool:  # noqa: ANN401
    """Whether all are whole numbers: quickly where all are of one type, else one by one."""
    if isinstance(answer, np.ndarray):
        return np.issubdtype(answer.dtype, np.integer) or all(map(_is_whole, answer))
    return set(map(type, answer)) <= {int} or all(map(_is_whole, answer))


def _is_whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _text(answer: object) -> str:
    try:
        return str(answer)
    except Exception:  # the __str__ of an object of the user's is broken
        return type(answer).__name__
