"""Loss of uplink rate by the variability of interference from slot to slot.

Exclusive schedulers give the band to one client after another, so the interference that a site
receives from other cells changes from slot to slot by several dB. The site knows its mean. Blocks
sent in slots of strong interference fail and are retransmitted, and the outer loop takes a margin
until its target is met: with 17 clients in each of 57 cells under proportional fair, a fifth to a
quarter of the rate is lost.

Noise plus interference is taken as lognormal and independent from slot to slot, also between the
transmissions of a block. Between the groups of a cell it has one correlation. The moments of the
logarithm come from drawing the scheduled users of each cell (:mod:`netsim.engines.interference`);
mean and variance of the watts would not do, as rare maxima dominate them. A block over several
groups is reduced to one lognormal variable (:func:`block_moments`). The loss is expressed as a
SINR: the constant one at which link adaptation, simulated with its outer loop
(:mod:`netsim.phy_abstraction.harq_simulation`), has the same goodput.

References
----------
That scheduling makes uplink interference vary is well known; the form is our choice. With the
interference of 12 of 57 cells in the slot engine (17 clients each, flat Rayleigh fading; standard
deviations of 3 to 7 dB) drawn blocks with MCS, retransmissions and outer loop had 0.70 to 1.25 of
the goodput computed here, in all 1.02 where slots were shuffled and 1.06 in their order.
"""

from functools import cache, cached_property

import numpy as np
from jaxtyping import Float
from numpy.lib.stride_tricks import sliding_window_view
from numpy.polynomial.hermite_e import hermegauss
from scipy.special import ndtri

from netsim.interpolation import RegularTable
from netsim.phy.link_adaptation import RateTable
from netsim.phy.outer_loop import OuterLoop
from netsim.phy_abstraction.harq_simulation import (
    NUM_LINKS,
    NUM_STEPS,
    FadingTraces,
    counted_steps,
    simulate_harq,
)
from netsim.phy_abstraction.table_cache import Kept, computed
from netsim.units import floored_db

DEVIATION_STEP_DB, DEVIATION_HIGHEST_DB = 1.5, 9.0
"""Standard deviations of noise plus interference at which the loss is simulated [dB]."""

SINR_LOWEST_DB, SINR_HIGHEST_DB, SINR_STEP_DB = -16.0, 30.0, 0.5
SMOOTHED_DB = 1.5
"""Half width of the moving average of goodput over SINR [dB]: goodput rises in the steps of the MCS
table, by 7 % about the mean, and transfers have many SINRs."""

DB_PER_NEPER = 10.0 / np.log(10.0)

EESM_DEVIATION_STEP_DB = 0.5
EESM_RATIO_LOWEST_DB, EESM_RATIO_HIGHEST_DB, EESM_RATIO_STEP_DB = -12.0, 9.0, 0.5
"""Grid of SINR over beta at which the moments of an EESM are tabulated [dB]; clipped beyond."""


