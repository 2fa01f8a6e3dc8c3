"""Showing the policy what the server knows, and asking it."""

import numpy as np

from fl.policies.answer import checked_selection
from fl.policies.view import Candidates, Selection
from fl.policies.without_losses import CandidatesWithoutLosses
from fl.server.federation import Federation


def select_clients(federation: Federation, round_id: int) -> list[int]:
    """Return the clients that the policy selects for a round, ascending.

    Raises
    ------
    ValueError
        If the answer is not a set of candidates: whole numbers, each known and at most once.
    """
    roster = federation.roster
    kind = CandidatesWithoutLosses if federation.is_timing_only else Candidates
    view = Selection(
        round=round_id,
        now_s=federation.now_s,
        candidates=kind(
            client_id=np.arange(len(federation.shards)),
            num_samples=roster.num_samples.copy(),
            times_selected=roster.times_selected.copy(),
            last_round=roster.last_round.copy(),
            last_loss=roster.last_loss.copy(),
            ask_links=federation.network.link_table,
        ),
    )
    return checked_selection(federation.policy, view, rng=federation.streams("cohort", round_id))
