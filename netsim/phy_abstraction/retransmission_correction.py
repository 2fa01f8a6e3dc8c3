"""What moves while a block is in flight: the fade between its copies, the margin of the outer loop.

:mod:`netsim.phy_abstraction.goodput` lets all copies of a block meet the fade of the first, and the
loop settle at every fade. Both are wrong where MCS 0 is too fast for the fades: most blocks then
need copies, and each comes a round trip of 8 slots later. Over 4 to 12 ms at walking speed a deep
fade passes. A block of few bits, begun in the fade, then takes slots that could carry many, and one
begun before it must be repeated through it. The loop, for its part, has one margin for all fades,
and lessons of MCS 0 that count one way only (:meth:`netsim.phy.outer_loop.OuterLoop.step_db`).

So the processes of a transfer that has blocks in every slot are played out at set-up, on series of
the fading process (:mod:`netsim.phy_abstraction.harq_simulation`), and what comes of it is
tabulated as the difference from the model that stands still.

Under a scheduler of winners a transfer has blocks in its good times only. What it repeats then
meets the next of these, not the fade that follows a peak, and its margin learns at peaks. For those
who contend the processes are played out on the fades of winners.

Clients at the limit of their power hold fewer blocks in a fade (:mod:`netsim.phy.power_headroom`),
so what a block carries, and with it what a slot is worth, depends on how far they can gather their
power.

Left out: gaps between the slots of one transfer under TDD, a change of the share from one copy to
the next.
"""

import numpy as np
from jaxtyping import Float

from netsim.interpolation import RegularTable, hat_weights
from netsim.phy.harq import MAX_TRANSMISSIONS
from netsim.phy.link_adaptation import RateTable
from netsim.phy.outer_loop import OuterLoop
from netsim.phy_abstraction.goodput import Adaptation, Contention, Reserve
from netsim.phy_abstraction.harq_simulation import WARM_UP_STEPS, FadingTraces, simulate_harq
from netsim.units import floored_db

MEAN_LOWEST_DB, MEAN_HIGHEST_DB, MEAN_STEP_DB = -44.0, 44.0, 2.0
FADE_LOWEST_DB, FADE_HIGHEST_DB, FADE_STEP_DB = -24.0, 9.0, 1.5
ROOM_STEP = 2**0.5
"""Ratio of neighbouring numbers of blocks among which power can be gathered. With these steps the
table gives the mean of what was played out to 0.7 %, at mean SINRs of -21 to 0 dB on 51 blocks;
with steps of 2 it was 1.0 % on 11 blocks, not scaled as below."""

GATHERS_UP_TO_DB = 10.0
"""Mean SINR on all blocks above which power is gathered in few fades: what moves is then taken to
cost the same whatever the room."""

MANY_CONTENDERS = 4
"""So many or more contend: what is played out for them, and read for two by half. It moves with
their number by 1.5 % of the rate at most (2 to 12 alike at -18 to 6 dB)."""

FEWEST = 3.0
"""Weight of a point of the table that counts as well founded: below it the difference shrinks."""


class RetransmissionCorrection:
    """Another adaptation, corrected by what changes between the copies of a block.

    Parameters
    ----------
    still
        Outcome at a fade that stays.
    rates
        Error rates, and the MCS for a measured SINR.
    fades
        Of links that are served in every slot.
    contested
        Of links that win against others, ``MANY_CONTENDERS`` in all; ``None`` under a scheduler
        that does not look at fades.
    outer_loop
        Its steps; ``None`` without one.
    most_blocks
        Blocks of the band: power can be gathered from so many into one.
    """

    def __init__(
        self,
        still: Adaptation,
        rates: RateTable,
        *,
        fades: FadingTraces,
        contended: FadingTraces | None = None,
        outer_loop: OuterLoop | None,
        most_blocks: int,
    ) -> None:
        self._still = still
        self.depends_on_contention = contended is not None
        """Whether it matters among whom the scheduler chooses."""
        tables = [
            _difference(still, rates, fades=each, outer_loop=outer_loop, most_blocks=most_blocks)
            for each in (fades, contended)
            if each is not None
        ]
        lowest, step = [MEAN_LOWEST_DB, 0.0, FADE_LOWEST_DB], [MEAN_STEP_DB, 1.0, FADE_STEP_DB]
        if self.depends_on_contention:
            lowest, step = [0.0, *lowest], [np.log(MANY_CONTENDERS), *step]
        self._difference = RegularTable(
            np.stack(tables, axis=1) if self.depends_on_contention else tables[0],
            lowest=lowest,
            step=step,
        )

    def efficiency(
        self, sinr: Float[np.ndarray, "..."], contention: Contention | None = None
    ) -> Float[np.ndarray, "..."]:
        """Return what schedulers and power headroom go by: goodput at a fade that stays."""
        return self._still.efficiency(sinr, contention)

    def outcome(
        self,
        sinr: Float[np.ndarray, "..."],
        fade: Float[np.ndarray, "..."],
        contention: Contention | None = None,
        reserve: Reserve | None = None,
    ) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
        """Return goodput and transmissions (:class:`netsim.phy_abstraction.goodput.Adaptation`)."""
        efficiency, transmissions = self._still.outcome(sinr, fade, contention)
        fade_db = floored_db(fade)
        now, most = (1.0, 1.0) if reserve is None else reserve
        spread = sinr * now / most
        mean_db = floored_db(spread) - fade_db
        room = np.log(most) / np.log(ROOM_STEP)
        at = [mean_db, room, fade_db]
        if self.depends_on_contention:
            at.insert(0, np.log(1 if contention is None else contention.num_contenders))
        gained, fresher = self._difference(*at)
        first = np.minimum(np.maximum(1.0 / transmissions + fresher, 1.0 / MAX_TRANSMISSIONS), 1.0)
        gained = gained * _slot_scale(spread, most) / now
        return np.maximum(efficiency + gained, 0.0), 1.0 / first