class InterferenceVariability:
    """The constant SINR that is worth as much as one with lognormal interference.

    Parameters
    ----------
    rates
        Error rates, and the MCS for a measured SINR.
    outer_loop
        Its steps; ``None`` without one.
    kept
        Where the table is kept.
    """

    def __init__(
        self, rates: RateTable, *, outer_loop: OuterLoop | None, kept: Kept = computed
    ) -> None:
        self._rates, self._outer_loop, self._kept = rates, outer_loop, kept

    @cached_property
    def _loss_db(self) -> RegularTable:
        """Loss by standard deviation and SINR; read or computed on first use."""
        return RegularTable(
            self._kept("interference_loss", self._simulated_loss_db)[None],
            lowest=(0.0, SINR_LOWEST_DB),
            step=(DEVIATION_STEP_DB, SINR_STEP_DB),
        )

    def _simulated_loss_db(self) -> Float[np.ndarray, "deviation sinr"]:
        """Return the loss, in about a second."""
        sinr_db = np.arange(SINR_LOWEST_DB, SINR_HIGHEST_DB + 1e-9, SINR_STEP_DB)
        deviation_db = np.arange(0.0, DEVIATION_HIGHEST_DB + 1e-9, DEVIATION_STEP_DB)
        normal = _even_normals()
        goodput = np.empty((len(deviation_db), len(sinr_db)))
        for place, sigma in enumerate(deviation_db / DB_PER_NEPER):
            simulated = simulate_harq(
                self._rates,
                mean=10.0 ** (sinr_db[:, None] / 10) * np.exp(-(sigma**2) / 2),
                fades=FadingTraces(np.ones(normal.shape), np.exp(sigma**2 / 2 - sigma * normal)),
                outer_loop=self._outer_loop,
            )
            counted = counted_steps(len(normal))
            goodput[place] = simulated.bits[counted].mean(axis=(0, 2))
        goodput = _smooth(goodput)
        # Strictly increasing, for the inverse to exist.
        rising = np.maximum.accumulate(goodput[0]) + 1e-9 * np.arange(len(sinr_db))
        equal_db = np.array([np.interp(each, rising, sinr_db) for each in goodput])
        # Where goodput is 0 or at its maximum, many SINRs have it.
        is_ambiguous = (goodput < rising[0] + 1e-6) | (goodput > rising[-1] * (1 - 1e-6))
        return np.where(is_ambiguous, 0.0, equal_db[0] - equal_db)

    def constant_sinr(
        self,
        sinr: Float[np.ndarray, "... transfer"],
        *,
        log_variance: Float[np.ndarray, "transfer group"],
        correlation: Float[np.ndarray, " transfer"],
        shares: Float[np.ndarray, "... transfer group"],
    ) -> Float[np.ndarray, "... transfer"]:
        """Return the constant SINR of the same goodput.

        Parameters
        ----------
        sinr
            Effective SINR at the geometric mean of noise plus interference, linear.
        log_variance
            Variance of the natural logarithm of noise plus interference in each group; above that
            of ``DEVIATION_HIGHEST_DB`` the loss is that at this deviation.
        correlation
            Correlation of that logarithm between groups, in [0, 1].
        shares
            Shares of the groups held.
        """
        if log_variance.shape[-1] > 1:
            beta = self._rates.mcs.eesm_beta[self._rates.mcs_index(sinr)]
            variance, gain = block_moments(
                sinr / beta, log_variance=log_variance, correlation=correlation, shares=shares
            )
            sinr = sinr * gain
        else:
            variance = log_variance[..., 0]
        loss_db = self._loss_db(DB_PER_NEPER * np.sqrt(variance), floored_db(sinr))[0]
        return sinr * 10.0 ** (-0.1 * loss_db)


def block_moments(
    sinr_over_beta: Float[np.ndarray, "... transfer"],
    *,
    log_variance: Float[np.ndarray, "transfer group"],
    correlation: Float[np.ndarray, " transfer"],
    shares: Float[np.ndarray, "... transfer group"],
) -> tuple[Float[np.ndarray, "... transfer"], Float[np.ndarray, "... transfer"]]:
    """Return the moments of the EESM effective SINR of a block over lognormal interference.

    With ``x`` the SINR at the geometric mean over beta, and ``z_g`` independent standard normal,
    the effective SINR relative to the geometric mean is ``r = -ln(sum_g w_g t_g) / x`` with
    ``t_g = exp(-x exp(sigma_g z_g))``. A single group has ``E ln r = 0`` and ``Var ln r =
    sigma^2``. For many groups the sum tends to its mean ``m = E t``, so ``E ln r`` tends to ``L =
    ln(-ln(m) / x)``, and, by linearisation, ``Var ln r`` to ``W V`` with ``W = sum_g w_g^2`` and
    ``V = Var(t) / (m ln m)^2``. In between we interpolate linearly in W: ``E ln r = (1 - W) L`` and
    ``Var ln r = W (W sigma^2 + (1 - W) V)``.

    For small sigma, ``L = -(x - 1) sigma^2 / 2`` and ``V = sigma^2``, and both forms are exact to
    that order for any number of groups. The mean of the interference itself (Fenton's sum of
    lognormals) has the SINR reduction of ``x = 2``; a block with ``x < 1``, where EESM is nearly
    the mean of the SINRs, gains by variability. MCS at their 10 % point have x from 0.1 to 2.1.

    Groups whose logarithms have correlation ``rho`` share a part of variance ``rho sigma^2`` that
    scales the SINR of all; the above holds for the rest. By linearisation it adds ``rho sigma^2
    (W + (1 - W) S)^2`` to the variance, where ``S = x m' / (m ln m)`` is the slope of the logarithm
    of the effective SINR over that of a scale of all SINRs, 1 for equal SINRs.

    Parameters
    ----------
    sinr_over_beta
        Effective SINR at the geometric mean of noise plus interference over the beta of the MCS.
    log_variance
        Variance of the natural logarithm of noise plus interference in each group. The groups of
        a block are taken to have their mean.
    correlation
        Correlation of that logarithm between groups, in [0, 1].
    shares
        Shares of the groups held; all zero weighs all groups alike.

    Returns
    -------
    log_variance
        Variance of the natural logarithm of the effective SINR.
    gain
        Geometric mean of the effective SINR over the SINR at the geometric mean.

    References
    ----------
    Fenton, "The sum of log-normal probability distributions in scatter transmission systems", IRE
    Trans. Communications Systems 8(1), 1960 (recollected); the interpolation is our choice.
    """
    weight = np.where(shares.sum(axis=-1, keepdims=True) > 0, shares, 1.0)
    weight = weight / weight.sum(axis=-1, keepdims=True)
    of_all = (weight * log_variance).sum(axis=-1)
    of_group = (1.0 - correlation) * of_all
    concentration = (weight**2).sum(axis=-1)
    gain_slope, variance_slope, scale_slope = _moments_of_many_groups()(
        DB_PER_NEPER * np.sqrt(of_group), floored_db(sinr_over_beta)
    )
    blend = concentration + (1.0 - concentration) * variance_slope
    of_common = correlation * of_all * (concentration + (1.0 - concentration) * scale_slope) ** 2
    of_block = of_common + concentration * of_group * blend
    return of_block, np.exp((1.0 - concentration) * of_group * gain_slope)


