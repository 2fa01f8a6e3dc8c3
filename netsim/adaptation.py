"""What link adaptation makes of a SINR, on average: goodput and transmissions.

The MCS is chosen by a channel that was measured some slots ago. When the channel is still the
same, the rate table tells the outcome. When it fades, the measured gain differs from the one that
the block meets, and the mean over that difference is taken once, in a table. There is no outer
loop. :mod:`netsim.slot` plays the same process out block by block. One thing is left out: a
scheduler of winners tends to serve rising fades, which are better than measured, so what is lost by
age is overrated for it (by 4 % of the rate at 4 slots of 0.5 ms and walking speed).
"""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from scipy.special import ndtri

from netsim.harq import chase_combining
from netsim.link_adaptation import GRID_HIGHEST_DB, GRID_LOWEST_DB, GRID_STEP_DB, RateTable

SINR_STEP_DB = 0.25
FADE_LOWEST_DB = -36.0
FADE_HIGHEST_DB = 12.0
FADE_STEP_DB = 1.5
RADIAL_NODES, TURNING_NODES = 40, 4
"""Equally likely values of the difference along the gain and across it; the first decides."""

MEAN_LOWEST_DB = -30.0
MEAN_HIGHEST_DB = 60.0
MEAN_STEP_DB = 0.5


