"""What link adaptation makes of a SINR, on average: goodput and transmissions.

The MCS is chosen by a channel that was measured some slots ago, and by an outer loop, if there is
one, that corrects the measurement until the target share of first transmissions fails. When the
channel fades, the measured gain differs from the one that the block meets, and the mean over that
difference is taken once, in a table. :mod:`netsim.engines.slot` plays the same process out block by
block.

The loop is taken to be settled at every SINR and fade: it uses the two neighbouring MCS between
which the error rate passes the target, each as often as it takes to meet the target exactly. That
is exact for a channel that stands still and the limit of a loop that is fast against fading. A real
one has one margin for all fades: :mod:`netsim.phy_abstraction.retransmission_correction` corrects
for that, and for the fades that later copies of a block meet. Schedulers and power headroom go by
what is said here.

One thing is left out: a scheduler of winners tends to serve rising fades, which are better than
measured, so what is lost by age is overrated for it (by 4 % of the rate at 4 slots of 0.5 ms and
walking speed).
"""

from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array
from scipy.special import ndtri

from netsim.interpolation import RegularTable
from netsim.phy.link_adaptation import GRID_HIGHEST_DB, GRID_LOWEST_DB, GRID_STEP_DB, RateTable
from netsim.units import floored_db

SINR_STEP_DB = 0.25
FADE_LOWEST_DB = -36.0
FADE_HIGHEST_DB = 12.0
FADE_STEP_DB = 1.5
RADIAL_NODES, TURNING_NODES = 40, 4
"""Equally likely values of the difference along the gain and across it; the first decides."""


class Contention(NamedTuple):
    """Among whom a scheduler of winners chooses; arrays broadcast with SINRs."""

    num_contenders: Int[np.ndarray, "..."]
    """Bearers of the cell and direction, this one included, >= 1."""
    limited: Float[np.ndarray, "..."]
    """How far the winner's power is spread thinner over the whole band than over an equal split, at
    which rates are compared: 0 not at all, 1 in full
    (:class:`netsim.phy_abstraction.scheduled_fading.ScheduledFading`). Only means over fading look
    at it."""


class Reserve(NamedTuple):
    """How much thinner than it must a sender spreads its power; arrays broadcast with SINRs.

    SINR with the fewest blocks that power control allows (one, or as many as the limit of power
    leaves at full density) over that with ..., both >= 1.
    """

    now: Float[np.ndarray, "..."]
    """... the blocks used."""
    most: Float[np.ndarray, "..."]
    """... all blocks granted; at least the other."""


@runtime_checkable
class Adaptation(Protocol):
    """Mean outcome of link adaptation; arguments broadcast.

    ``contention`` tells among whom the scheduler chooses, ``None`` is a transfer alone.
    """

    depends_on_contention: bool
    """Whether that matters: fades served are those of winners."""

    def efficiency(
        self, sinr: Float[np.ndarray, "..."], contention: Contention | None = None
    ) -> Float[np.ndarray, "..."]:
        """Return goodput in bits per resource element when the fade is neither good nor bad.

        Repetitions and losses are counted. ``sinr`` is the linear effective SINR.
        """
        ...

    def outcome(
        self,
        sinr: Float[np.ndarray, "..."],
        fade: Float[np.ndarray, "..."],
        contention: Contention | None = None,
        reserve: Reserve | None = None,
    ) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
        """Return goodput in bits per resource element, and transmissions for each block sent.

        Parameters
        ----------
        sinr
            Linear effective SINR.
        fade
            Linear power gain that fading contributes to it, mean 1.
        contest
            See above.
        reserve
            Matters where blocks in flight meet other fades
            (:mod:`netsim.phy_abstraction.retransmission_correction`); ``None`` is a sender that
            uses all its blocks in every fade.
        """
        ...


