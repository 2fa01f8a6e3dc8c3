"""What it costs that interference swings faster than link adaptation can follow.

Schedulers of winners give the band to one client after another, so what a site hears from the cells
around it changes from slot to slot by several dB. The site knows the mean of it. Blocks sent in the
strong slots fail and are repeated, and the outer loop takes a margin until its target is met: of
17 contenders in each of 57 cells under proportional fair, a fifth to a quarter of the rate is lost.

Noise and interference together are taken as lognormal and independent from slot to slot, also from
one copy of a block to the next. The moments of the logarithm come from drawing who is served in
each cell, as often as it is (:func:`heard_in_turns`); the mean and the variance themselves would
not do, as rare peaks rule them. The loss is expressed as a SINR: the constant one at which link
adaptation, played out with its outer loop (:mod:`netsim.phy_abstraction.harq_simulation`), has the
same goodput.

References
----------
That schedulers make uplink interference vary is well known; the form is our choice. With what 12 of
57 cells heard in the slot engine (17 contenders each, flat Rayleigh fading; standard deviations of
3 to 7 dB) blocks drawn with MCS, copies and outer loop had 0.70 to 1.25 of the goodput said here,
in all 1.02 where slots were shuffled and 1.06 in their order.
"""

from functools import cached_property

import numpy as np
from jaxtyping import Float
from numpy.lib.stride_tricks import sliding_window_view
from scipy.special import ndtri

from netsim.interpolation import RegularTable
from netsim.phy.harq import MAX_TRANSMISSIONS
from netsim.phy.link_adaptation import RateTable
from netsim.phy.outer_loop import OuterLoop
from netsim.phy_abstraction.harq_simulation import (
    NUM_LINKS,
    NUM_STEPS,
    WARM_UP_STEPS,
    FadingTraces,
    simulate_harq,
)
from netsim.units import floored_db

DEVIATION_STEP_DB, DEVIATION_HIGHEST_DB = 1.5, 9.0
"""Standard deviations of the noise and interference, in dB, at which the loss is worked out."""

SINR_LOWEST_DB, SINR_HIGHEST_DB, SINR_STEP_DB = -16.0, 30.0, 0.5
SMOOTHED_DB = 1.5
"""How far to both sides goodput is averaged: it rises in the steps of the MCS table, by 7 % about
the mean, and transfers meet many SINRs."""

LEVELLED_OUT = 0.5
"""How far, in dB, a block over many groups is from the geometric mean of the groups towards that of
their sum; chosen by comparing the engines."""

DB_PER_NEPER = 10.0 / np.log(10.0)


