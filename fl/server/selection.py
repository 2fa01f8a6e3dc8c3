"""Showing the policy what the server knows, and asking it."""

from fl.policies.answer import checked_selection
from fl.policies.view import Candidates, Selection
from fl.policies.without_losses import CandidatesWithoutLosses
from fl.server.federation import Federation


def select_clients(
    federation: Federation,
    round_id: int,
    *,
    num_wanted: int | None = None,
    decision_id: int | None = None,
) -> list[int]:
    """Return the clients that the policy selects among those that are not busy, ascending.

    Parameters
    ----------
    federation
        The run.
    round_id
        Round about to start, from 1.
    num_wanted
        How many the server asks for; ``None``: as many as the policy's own settings say.
    decision_id
        Addresses what the policy draws; ``None``: the round, which has one decision.

    Raises
    ------
    ValueError
        If the answer is not a set of candidates: whole numbers, each known and at most once.
    """
    roster, ids = federation.roster, federation.presence.candidate_ids()
    kind = CandidatesWithoutLosses if federation.is_timing_only else Candidates
    if not len(ids):
        return []
    view = Selection(
        round=round_id,
        now_s=federation.now_s,
        candidates=kind(
            client_id=ids,
            num_samples=roster.num_samples[ids],
            times_selected=roster.times_selected[ids],
            last_round=roster.last_round[ids],
            last_loss=roster.last_loss[ids],
            ask_links=federation.network.link_table,
        ),
        num_wanted=num_wanted,
    )
    draw_id = round_id if decision_id is None else decision_id
    return checked_selection(federation.policy, view, rng=federation.streams("cohort", draw_id))