class KnownChannel:
    """The channel does not change between measurement and transmission.

    Parameters
    ----------
    rates
        Error rates, and the MCS for a measured SINR.
    has_outer_loop
        Whether acknowledgements correct the choice to the target error rate of ``rates``.
    """

    depends_on_contention = False

    def __init__(self, rates: RateTable, *, has_outer_loop: bool) -> None:
        self._sinr_db = rates.grid_db
        outcome = _choose(rates, _outcomes(rates), rates.grid_db, has_outer_loop=has_outer_loop)
        self._efficiency, self._transmissions = outcome

    def efficiency(
        self, sinr: Float[np.ndarray, "..."], contention: Contention | None = None
    ) -> Float[np.ndarray, "..."]:
        """Return goodput; linear in dB between points 0.05 dB apart, 0 below the first."""
        del contention
        return np.interp(floored_db(sinr), self._sinr_db, self._efficiency, left=0.0)

    def outcome(
        self,
        sinr: Float[np.ndarray, "..."],
        fade: Float[np.ndarray, "..."],
        contention: Contention | None = None,
        reserve: Reserve | None = None,
    ) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
        """Return goodput and transmissions, see :class:`Adaptation`."""
        del fade, contention, reserve
        return self.efficiency(sinr), np.interp(
            floored_db(sinr), self._sinr_db, self._transmissions
        )


class DelayedKnowledge:
    """The measured gain is an older value of a complex Gaussian process.

    With ``g`` the gain that was measured, ``f = |g|^2`` its fade, the block meets
    ``sqrt(1 - q) g + sqrt(q) e`` with e standard complex normal and ``q = (1 - rho^2) v``: rho is
    the correlation over the delay, v the share of power that fades (1 for Rayleigh). The fade that
    engines follow is the measured one, as that is what schedulers choose by. Repetitions are taken
    to meet the same SINR as the first copy (what they really meet is a correction made elsewhere),
    so goodput is the mean over the difference of bits received per transmission, not the ratio of
    the two means.

    Parameters
    ----------
    rates
        Error rates, and the MCS for a measured SINR.
    correlation
        rho, of the complex gain over the delay, in [-1, 1].
    fading_share
        v, in [0, 1].
    has_outer_loop
        Whether acknowledgements correct the choice to the target error rate of ``rates``.
    """

    depends_on_contention = False

    def __init__(
        self, rates: RateTable, *, correlation: float, fading_share: float, has_outer_loop: bool
    ) -> None:
        changed = (1.0 - correlation**2) * fading_share
        self._sinr_db = np.arange(GRID_LOWEST_DB, GRID_HIGHEST_DB + 1e-9, SINR_STEP_DB)
        self._fade_db = np.arange(FADE_LOWEST_DB, FADE_HIGHEST_DB + 1e-9, FADE_STEP_DB)
        known = _outcomes(rates)
        x, y = np.meshgrid(_normal_nodes(RADIAL_NODES), _normal_nodes(TURNING_NODES))
        scatter = np.sqrt(changed / 2) * (x + 1j * y).ravel()
        amplitude = 10.0 ** (self._fade_db / 20)
        tables = []
        for met_db in floored_db(np.abs(np.sqrt(1 - changed) + scatter / amplitude[:, None]) ** 2):
            mean = _mean_over(known, met_db, self._sinr_db)
            tables.append(_choose(rates, mean, self._sinr_db, has_outer_loop=has_outer_loop))
        values = np.moveaxis(np.array(tables), 0, -1)
        self._outcome = RegularTable(
            values, lowest=(GRID_LOWEST_DB, FADE_LOWEST_DB), step=(SINR_STEP_DB, FADE_STEP_DB)
        )
        self._plain = values[0][:, int(np.abs(self._fade_db).argmin())]

    def efficiency(
        self, sinr: Float[np.ndarray, "..."], contention: Contention | None = None
    ) -> Float[np.ndarray, "..."]:
        """Return goodput at a fade of 0 dB, see :class:`Adaptation`."""
        del contention
        return np.interp(floored_db(sinr), self._sinr_db, self._plain, left=0.0)

    def outcome(
        self,
        sinr: Float[np.ndarray, "..."],
        fade: Float[np.ndarray, "..."],
        contention: Contention | None = None,
        reserve: Reserve | None = None,
    ) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
        """Interpolate both tables linearly in both dB values; hold the edges.

        Goodput is 0 below the table's SINRs.
        """
        del contention, reserve
        sinr_db = floored_db(sinr)
        efficiency, transmissions = self._outcome(sinr_db, floored_db(fade))
        return efficiency * (sinr_db >= GRID_LOWEST_DB), transmissions