def _difference(
    still: Adaptation,
    rates: RateTable,
    *,
    fades: FadingTraces,
    outer_loop: OuterLoop | None,
    most_blocks: int,
) -> Float[np.ndarray, "2 mean room fade"]:
    """Play blocks out; give what they gain on ``still``, and how many more of them are first ones.

    Gains are of bits for an element of a slot, over :func:`_slot_scale`.
    """
    all_mean_db = np.arange(MEAN_LOWEST_DB, MEAN_HIGHEST_DB + 1e-9, MEAN_STEP_DB)
    fade_knot_db = np.arange(FADE_LOWEST_DB, FADE_HIGHEST_DB + 1e-9, FADE_STEP_DB)
    room = ROOM_STEP ** np.arange(1 + int(np.ceil(np.log(most_blocks) / np.log(ROOM_STEP))))
    gathers = all_mean_db <= GATHERS_UP_TO_DB
    mean_db, rooms = (each.ravel() for each in np.meshgrid(all_mean_db, room, indexing="ij"))
    is_played = (mean_db <= GATHERS_UP_TO_DB) | (rooms == 1.0)
    case_mean_db, case_room = mean_db[is_played], rooms[is_played]
    case_mean = 10.0 ** (case_mean_db / 10)
    played = simulate_harq(
        rates,
        still.efficiency,
        mean=case_mean[:, None],
        room=case_room[:, None],
        fades=fades,
        outer_loop=outer_loop,
    )
    counted = slice(WARM_UP_STEPS, len(fades.known) - MAX_TRANSMISSIONS)
    fade = fades.known[counted]
    efficiency, transmissions = still.outcome(
        played.sinr[counted], np.broadcast_to(fade[:, None], played.sinr[counted].shape)
    )
    # By what the slot carries, not a block, over a rate that is near to it in all cases: then
    # little is left to interpolate, and it keeps the mean over fades.
    spread = case_mean[:, None] * fade[:, None]
    scale = _slot_scale(spread, case_room[:, None])
    blocks = spread * case_room[:, None] / played.sinr[counted]
    gained = blocks * (played.bits[counted] - efficiency)
    fresher = played.first_share[counted] - 1.0 / transmissions
    weight = hat_weights(floored_db(fade).ravel(), fade_knot_db)  # (sample, fade)
    count = weight.sum(axis=0)
    tables = np.empty((2, len(all_mean_db), len(room), len(fade_knot_db)))
    for table, found, unit in zip(
        tables, (gained, fresher), (scale, np.ones_like(scale)), strict=True
    ):
        total, units = (
            np.moveaxis(each, 1, 0).reshape(len(case_mean), -1) @ weight for each in (found, unit)
        )
        units *= 1.0 + FEWEST / np.maximum(count, FEWEST / 100)
        by_case = np.divide(total, units, out=np.zeros_like(total), where=units > 0)
        does_gather = case_mean_db <= GATHERS_UP_TO_DB
        table[gathers] = by_case[does_gather].reshape(table[gathers].shape)
        table[~gathers] = by_case[~does_gather][:, None]
    return tables


def _slot_scale(
    spread: Float[np.ndarray, "..."], room: Float[np.ndarray, "..."] | float
) -> Float[np.ndarray, "..."]:
    """Return the capacity of all blocks over that of one block at 0 dB."""
    return room * np.log2(1.0 + spread)
