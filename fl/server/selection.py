"""Showing the policy what the server knows, and asking it."""

from collections.abc import Generator
from typing import Any, get_args

import numpy as np
import simpy
from jaxtyping import Int

from fl.policies.answer import checked_questions, checked_selection
from fl.policies.view import AskingPolicy, Candidates, NobodyFitsError, Selection
from fl.policies.without_losses import CandidatesWithoutLosses
from fl.server.federation import Federation
from fl.server.forecast import JobForecast
from fl.server.questions import Answers, AskedFor, ask_clients

NO_ANSWERS = Answers()


def select_clients(
    federation: Federation,
    round_id: int,
    *,
    num_wanted: int | None = None,
    decision_id: int | None = None,
    timeout_s: float | None = None,
) -> Generator[simpy.Event, Any, list[int]]:
    """Let the policy select among those that are there and not busy; gives them, ascending.

    A policy that asks clients for their losses takes simulated time, any other takes none. Where
    the policy's settings allow none of them, nobody is selected as long as others are at work.

    Parameters
    ----------
    federation
        The run.
    round_id
        Round about to start, from 1.
    num_wanted
        How many clients the server asks for; ``None``: as many as the policy's settings say.
    decision_id
        Addresses what the policy draws; ``None``: the round, which has one decision.
    timeout_s
        Simulated seconds after which answers no longer count; ``None``: all are waited for.

    Raises
    ------
    ValueError
        If the answer is not a set of candidates: whole numbers, each known, at most once, at least
        one.
    NobodyFitsError
        If the policy's settings allow no candidate, and nobody is at work.
    """
    policy, candidate_ids = federation.policy, federation.presence.candidate_ids()
    if not len(candidate_ids):
        return []
    rng = federation.streams("cohort", round_id if decision_id is None else decision_id)
    answers = NO_ANSWERS
    if isinstance(policy, AskingPolicy):
        view = _view(federation, round_id, candidate_ids, answers, num_wanted=num_wanted)
        asked = checked_questions(policy, view, rng=rng)
        what: AskedFor = getattr(policy, "asks_for", "loss")
        answers = yield from ask_clients(federation, asked, what=what, timeout_s=timeout_s)
        candidate_ids = federation.presence.candidate_ids()  # some may have left meanwhile
        answers.record(federation, round_id, candidate_ids)
        if not len(candidate_ids):
            return []
    view = _view(federation, round_id, candidate_ids, answers, num_wanted=num_wanted)
    try:
        selected = checked_selection(policy, view, rng=rng)
    except NobodyFitsError:
        if federation.presence.is_anybody_at_work:
            return []
        raise
    if federation.private_rounds is not None:
        federation.private_rounds.note_draw(
            num_drawn=len(selected), num_candidates=len(candidate_ids)
        )
    return selected


def _view(
    federation: Federation,
    round_id: int,
    ids: Int[np.ndarray, " client"],
    answers: Answers,
    *,
    num_wanted: int | None,
) -> Selection:
    """Return what the policy sees now; arrays are copies, so it changes nothing at the server."""
    roster = federation.roster
    kind = CandidatesWithoutLosses if federation.is_timing_only else Candidates
    if federation.forecast is None:
        federation.forecast = JobForecast(federation)
    battery_j, capacity_j = federation.presence.battery_j(ids)
    told = {each: np.full(len(ids), np.nan) for each in get_args(AskedFor)}
    if answers.values:
        told[answers.what][:] = [answers.values.get(each, np.nan) for each in ids.tolist()]
    return Selection(
        round=round_id,
        now_s=federation.now_s,
        num_wanted=num_wanted,
        candidates=kind(
            client_id=ids.copy(),
            num_samples=roster.num_samples[ids],
            times_selected=roster.times_selected[ids],
            last_round=roster.last_round[ids],
            last_received=roster.last_received[ids],
            last_loss=roster.last_loss[ids],
            last_rms_loss=roster.last_rms_loss[ids],
            last_duration_s=roster.last_duration_s[ids],
            spent_j=roster.spent_j[ids],
            staleness=federation.state.version - roster.version_held[ids],
            battery_j=battery_j,
            battery_capacity_j=capacity_j,
            asked_loss=told["loss"],
            asked_accuracy=told["accuracy"],
            ask_links=federation.network.link_table,
            forecast=federation.forecast,
        ),
    )