class _ByMcs(NamedTuple):
    """What comes of sending with each MCS in use, by SINR."""

    first_error: Float[np.ndarray, "rung sinr"]
    """Probability that the first transmission fails."""
    efficiency: Float[np.ndarray, "rung sinr"]
    """Bits received per resource element sent, repetitions counted."""
    first_copies: Float[np.ndarray, "rung sinr"]
    """Share of transmissions that are first ones."""


def _outcomes(rates: RateTable) -> _ByMcs:
    """Return what comes of a known SINR, on the rate table's grid."""
    mcs = rates.mcs_in_use
    transmissions = rates.harq.mean_transmissions[mcs]
    bits = rates.mcs.spectral_efficiency[mcs, None] * (1 - rates.harq.residual_error[mcs])
    return _ByMcs(
        first_error=rates.first_error[mcs],
        efficiency=bits / transmissions,
        first_copies=1.0 / transmissions,
    )


def _mean_over(
    known: _ByMcs, met_db: Float[np.ndarray, " draw"], sinr_db: Float[np.ndarray, " sinr"]
) -> _ByMcs:
    """Return the mean over equally likely ratios of the SINR met to the one measured."""
    num_points = known.first_error.shape[1]
    shift, times = np.unique(np.round(met_db / GRID_STEP_DB), return_counts=True)
    base = np.round((sinr_db - GRID_LOWEST_DB) / GRID_STEP_DB)
    point = np.clip(base[:, None] + shift, 0, num_points - 1).astype(np.intp)
    row = np.repeat(np.arange(len(base)), len(shift))
    weight = np.tile(times / len(met_db), len(base))
    take = csr_array((weight, (row, point.ravel())), shape=(len(base), num_points))
    columns = take @ np.concatenate(known).T
    return _ByMcs(*np.split(columns.T, len(known)))


def _choose(
    rates: RateTable,
    by_mcs: _ByMcs,
    sinr_db: Float[np.ndarray, " sinr"],
    *,
    has_outer_loop: bool,
) -> tuple[Float[np.ndarray, " sinr"], Float[np.ndarray, " sinr"]]:
    """Return goodput and transmissions with the MCS that are chosen at measured SINRs.

    Without an outer loop that is the one the rate table gives. With it, the fastest that meets the
    target share of errors, and the next one so often that the share is met exactly.
    """
    column = np.arange(len(sinr_db))
    if has_outer_loop:
        error = np.maximum.accumulate(by_mcs.first_error, axis=0)
        target = rates.target_block_error
        low = np.maximum((error <= target).sum(axis=0) - 1, 0)
        high = np.minimum(low + 1, len(error) - 1)
        gap = error[high, column] - error[low, column]
        spare = np.maximum(target - error[low, column], 0.0)
        often = np.divide(spare, gap, out=np.zeros_like(gap), where=gap > spare)
    else:
        just_above = 10.0 ** ((sinr_db + 1e-6) / 10)
        low = np.searchsorted(rates.mcs_in_use, rates.mcs_index(just_above))
        high, often = low, np.zeros(len(low))
    sent_low = (1 - often) / by_mcs.first_copies[low, column]
    sent_high = often / by_mcs.first_copies[high, column]
    sent = sent_low + sent_high
    received = sent_low * by_mcs.efficiency[low, column]
    received += sent_high * by_mcs.efficiency[high, column]
    return received / sent, sent


def _normal_nodes(count: int) -> list[float]:
    """Return the medians of equally likely parts of the standard normal distribution."""
    return list(ndtri((np.arange(count) + 0.5) / count))
