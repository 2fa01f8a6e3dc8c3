"""Power headroom: how many of its granted blocks a power-limited client uses.

At its power limit a client has less power per block with every further block, down to SINRs at
which nothing is decoded. A site knows the power headroom of its clients (reports of TS 38.321
clause 6.1.3.8, as recollected) and lets them use only as many blocks as raise the rate. What is
here is the estimate that schedulers compare; the whole number of blocks that is used counts sizes
of transport blocks as well (:mod:`netsim.phy_abstraction.block_choice`). The rest of the grant goes
to other clients of the cell or stays empty, see :mod:`netsim.mac.unused_blocks`.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

FULL_RTOL = 1e-9
"""Relative difference below which two numbers of blocks count as equal."""

LOWEST_DB, HIGHEST_DB, STEP_DB = -25.0, 60.0, 0.05


class BestBitsPerWatt:
    """The SINR at which a power-limited client carries most bits per watt.

    At its power limit a client with SINR g carries bits in proportion to ``f(g) = efficiency(g) /
    g``, whatever its number of blocks. Using fewer blocks raises g. The best SINR is where f is
    largest at or above g, so the rate never falls when more blocks are granted.

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
        """Return the best SINR at or above ``sinr``; above the table it is ``sinr`` itself."""
        place_db = 10 * np.log10(np.maximum(sinr, self._grid[0]))
        place = np.floor((place_db - LOWEST_DB) / STEP_DB).astype(np.intp)
        place = np.minimum(place, len(self._grid) - 1)
        best = self._best[place]
        return np.where(best > place, np.maximum(self._grid[best], sinr), sinr)


def per_transmitter(
    client: Int[np.ndarray, " transfer"] | None,
    blocks: Float[np.ndarray, "... transfer"],
    activity: Float[np.ndarray, "... transfer"],
) -> tuple[Float[np.ndarray, "... transfer"], Float[np.ndarray, "... transfer"]]:
    """Return the blocks that each transfer's client holds at once, and its share of the airtime.

    Transfers of one client are on air at the same time unless their activities sum to at most 1.
    One transmitter sends them all: they share its power and its airtime.

    Parameters
    ----------
    client
        Client of each transfer; ``None`` where all are of different ones.
    blocks
        Blocks that each transfer holds while it is on air, >= 0.
    activity
        Fraction of the time that each transfer is on air, in [0, 1].
    """
    if client is None:
        return blocks, np.ones(blocks.shape)
    _, place = np.unique(client, return_inverse=True)

    def summed(values: Float[np.ndarray, "... transfer"]) -> Float[np.ndarray, "... transfer"]:
        # The sum over a client's transfers, at each of them; few clients send twice at once.
        return values @ (place[:, np.newaxis] == place)

    is_on = blocks > 0
    client_activity = summed(np.where(is_on, activity, 0.0))
    is_shared = client_activity > 1 + 1e-9
    total = np.where(is_shared, summed(blocks), blocks)
    return total, np.where(is_shared & is_on, 1.0 / np.maximum(client_activity, 1.0), 1.0)
