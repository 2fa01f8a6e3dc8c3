"""Blocks that clients limited in power do not use go to the others of their cell.

A scheduler that looks at no rates (``uses_rates = False``) answers as if everybody could use what
it gives, side by side. Where a client cannot (see :mod:`netsim.phy.power_headroom`), it is asked
again about the others, who share what is left by the same rule: round robin evenly. This is
repeated until less than a block is left or nobody can use more.

Schedulers that look at rates see what a fraction is worth to whom and have decided so. Equal finish
wants all to end together, which extra blocks for some would undo. Proportional fair, max C/I,
minimum energy and earliest deadline (``is_exclusive``) schedule one user a group and slot; blocks
that it does not use stay empty, in both engines.

References
----------
Power headroom reports (TS 38.321 clause 6.1.3.8, as recollected) are there for this; the rule
itself is a scheduler's own affair and not in any standard. This one is our choice.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float

from netsim.mac.schedulers.view import CellView
from netsim.phy.power_headroom import FULL_RTOL

Ask = Callable[[CellView], Float[np.ndarray, "bearer group"]]
Use = Callable[[Float[np.ndarray, " bearer"]], Float[np.ndarray, " bearer"]]


def redistribute_unused_blocks(
    ask: Ask,
    view: CellView,
    shares: Float[np.ndarray, "bearer group"],
    *,
    use: Use,
    block: float,
) -> Float[np.ndarray, "bearer group"]:
    """Return shares in which other bearers hold the blocks that some do not use.

    Parameters
    ----------
    ask
        Gives the checked shares of a view.
    view
        Who was asked about.
    shares
        The answer.
    use
        Gives, for the part of the band that the client of each holds over all its bearers, the part
        that it uses.
    block
        Part of the band that one block is; less is not redistributed.

    Returns
    -------
    array
        Shares that are all used. Who once left some is given no more.
    """
    is_same = (view.client_id[:, None] == view.client_id).astype(float)
    is_open = np.ones(len(shares), dtype=bool)
    while True:
        held = is_same @ shares.mean(axis=1)
        used = use(held)
        # Who has been cut is not to be cut once more.
        is_over = is_open & (used < held * (1 - FULL_RTOL))
        if is_over.any():
            shares = shares * np.where(is_over, used / np.where(is_over, held, 1.0), 1.0)[:, None]
        is_open &= ~is_over
        rest = np.maximum(1.0 - shares.sum(axis=0), 0.0)
        if rest.mean() < block * (1 - FULL_RTOL) or not is_open.any() or not is_over.any():
            return shares
        shares = shares.copy()  # may be what the scheduler keeps
        shares[is_open] += ask(part_of(view, is_open)) * rest


def part_of(view: CellView, chosen: Bool[np.ndarray, " bearer"]) -> CellView:
    """Return the view of some of the bearers; the others are taken to hold nothing."""
    if chosen.all():
        return view
    return CellView(
        now_s=view.now_s,
        client_id=view.client_id[chosen],
        remaining_bits=view.remaining_bits[chosen],
        requested_at_s=view.requested_at_s[chosen],
        deadline_at_s=view.deadline_at_s[chosen],
        group_rate_bps=view.group_rate_bps[chosen],
        average_rate_bps=view.average_rate_bps[chosen],
        rate_bps=lambda fraction: view.rate_bps(_spread(fraction, chosen))[chosen],
        power_w=lambda fraction: view.power_w(_spread(fraction, chosen))[chosen],
    )


def _spread(
    fraction: Float[np.ndarray, " some"], chosen: Bool[np.ndarray, " bearer"]
) -> Float[np.ndarray, " bearer"]:
    whole = np.zeros(len(chosen))
    whole[chosen] = fraction
    return whole
