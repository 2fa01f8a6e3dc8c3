"""How many of the blocks it is granted a client really uses: the limits of one transmitter.

A client that is limited in power spreads it thinner with every further block, down to SINRs at
which nothing gets through. A site knows the power headroom of its clients (reports of TS 38.321
clause 6.1.3.8, as recollected) and lets them use no more blocks than help; the others of the grant
go to others of the cell or stay empty, see :mod:`netsim.mac.unused_blocks`.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

FULL_RTOL = 1e-9
"""Numbers of blocks this close count as equal."""

LOWEST_DB, HIGHEST_DB, STEP_DB = -25.0, 60.0, 0.05


class BestBitsPerWatt:
    """At which SINR a watt carries most, among those that fewer blocks can reach.

    With its power at the limit a client at SINR g carries ``f(g) = efficiency(g) / g`` for each
    watt, whatever its number of blocks. With fewer blocks it can have any larger SINR: the best is
    where f is largest at or above g. Rates are then never lower with more blocks granted.

    Parameters
    ----------
    efficiency
        Goodput in bits per resource element at a linear SINR.
    """

    def __init__(
        self, efficiency: Callable[[Float[np.ndarray, " point"]], Float[np.ndarray, " point"]]
    ) -> None:
        grid_db = np.arange(LOWEST_DB, HIGHEST_DB + STEP_DB / 2, STEP_DB)
        self._grid = 10.0 ** (grid_db / 10)
        per_watt = efficiency(self._grid) / self._grid
        from_above = np.maximum.accumulate(per_watt[::-1])[::-1]
        # the first point at or above each one that attains the best there is from it on
        is_best = per_watt >= from_above
        points = np.arange(len(grid_db))
        self._best = np.minimum.accumulate(np.where(is_best, points, len(points))[::-1])[::-1]

    def sinr(self, sinr: Float[np.ndarray, "*link"]) -> Float[np.ndarray, "*link"]:
        """Give the SINR to go up to, at least ``sinr``; that of the table's top stays as it is."""
        place_db = 10 * np.log10(np.maximum(sinr, self._grid[0]))
        place = np.floor((place_db - LOWEST_DB) / STEP_DB).astype(np.intp)
        place = np.minimum(place, len(self._grid) - 1)
        best = self._best[place]
        return np.where(best > place, np.maximum(self._grid[best], sinr), sinr)


def per_transmitter(
    client: Int[np.ndarray, " transfer"],
    blocks: Float[np.ndarray, "... transfer"],
    activity: Float[np.ndarray, "... transfer"],
) -> tuple[Float[np.ndarray, "... transfer"], Float[np.ndarray, "... transfer"]]:
    """Give the blocks that each transfer's client holds at once, and the transfer's airtime share.

    A client's transfers are on air together unless they take turns (activities sum to at most 1).
    One transmitter sends them all: they share its power and its time on air.
    """
    if len(set(client.tolist())) == len(client):
        return blocks, np.ones(blocks.shape)
    _, place = np.unique(client, return_inverse=True)

    def summed(values: Float[np.ndarray, "... transfer"]) -> Float[np.ndarray, "... transfer"]:
        # A sum over clients, back at each of its transfers; few clients send twice at once.
        return values @ (place[:, np.newaxis] == place)

    is_on = blocks > 0
    crowd = summed(np.where(is_on, activity, 0.0))
    are_at_once = crowd > 1 + 1e-9
    total = np.where(are_at_once, summed(blocks), blocks)
    return total, np.where(are_at_once & is_on, 1.0 / np.maximum(crowd, 1.0), 1.0)
