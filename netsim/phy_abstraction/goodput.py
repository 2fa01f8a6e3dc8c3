"""Mean goodput and number of transmissions under link adaptation, as functions of SINR and fade.

The MCS is selected by a channel measurement that is some slots old, corrected by an outer loop, if
there is one, until the BLER of first transmissions is the target. Over a fading channel the gain
during the transmission differs from the measured one; the mean over that difference is tabulated
once. :mod:`netsim.engines.slot` simulates the same process block by block.

The outer loop is taken to be in steady state at every SINR and fade: it mixes the two neighbouring
MCS between which the BLER passes the target, in the shares that meet the target. That is exact for
a static channel, and the limit of a loop that is fast against the fading. A real one has one margin
for all fades: :mod:`netsim.phy_abstraction.retransmission_correction` corrects for that, and for
the fades of retransmissions. Schedulers and power headroom use the uncorrected values.

One effect is neglected: a scheduler that follows fades serves rising ones more often, which are
better than measured, so the loss by measurement delay is overestimated (by 4 % of the rate at 4
slots of 0.5 ms and walking speed).
"""

from collections.abc import Callable
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from scipy.sparse import csr_array
from scipy.special import gammaincinv, ndtri

from netsim.interpolation import PairedTables, RegularTable
from netsim.phy.link_adaptation import GRID_HIGHEST_DB, GRID_LOWEST_DB, GRID_STEP_DB, RateTable
from netsim.phy_abstraction.table_cache import Kept, computed
from netsim.units import floored_db

SINR_STEP_DB = 0.25
FADE_LOWEST_DB = -36.0
FADE_HIGHEST_DB = 12.0
FADE_STEP_DB = 1.5
PARALLEL_NODES, ORTHOGONAL_NODES = 40, 4
"""Quantiles of the change of the complex gains, parallel and orthogonal to them."""