class InterferenceVariability:
    """Gives the constant SINR that is worth as much as one that swings.

    Parameters
    ----------
    rates
        Error rates, and the MCS for a measured SINR.
    outer_loop
        Its steps; ``None`` without one.
    """

    def __init__(self, rates: RateTable, *, outer_loop: OuterLoop | None) -> None:
        self._rates, self._outer_loop = rates, outer_loop

    @cached_property
    def _loss_db(self) -> RegularTable:
        """Loss by swing and SINR; a second's work that only uploads ask for."""
        sinr_db = np.arange(SINR_LOWEST_DB, SINR_HIGHEST_DB + 1e-9, SINR_STEP_DB)
        deviation_db = np.arange(0.0, DEVIATION_HIGHEST_DB + 1e-9, DEVIATION_STEP_DB)
        normal = _even_normals()
        goodput = np.empty((len(deviation_db), len(sinr_db)))
        for place, sigma in enumerate(deviation_db / DB_PER_NEPER):
            played = simulate_harq(
                self._rates,
                lambda sinr: sinr,  # nobody gathers power here
                mean=10.0 ** (sinr_db[:, None] / 10) * np.exp(-(sigma**2) / 2),
                room=np.ones((len(sinr_db), 1)),
                fades=FadingTraces(np.ones(normal.shape), np.exp(sigma**2 / 2 - sigma * normal)),
                outer_loop=self._outer_loop,
            )
            counted = slice(WARM_UP_STEPS, len(normal) - MAX_TRANSMISSIONS)
            goodput[place] = played.bits[counted].mean(axis=(0, 2))
        goodput = _smooth(goodput)
        # Ever so slightly rising, for the inverse to exist.
        rising = np.maximum.accumulate(goodput[0]) + 1e-9 * np.arange(len(sinr_db))
        equal_db = np.array([np.interp(each, rising, sinr_db) for each in goodput])
        # Where nothing gets through or nothing is lost, many SINRs are equal.
        is_one_of_many = (goodput < rising[0] + 1e-6) | (goodput > rising[-1] * (1 - 1e-6))
        loss_db = np.where(is_one_of_many, 0.0, equal_db[0] - equal_db)
        return RegularTable(
            loss_db[None], lowest=(0.0, SINR_LOWEST_DB), step=(DEVIATION_STEP_DB, SINR_STEP_DB)
        )

    def constant_sinr(
        self,
        sinr: Float[np.ndarray, "..."],
        variance: Float[np.ndarray, "..."],
    ) -> Float[np.ndarray, "..."]:
        """Return the constant SINR of the same goodput.

        Parameters
        ----------
        sinr
            At the geometric mean of noise and interference, linear.
        variance
            Of the natural logarithm of noise and interference; above that of
            ``DEVIATION_HIGHEST_DB`` the loss is taken as there.
        """
        loss_db = self._loss_db(DB_PER_NEPER * np.sqrt(variance), floored_db(sinr))[0]
        return sinr * 10.0 ** (-0.1 * loss_db)


def over_held_groups(
    log_variance: Float[np.ndarray, "transfer group"],
    shares: Float[np.ndarray, "... transfer group"],
) -> tuple[Float[np.ndarray, "... transfer"], Float[np.ndarray, "... transfer"]]:
    """Return what a block meets that lies on several groups: less of a swing, about a higher mean.

    A sum of independent lognormals is about lognormal, with the sums of means and variances. Its
    geometric mean is nearer to the mean than theirs. A block does not meet that sum but the
    exponential effective SINR over its groups, which is kinder (``LEVELLED_OUT``).

    Parameters
    ----------
    log_variance
        Of the noise and interference in each group.
    shares
        By which groups are held.

    Returns
    -------
    log_variance
        Of noise and interference over the block.
    gain
        Of the SINR over that at the geometric mean of the groups, <= 1.

    References
    ----------
    Fenton, "The sum of log-normal probability distributions in scatter transmission systems", IRE
    Trans. Communications Systems 8(1), 1960 (recollected).
    """
    if log_variance.shape[-1] == 1:
        one = np.broadcast_to(log_variance[..., 0], shares.shape[:-1])
        return one, np.ones(one.shape)
    weight = np.where(shares.sum(axis=-1, keepdims=True) > 0, shares, 1.0)
    weight = weight / weight.sum(axis=-1, keepdims=True)
    of_block = np.log1p((weight**2 * np.expm1(log_variance)).sum(axis=-1))
    of_group = (weight * log_variance).sum(axis=-1)
    higher = (of_group - of_block) / 2  # of the geometric mean, in nepers
    return of_block, np.exp(-LEVELLED_OUT * np.maximum(higher, 0.0))


def _even_normals() -> Float[np.ndarray, "step link"]:
    """Return normal deviates that are spread evenly over steps and links, in random order.

    The same for all runs: they describe the process, not a world.
    """
    count = NUM_STEPS * NUM_LINKS
    even = ndtri((np.arange(count) + 0.5) / count)
    return np.random.default_rng(0).permutation(even).reshape(NUM_STEPS, NUM_LINKS)


def _smooth(goodput: Float[np.ndarray, "swing sinr"]) -> Float[np.ndarray, "swing sinr"]:
    """Return running means over SINRs; the ends are held."""
    reach = round(SMOOTHED_DB / SINR_STEP_DB)
    padded = np.pad(goodput, ((0, 0), (reach, reach)), mode="edge")
    return sliding_window_view(padded, 2 * reach + 1, axis=1).mean(axis=2)
