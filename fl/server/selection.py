"""Asking the policy, and checking what it answers."""

import numpy as np

from fl.policies.view import Candidates, Selection
from fl.server.federation import Federation


def select_clients(federation: Federation, round_id: int) -> list[int]:
    """Return the clients that the policy selects for a round, ascending.

    Raises
    ------
    ValueError
        If the answer is not a set of candidates: whole numbers, each known and at most once.
    """
    roster = federation.roster
    view = Selection(
        round=round_id,
        now_s=federation.now_s,
        candidates=Candidates(
            client_id=np.arange(len(federation.shards)),
            num_samples=roster.num_samples.copy(),
            times_selected=roster.times_selected.copy(),
            last_round=roster.last_round.copy(),
            last_loss=roster.last_loss.copy(),
            ask_links=federation.network.link_table,
        ),
    )
    answer = federation.policy.select(view, rng=federation.streams("cohort", round_id))
    chosen = list(answer) if isinstance(answer, list | tuple | range | np.ndarray) else None
    is_whole = chosen is not None and all(
        isinstance(each, int | np.integer) and not isinstance(each, bool) for each in chosen
    )
    if chosen is None or not is_whole:
        found: object = answer
    else:
        ordered = sorted(int(each) for each in chosen)
        is_known = all(each in federation.client_ids for each in ordered)
        if is_known and len(set(ordered)) == len(ordered):
            return ordered
        found = ordered
    msg = (
        f"server.policy: must select ids out of 0..{len(federation.shards) - 1}, each at most "
        f"once, got {str(found)[:80]} in round {round_id}, at {federation.now_s:g} s"
    )
    raise ValueError(msg)