@runtime_checkable
class Adaptation(Protocol):
    """Mean outcome of link adaptation; arguments broadcast."""

    def efficiency(self, sinr: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Return the goodput in bits per resource element at a fade of 0 dB.

        Retransmissions and losses are included. ``sinr`` is the linear effective SINR.
        """
        ...

    def outcome(
        self, sinr: Float[np.ndarray, "..."], fade: Float[np.ndarray, "..."]
    ) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
        """Return the goodput in bits per resource element, and the transmissions of each block.

        Parameters
        ----------
        sinr
            Linear effective SINR, fading included.
        fade
            Linear power gain of the fading in it, with mean 1.
        """
        ...

    def settled_margin_db(self, mean_sinr: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Return the mean margin of the outer loop in its steady state [dB], by mean SINR."""
        ...


OutcomeAtDb = Callable[
    [Float[np.ndarray, "..."], Float[np.ndarray, "..."]], Float[np.ndarray, "2 2 ..."]
]
"""By SINR and fade [dB], of one shape: goodput and transmissions (first axis), and the two
functions of a table beside them (second axis)."""


class StaticAdaptation(Adaptation, Protocol):
    """Mean outcome at a constant fade."""

    def beside(self, difference: RegularTable) -> OutcomeAtDb:
        """Return a function that gives the outcome and, beside it, two functions of a table.

        The arguments of the table are the mean SINR without the fade and the fade [dB].
        """
        ...


class KnownChannel:
    """Link adaptation with a channel that does not change between measurement and transmission.

    Parameters
    ----------
    rates
        Error rates, and the MCS for a measured SINR.
    has_outer_loop
        Whether an outer loop keeps the target BLER of ``rates``.
    """

    def __init__(self, rates: RateTable, *, has_outer_loop: bool) -> None:
        self._sinr_db = rates.grid_db
        outcome = _select(rates, _outcomes(rates), rates.grid_db, has_outer_loop=has_outer_loop)
        self._efficiency, self._transmissions = outcome

    def efficiency(self, sinr: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Return the goodput; linear in dB between points 0.05 dB apart, 0 below the first."""
        return np.interp(floored_db(sinr), self._sinr_db, self._efficiency, left=0.0)

    def outcome(
        self, sinr: Float[np.ndarray, "..."], fade: Float[np.ndarray, "..."]
    ) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
        """Return goodput and transmissions, see :class:`Adaptation`."""
        del fade
        return self._at_db(floored_db(sinr))

    def beside(self, difference: RegularTable) -> OutcomeAtDb:
        """Return the outcome beside a table, see :class:`StaticAdaptation`."""

        def outcome(
            sinr_db: Float[np.ndarray, "..."], fade_db: Float[np.ndarray, "..."]
        ) -> Float[np.ndarray, "2 2 ..."]:
            known = np.array(self._at_db(sinr_db))
            return np.stack([known, difference(sinr_db - fade_db, fade_db)], axis=1)

        return outcome

    def _at_db(
        self, sinr_db: Float[np.ndarray, "..."]
    ) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
        return (
            np.interp(sinr_db, self._sinr_db, self._efficiency, left=0.0),
            np.interp(sinr_db, self._sinr_db, self._transmissions),
        )

    def settled_margin_db(self, mean_sinr: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Return 0: what is measured is met."""
        return np.zeros_like(mean_sinr)


class DelayedKnowledge:
    """Link adaptation with measured gains that are older values of complex Gaussian processes.

    With ``g`` the measured gains of B antennas and ``f = |g|^2 / B`` their fade, the gains during
    the transmission are ``sqrt(1 - q) g + sqrt(q) e`` with e standard complex normal and ``q = (1 -
    rho^2) v``: rho is the correlation over the delay, v the share of an antenna's power that fades
    (1 for Rayleigh). So the fade changes by the factor ``(sqrt(1 - q) + sqrt(s) x)^2 + s y`` with
    ``s = q / (2 B f)``, x standard normal and y chi-squared with ``2 B - 1`` degrees of freedom.
    The fade of the engines is the measured one, by which schedulers decide. Retransmissions are
    taken to have the SINR of the first transmission (their change is a correction made elsewhere),
    so goodput is the mean over e of the bits decoded per transmission, not the ratio of the two
    means.

    Parameters
    ----------
    rates
        Error rates, and the MCS for a measured SINR.
    correlation
        rho, of the complex gain over the delay, in [-1, 1].
    fading_share
        v, in [0, 1].
    num_branches
        B, effective number of independent antennas, >= 1.
    has_outer_loop
        Whether an outer loop keeps the target BLER of ``rates``.
    kept
        Where the table is kept.
    """

    def __init__(
        self,
        rates: RateTable,
        *,
        correlation: float,
        fading_share: float,
        num_branches: float = 1.0,
        has_outer_loop: bool,
        kept: Kept = computed,
    ) -> None:
        self._sinr_db = np.arange(GRID_LOWEST_DB, GRID_HIGHEST_DB + 1e-9, SINR_STEP_DB)
        self._fade_db = np.arange(FADE_LOWEST_DB, FADE_HIGHEST_DB + 1e-9, FADE_STEP_DB)
        values = kept(
            "delayed_knowledge",
            lambda: self._values(
                rates,
                changed_share=(1.0 - correlation**2) * fading_share,
                num_branches=num_branches,
                has_outer_loop=has_outer_loop,
            ),
        )
        self._outcome = RegularTable(
            values, lowest=(GRID_LOWEST_DB, FADE_LOWEST_DB), step=(SINR_STEP_DB, FADE_STEP_DB)
        )
        self._at_0_db = values[0][:, int(np.abs(self._fade_db).argmin())]

    def _values(
        self, rates: RateTable, *, changed_share: float, num_branches: float, has_outer_loop: bool
    ) -> Float[np.ndarray, "2 sinr fade"]:
        """Return goodput and transmissions."""
        known = _outcomes(rates)
        x, y = np.meshgrid(
            _normal_nodes(PARALLEL_NODES),
            _chi_nodes(ORTHOGONAL_NODES, degrees_of_freedom=2 * num_branches - 1),
        )
        change = np.sqrt(changed_share / (2 * num_branches)) * (x + 1j * y).ravel()
        amplitude = 10.0 ** (self._fade_db / 20)
        ratios = np.abs(np.sqrt(1 - changed_share) + change / amplitude[:, None]) ** 2
        tables = []
        for ratio_db in floored_db(ratios):
            mean = _mean_over(known, ratio_db, self._sinr_db)
            tables.append(_select(rates, mean, self._sinr_db, has_outer_loop=has_outer_loop))
        return np.moveaxis(np.array(tables), 0, -1)

    def efficiency(self, sinr: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Return the goodput at a fade of 0 dB, see :class:`Adaptation`."""
        return np.interp(floored_db(sinr), self._sinr_db, self._at_0_db, left=0.0)

    def outcome(
        self, sinr: Float[np.ndarray, "..."], fade: Float[np.ndarray, "..."]
    ) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
        """Return goodput and transmissions, see :class:`Adaptation`."""
        sinr_db = floored_db(sinr)
        efficiency, transmissions = self._outcome(sinr_db, floored_db(fade))
        return efficiency * (sinr_db >= GRID_LOWEST_DB), transmissions

    def beside(self, difference: RegularTable) -> OutcomeAtDb:
        """Return the outcome beside a table, see :class:`StaticAdaptation`."""
        tables = PairedTables(self._outcome, difference)

        def outcome(
            sinr_db: Float[np.ndarray, "..."], fade_db: Float[np.ndarray, "..."]
        ) -> Float[np.ndarray, "2 2 ..."]:
            found = tables(sinr_db, sinr_db - fade_db, fade_db)
            found[0, 0] *= sinr_db >= GRID_LOWEST_DB
            return found

        return outcome

    def settled_margin_db(self, mean_sinr: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Return 0: a loop that is settled at every fade has no margin of its own."""
        return np.zeros_like(mean_sinr)


class _ByMcs(NamedTuple):
    """Outcome of transmissions with each MCS in use, by SINR."""

    first_error: Float[np.ndarray, "rung sinr"]
    """BLER of the first transmission."""
    efficiency: Float[np.ndarray, "rung sinr"]
    """Bits decoded per resource element, retransmissions included."""
    first_share: Float[np.ndarray, "rung sinr"]
    """Share of transmissions that are first ones."""


def _outcomes(rates: RateTable) -> _ByMcs:
    """Return the outcome at a known SINR, on the grid of the rate table."""
    mcs = rates.mcs_in_use
    transmissions = rates.harq.mean_transmissions[mcs]
    bits = rates.mcs.spectral_efficiency[mcs, None] * (1 - rates.harq.residual_error[mcs])
    return _ByMcs(
        first_error=rates.first_error[mcs],
        efficiency=bits / transmissions,
        first_share=1.0 / transmissions,
    )


def _mean_over(
    known: _ByMcs, ratio_db: Float[np.ndarray, " draw"], sinr_db: Float[np.ndarray, " sinr"]
) -> _ByMcs:
    """Return the mean over equally likely ratios of the actual SINR to the measured one."""
    num_points = known.first_error.shape[1]
    shift, times = np.unique(np.round(ratio_db / GRID_STEP_DB), return_counts=True)
    base = np.round((sinr_db - GRID_LOWEST_DB) / GRID_STEP_DB)
    point = np.clip(base[:, None] + shift, 0, num_points - 1).astype(np.intp)
    row = np.repeat(np.arange(len(base)), len(shift))
    weight = np.tile(times / len(ratio_db), len(base))
    mean_of = csr_array((weight, (row, point.ravel())), shape=(len(base), num_points))
    columns = mean_of @ np.concatenate(known).T
    return _ByMcs(*np.split(columns.T, len(known)))


def _select(
    rates: RateTable,
    by_mcs: _ByMcs,
    sinr_db: Float[np.ndarray, " sinr"],
    *,
    has_outer_loop: bool,
) -> tuple[Float[np.ndarray, " sinr"], Float[np.ndarray, " sinr"]]:
    """Return goodput and transmissions with the MCS selected at measured SINRs.

    Without an outer loop that is the MCS of the rate table. With it, a mix of the fastest MCS that
    meets the target BLER and the next one, in the shares that have the target BLER.
    """
    column = np.arange(len(sinr_db))
    if has_outer_loop:
        error = np.maximum.accumulate(by_mcs.first_error, axis=0)
        target = rates.target_block_error
        low = np.maximum((error <= target).sum(axis=0) - 1, 0)
        high = np.minimum(low + 1, len(error) - 1)
        gap = error[high, column] - error[low, column]
        spare = np.maximum(target - error[low, column], 0.0)
        high_share = np.divide(spare, gap, out=np.zeros_like(gap), where=gap > spare)
    else:
        just_above = 10.0 ** ((sinr_db + 1e-6) / 10)
        low = np.searchsorted(rates.mcs_in_use, rates.mcs_index(just_above))
        high, high_share = low, np.zeros(len(low))
    sent_low = (1 - high_share) / by_mcs.first_share[low, column]
    sent_high = high_share / by_mcs.first_share[high, column]
    sent = sent_low + sent_high
    decoded = sent_low * by_mcs.efficiency[low, column]
    decoded += sent_high * by_mcs.efficiency[high, column]
    return decoded / sent, sent


def _normal_nodes(count: int) -> list[float]:
    """Return the midpoint quantiles of the standard normal distribution."""
    return list(ndtri((np.arange(count) + 0.5) / count))


def _chi_nodes(count: int, *, degrees_of_freedom: float) -> list[float]:
    """Return quantiles of the chi distribution, those of the modulus of normal midpoints.

    With one degree of freedom they are the moduli of :func:`_normal_nodes`, each twice.
    """
    level = np.abs(2.0 * (np.arange(count) + 0.5) / count - 1.0)
    return list(np.sqrt(2.0 * gammaincinv(degrees_of_freedom / 2.0, level)))