@cache
def _moments_of_many_groups() -> RegularTable:
    """Return L and V of :func:`block_moments` over ``sigma^2``, and S, by sigma and x in dB."""
    node, probability = hermegauss(64)
    probability = probability / probability.sum()
    deviation_db = np.arange(0.0, DEVIATION_HIGHEST_DB + 1e-9, EESM_DEVIATION_STEP_DB)
    ratio_db = np.arange(EESM_RATIO_LOWEST_DB, EESM_RATIO_HIGHEST_DB + 1e-9, EESM_RATIO_STEP_DB)
    ratio = 10.0 ** (ratio_db / 10)
    sigma = deviation_db[1:, None] / DB_PER_NEPER
    scaled = ratio[:, None] * np.exp(sigma[..., None] * node)
    term = np.exp(-scaled)
    mean = term @ probability
    variance = np.maximum(term**2 @ probability - mean**2, 0.0)
    slopes = np.empty((3, len(deviation_db), len(ratio)))
    slopes[0, 0], slopes[1:, 0] = -(ratio - 1) / 2, 1.0  # the limit of small sigma
    slopes[0, 1:] = np.log(-np.log(mean) / ratio) / sigma**2
    slopes[1, 1:] = variance / (mean * np.log(mean) * sigma) ** 2
    slopes[2, 1:] = -((scaled * term) @ probability) / (mean * np.log(mean))
    return RegularTable(
        slopes,
        lowest=(0.0, EESM_RATIO_LOWEST_DB),
        step=(EESM_DEVIATION_STEP_DB, EESM_RATIO_STEP_DB),
    )


def _even_normals() -> Float[np.ndarray, "step link"]:
    """Return quantiles of the standard normal distribution in random order.

    They are the same in all runs: they describe the process, not a world.
    """
    count = NUM_STEPS * NUM_LINKS
    even = ndtri((np.arange(count) + 0.5) / count)
    return np.random.default_rng(0).permutation(even).reshape(NUM_STEPS, NUM_LINKS)


def _smooth(goodput: Float[np.ndarray, "deviation sinr"]) -> Float[np.ndarray, "deviation sinr"]:
    """Return moving averages over SINR; the values at the ends continue beyond them."""
    reach = round(SMOOTHED_DB / SINR_STEP_DB)
    padded = np.pad(goodput, ((0, 0), (reach, reach)), mode="edge")
    return sliding_window_view(padded, 2 * reach + 1, axis=1).mean(axis=2)
