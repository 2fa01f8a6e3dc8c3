"""Correction of link adaptation for retransmissions and an outer loop over changing fades.

:mod:`netsim.phy_abstraction.goodput` assumes that all transmissions of a block meet the fade of the
first, and that the outer loop is in steady state at every fade. Both assumptions fail where MCS 0
is too fast for the fades: most blocks then need retransmissions, each a round trip of 8 slots
later. In the 4 to 12 ms that they take a deep fade passes at walking speed. A block of few bits,
begun in the fade, then occupies slots that could carry many, and one begun before the fade is
retransmitted through it. The outer loop has one margin for all fades, and ignores failures of MCS 0
(:meth:`netsim.phy.outer_loop.OuterLoop.step_db`).

The HARQ processes of a link that is served in every slot are therefore simulated at set-up on
traces of the fading process (:mod:`netsim.phy_abstraction.harq_simulation`), and the difference to
the static model is tabulated by mean SINR and fade.

Neglected: gaps between the slots of a transfer under TDD and among contending users, a change of
the shares between transmissions, and a change of the number of blocks of a power-limited client
(:mod:`netsim.phy.power_headroom`) within a round trip.
"""

from functools import cache, partial

import numpy as np
from jaxtyping import Float

from netsim.interpolation import RegularTable, hat_weights
from netsim.phy.harq import MAX_TRANSMISSIONS
from netsim.phy.link_adaptation import RateTable
from netsim.phy.outer_loop import OuterLoop
from netsim.phy_abstraction.goodput import StaticAdaptation
from netsim.phy_abstraction.harq_simulation import (
    FadingTraces,
    HarqTraces,
    counted_steps,
    simulate_harq,
)
from netsim.phy_abstraction.table_cache import Kept, computed
from netsim.units import floored_db

MEAN_LOWEST_DB, MEAN_HIGHEST_DB, MEAN_STEP_DB = -44.0, 44.0, 2.0
FADE_LOWEST_DB, FADE_HIGHEST_DB, FADE_STEP_DB = -24.0, 9.0, 1.5

FEWEST = 3.0
"""Samples at a fade from which its difference is trusted: with fewer it is scaled down."""


class RetransmissionCorrection:
    """Link adaptation corrected for the change of the fade between transmissions of a block.

    Parameters
    ----------
    static
        Outcome at a constant fade.
    rates
        Error rates, and the MCS for a measured SINR.
    fades
        Traces of links that are served in every slot.
    outer_loop
        Its steps; ``None`` without one.
    kept
        Where the table is kept.
    """

    def __init__(
        self,
        static: StaticAdaptation,
        rates: RateTable,
        *,
        fades: FadingTraces,
        outer_loop: OuterLoop | None,
        kept: Kept = computed,
    ) -> None:
        self._static = static
        mean_db = np.arange(MEAN_LOWEST_DB, MEAN_HIGHEST_DB + 1e-9, MEAN_STEP_DB)
        mean = 10.0 ** (mean_db[:, None] / 10)
        simulated = cache(
            partial(simulate_harq, rates, mean=mean, fades=fades, outer_loop=outer_loop)
        )
        self._margin_db = RegularTable(
            kept("settled_margin", lambda: simulated().margin_db)[None],
            lowest=(MEAN_LOWEST_DB,),
            step=(MEAN_STEP_DB,),
        )
        self._outcome = static.beside(
            RegularTable(
                kept(
                    "retransmissions",
                    lambda: _difference(static, simulated(), mean=mean, known=fades.known),
                ),
                lowest=(MEAN_LOWEST_DB, FADE_LOWEST_DB),
                step=(MEAN_STEP_DB, FADE_STEP_DB),
            )
        )

    def efficiency(self, sinr: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Return the goodput that schedulers and power headroom assume: that at a constant fade."""
        return self._static.efficiency(sinr)

    def settled_margin_db(self, mean_sinr: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Return the mean margin of the outer loop in its steady state [dB], by mean SINR."""
        return self._margin_db(floored_db(mean_sinr))[0]

    def outcome(
        self, sinr: Float[np.ndarray, "..."], fade: Float[np.ndarray, "..."]
    ) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
        """Return goodput and transmissions (:class:`netsim.phy_abstraction.goodput.Adaptation`)."""
        sinr_db, fade_db = floored_db(sinr), floored_db(fade)
        if sinr_db.shape != fade_db.shape:
            sinr_db, fade_db = np.broadcast_arrays(sinr_db, fade_db)
        (efficiency, gained), (transmissions, first_gained) = self._outcome(sinr_db, fade_db)
        first_share = 1.0 / transmissions + first_gained
        first_share = np.minimum(np.maximum(first_share, 1.0 / MAX_TRANSMISSIONS), 1.0)
        return np.maximum(efficiency + gained * np.log2(1.0 + sinr), 0.0), 1.0 / first_share


def _difference(
    static: StaticAdaptation,
    simulated: HarqTraces,
    *,
    mean: Float[np.ndarray, "mean 1"],
    known: Float[np.ndarray, "step link"],
) -> Float[np.ndarray, "2 mean fade"]:
    """Return simulated minus static goodput over capacity, and share of first transmissions.

    Over the capacity, to which goodput is nearly proportional, little is left to interpolate.
    """
    fade_knot_db = np.arange(FADE_LOWEST_DB, FADE_HIGHEST_DB + 1e-9, FADE_STEP_DB)
    counted = counted_steps(len(known))
    fade = known[counted]
    sinr = mean * fade[:, None]
    efficiency, transmissions = static.outcome(sinr, np.broadcast_to(fade[:, None], sinr.shape))
    gained = simulated.bits[counted] - efficiency
    first_gained = simulated.first_share[counted] - 1.0 / transmissions
    weight = hat_weights(floored_db(fade).ravel(), fade_knot_db)  # (sample, fade)
    count = weight.sum(axis=0)
    tables = np.empty((2, len(mean), len(fade_knot_db)))
    units = (np.log2(1.0 + sinr), np.ones(sinr.shape))
    for place, (found, unit) in enumerate(zip((gained, first_gained), units, strict=True)):
        total, scale = (
            np.moveaxis(each, 1, 0).reshape(len(mean), -1) @ weight for each in (found, unit)
        )
        scale *= 1.0 + FEWEST / np.maximum(count, FEWEST / 100)
        tables[place] = np.divide(total, scale, out=np.zeros_like(total), where=scale > 0)
    return tables