@runtime_checkable
class Adaptation(Protocol):
    """Mean outcome of link adaptation; arguments broadcast."""

    def efficiency(self, sinr: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Give goodput in bits per resource element when the fade is neither good nor bad.

        Repetitions and losses are counted. ``sinr`` is the linear effective SINR.
        """
        ...

    def outcome(
        self, sinr: Float[np.ndarray, "..."], fade: Float[np.ndarray, "..."]
    ) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
        """Give goodput in bits per resource element, and transmissions for each block sent.

        Parameters
        ----------
        sinr
            Linear effective SINR.
        fade
            Linear power gain that fading contributes to it, mean 1.
        """
        ...


class KnownChannel:
    """The channel does not change between measurement and transmission.

    Parameters
    ----------
    rates
        Goodput at a known SINR.
    """

    def __init__(self, rates: RateTable) -> None:
        self._rates = rates

    def efficiency(self, sinr: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Give the rate table's goodput."""
        return self._rates.spectral_efficiency(sinr)

    def outcome(
        self, sinr: Float[np.ndarray, "..."], fade: Float[np.ndarray, "..."]
    ) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
        """Give the rate table's goodput and transmissions, see :class:`Adaptation`."""
        del fade
        return self._rates.spectral_efficiency(sinr), self._rates.mean_transmissions(sinr)


class DelayedKnowledge:
    """The measured gain is an older value of a complex Gaussian process.

    With ``g`` the gain that was measured, ``f = |g|^2`` its fade, the block meets
    ``sqrt(1 - q) g + sqrt(q) e`` with e standard complex normal and ``q = (1 - rho^2) v``: rho is
    the correlation over the delay, v the share of power that fades (1 for Rayleigh). The fade that
    engines follow is the measured one, as that is what schedulers choose by. Repetitions are taken
    to meet the same SINR as the first copy. The difference, mostly the slope of the fade, lasts
    longer than the round trip of a repetition, so goodput is the mean over the difference of bits
    received per transmission, not the ratio of the two means.

    Parameters
    ----------
    rates
        Error rates, and the MCS for a measured SINR.
    correlation
        rho, of the complex gain over the delay, in [-1, 1].
    fading_share
        v, in [0, 1].
    """

    def __init__(self, rates: RateTable, *, correlation: float, fading_share: float) -> None:
        changed = (1.0 - correlation**2) * fading_share
        self._sinr_db = np.arange(GRID_LOWEST_DB, GRID_HIGHEST_DB + 1e-9, SINR_STEP_DB)
        self._fade_db = np.arange(FADE_LOWEST_DB, FADE_HIGHEST_DB + 1e-9, FADE_STEP_DB)
        bits, transmissions = _outcomes(rates)
        mcs = rates.mcs_index(10.0 ** (self._sinr_db / 10))[:, None]
        amplitude = 10.0 ** (self._fade_db / 20)
        shape = (len(self._sinr_db), len(self._fade_db))
        efficiency, first_copies = np.zeros(shape), np.zeros(shape)
        for x in _normal_nodes(RADIAL_NODES):
            real = np.sqrt(1 - changed) + np.sqrt(changed / 2) * x / amplitude
            for y in _normal_nodes(TURNING_NODES):
                turn = np.sqrt(changed / 2) * y / amplitude
                met_db = self._sinr_db[:, None] + _db(real**2 + turn**2)
                point = np.clip((met_db - GRID_LOWEST_DB) / GRID_STEP_DB, 0, bits.shape[1] - 1)
                point = np.round(point).astype(np.intp)
                sent = transmissions[mcs, point]
                efficiency += bits[mcs, point] / sent
                first_copies += 1.0 / sent
        efficiency /= RADIAL_NODES * TURNING_NODES
        first_copies /= RADIAL_NODES * TURNING_NODES
        self._tables = np.stack([efficiency, 1.0 / first_copies])
        self._plain = efficiency[:, int(np.abs(self._fade_db).argmin())]

    def efficiency(self, sinr: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Give goodput at a fade of 0 dB, see :class:`Adaptation`."""
        return np.interp(_db(sinr), self._sinr_db, self._plain, left=0.0)

    def outcome(
        self, sinr: Float[np.ndarray, "..."], fade: Float[np.ndarray, "..."]
    ) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
        """Interpolate both tables linearly in both dB values; hold the edges.

        Goodput is 0 below the table's SINRs.
        """
        sinr_db = _db(sinr)
        row, down = _place(sinr_db, GRID_LOWEST_DB, SINR_STEP_DB, len(self._sinr_db))
        column, right = _place(_db(fade), FADE_LOWEST_DB, FADE_STEP_DB, len(self._fade_db))
        both = self._tables
        near = both[:, row, column] * (1 - right) + both[:, row, column + 1] * right
        far = both[:, row + 1, column] * (1 - right) + both[:, row + 1, column + 1] * right
        efficiency, transmissions = near * (1 - down) + far * down
        return np.where(sinr_db < GRID_LOWEST_DB, 0.0, efficiency), transmissions


class MeanOverFading:
    """The mean of another adaptation over all fades: for transfers that outlive many of them.

    The rate is a function of the mean SINR alone. Exact in the limit of transfers much longer than
    the coherence time, and of schedulers that do not wait for good fades.

    Parameters
    ----------
    adaptation
        Outcome at a given fade.
    fades
        Effective power gains: mean 1 for flat fading, less where groups differ.
    """

    def __init__(self, adaptation: Adaptation, *, fades: Float[np.ndarray, " draw"]) -> None:
        self._mean_db = np.arange(MEAN_LOWEST_DB, MEAN_HIGHEST_DB + 1e-9, MEAN_STEP_DB)
        mean = 10.0 ** (self._mean_db[:, None] / 10)
        efficiency, transmissions = adaptation.outcome(mean * fades, fades + 0 * mean)
        self._efficiency = efficiency.mean(axis=1)
        self._transmissions = transmissions.mean(axis=1)

    def efficiency(self, sinr: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Give goodput averaged over the fading, by mean SINR."""
        return np.interp(_db(sinr), self._mean_db, self._efficiency, left=0.0)

    def outcome(
        self, sinr: Float[np.ndarray, "..."], fade: Float[np.ndarray, "..."]
    ) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
        """Give goodput and transmissions averaged over the fading, see :class:`Adaptation`."""
        del fade
        transmissions = np.interp(_db(sinr), self._mean_db, self._transmissions)
        return self.efficiency(sinr), transmissions


def _outcomes(
    rates: RateTable,
) -> tuple[Float[np.ndarray, "mcs grid"], Float[np.ndarray, "mcs grid"]]:
    """Give bits received for each block sent, and transmissions, on the rate table's grid."""
    num_points = round((GRID_HIGHEST_DB - GRID_LOWEST_DB) / GRID_STEP_DB) + 1
    grid = 10.0 ** ((GRID_LOWEST_DB + GRID_STEP_DB * np.arange(num_points)) / 10)
    every = np.arange(len(rates.mcs))[:, None]
    outcome = chase_combining(
        lambda sinr: rates.block_error(sinr, every),
        np.broadcast_to(grid, (len(rates.mcs), num_points)),
    )
    bits = rates.mcs.spectral_efficiency[:, None] * (1 - outcome.residual_error)
    return bits, outcome.mean_transmissions


def _normal_nodes(count: int) -> list[float]:
    """Give the medians of equally likely parts of the standard normal distribution."""
    return list(ndtri((np.arange(count) + 0.5) / count))


def _db(ratio: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
    return 10.0 * np.log10(np.maximum(ratio, np.finfo(float).tiny))


def _place(
    value_db: Float[np.ndarray, "..."], lowest_db: float, step_db: float, count: int
) -> tuple[np.ndarray, Float[np.ndarray, "..."]]:
    """Give the cell of a table that a value falls into, and how far it is into it."""
    place = np.clip((value_db - lowest_db) / step_db, 0.0, count - 1.0)
    low = np.minimum(place.astype(np.intp), count - 2)
    return low, place - low
