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

from functools import cache, cached_property
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
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
    Fades,
    play_out,
)
from netsim.units import floored_db

INTERFERENCE_AVERAGE_S = 0.05
"""Time over which a site averages the uplink interference that it expects [s]: long against the
turns of a scheduler, short against a transfer. No standard fixes it; our choice."""

MEMORY_S = 0.025
"""How long the flow engine lets what was heard count among what is expected [s]. Half as long as
the site's average, as the outer loop follows slow swings too; chosen by comparing the engines."""

SWING_STEP_DB, SWING_HIGHEST_DB = 1.5, 9.0
"""Standard deviations of the noise and interference, in dB, at which the loss is worked out."""

SINR_LOWEST_DB, SINR_HIGHEST_DB, SINR_STEP_DB = -16.0, 30.0, 0.5
SMOOTHED_DB = 1.5
"""How far to both sides goodput is averaged: it rises in the steps of the MCS table, by 7 % about
the mean, and transfers meet many SINRs."""

LEVELLED_OUT = 0.5
"""How far, in dB, a block over many groups is from the geometric mean of the groups towards that of
their sum; chosen by comparing the engines."""

NUM_DRAWS = 64
"""Draws of who sends in other cells, over all instants."""

DB_PER_NEPER = 10.0 / np.log(10.0)


class InterferenceSwing:
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
        swing_db = np.arange(0.0, SWING_HIGHEST_DB + 1e-9, SWING_STEP_DB)
        normal = _even_normals()
        goodput = np.empty((len(swing_db), len(sinr_db)))
        for place, sigma in enumerate(swing_db / DB_PER_NEPER):
            played = play_out(
                self._rates,
                lambda sinr: sinr,  # nobody gathers power here
                mean=10.0 ** (sinr_db[:, None] / 10) * np.exp(-(sigma**2) / 2),
                room=np.ones((len(sinr_db), 1)),
                fades=Fades(np.ones(normal.shape), np.exp(sigma**2 / 2 - sigma * normal)),
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
            loss_db[None], lowest=(0.0, SINR_LOWEST_DB), step=(SWING_STEP_DB, SINR_STEP_DB)
        )

    def constant_sinr(
        self,
        sinr: Float[np.ndarray, "..."],
        variance: Float[np.ndarray, "..."],
    ) -> Float[np.ndarray, "..."]:
        """Give the constant SINR of the same goodput.

        Parameters
        ----------
        sinr
            At the geometric mean of noise and interference, linear.
        variance
            Of the natural logarithm of noise and interference; above that of
            ``SWING_HIGHEST_DB`` the loss is taken as there.
        """
        loss_db = self._loss_db(DB_PER_NEPER * np.sqrt(variance), floored_db(sinr))[0]
        return sinr * 10.0 ** (-0.1 * loss_db)


class Heard(NamedTuple):
    """Moments of noise and interference in a block of each cell."""

    mean_w: Float[np.ndarray, "cell group"]
    log_mean: Float[np.ndarray, "cell group"]
    """Mean of the natural logarithm of watts."""
    log_square: Float[np.ndarray, "cell group"]
    """Mean of its square."""

    @property
    def geometric_w(self) -> Float[np.ndarray, "cell group"]:
        """Geometric mean [W]."""
        return np.exp(self.log_mean)

    @property
    def log_variance(self) -> Float[np.ndarray, "cell group"]:
        """Variance of the natural logarithm."""
        return np.maximum(self.log_square - self.log_mean**2, 0.0)

    def after(self, other: "Heard", elapsed_s: float) -> "Heard":
        """Give the exponential mean of this, for some time, after another."""
        keep = np.exp(-elapsed_s / MEMORY_S)
        return Heard(*(now + keep * (then - now) for now, then in zip(self, other, strict=True)))


class ExpectedInterference:
    """What sites expect to hear, of what they have heard.

    The slot engine averages what it has heard. Here each solve gives the moments until the next.
    """

    def __init__(self) -> None:
        self._past: Heard | None = None
        self._present: Heard | None = None
        self._since_s = 0.0

    def forget(self) -> None:
        """Start anew: nobody sends."""
        self._past = self._present = None

    def update(self, heard: Heard, *, now_s: float, until_s: float) -> Heard:
        """Take in what is heard from now on; give what is expected up to a time.

        Parameters
        ----------
        heard
            Until the next solve.
        now_s, until_s
            Simulated times; inf where nothing changes any more.
        """
        if self._present is not None and now_s > self._since_s:
            past = self._present if self._past is None else self._past
            self._past = self._present.after(past, now_s - self._since_s)
        self._present, self._since_s = heard, now_s
        return heard if self._past is None else heard.after(self._past, until_s - now_s)


def heard_in_turns(
    cross_gain: Float[np.ndarray, "transfer cell"],
    sent_w: Float[np.ndarray, "instant transfer"],
    shares: Float[np.ndarray, "instant transfer group"],
    *,
    weight: Float[np.ndarray, " instant"],
    first_of_cell: Int[np.ndarray, " sending"],
    noise_w: float,
) -> Heard:
    """Give what is heard where of each cell one transfer at a time has a group.

    Each cell's senders are drawn by their shares of the time, evenly and independently of others.

    Parameters
    ----------
    cross_gain
        Gain from every sender to every cell, 0 to its own.
    sent_w
        Mean power in a block of what each holds [W].
    shares
        Parts of the time in which each has a group.
    weight
        Of the instants; sums to 1.
    first_of_cell
        First sender of each cell that sends.
    noise_w
        Of a block [W].
    """
    num_cells, num_groups = cross_gain.shape[1], shares.shape[2]
    num_draws = -(-NUM_DRAWS // len(weight))
    last = np.append(first_of_cell[1:], shares.shape[1])
    heard = Heard(*np.zeros((3, num_cells, num_groups)))
    place = np.arange(len(first_of_cell))
    cell = place.repeat(last - first_of_cell)
    for instant, (part, power_w, held) in enumerate(zip(weight, sent_w, shares, strict=True)):
        even = _even_draws(num_draws, len(first_of_cell), instant=instant)
        total = held.cumsum(axis=0)
        before = (total - held)[first_of_cell]
        for group in range(num_groups):
            # Rising over all senders: the number of the cell, then the time given out in it.
            given_out = cell + np.minimum(total[:, group] - before[cell, group], 1.0)
            chosen = given_out.searchsorted(place + even)
            is_sending = chosen < last  # the others of the time the group is empty
            chosen = np.minimum(chosen, last - 1)
            power = np.where(is_sending, power_w[chosen], 0.0)
            found_w = noise_w + np.einsum("dk,dkc->dc", power, cross_gain[chosen])
            _add(heard, part, found_w, group)
    return heard


def heard_side_by_side(
    cross_gain: Float[np.ndarray, "transfer cell"],
    sent_w: Float[np.ndarray, "instant transfer"],
    shares: Float[np.ndarray, "instant transfer group"],
    *,
    weight: Float[np.ndarray, " instant"],
    noise_w: float,
) -> Heard:
    """Give what is heard where all have their shares all the time; parameters as above."""
    heard = Heard(*np.zeros((3, cross_gain.shape[1], shares.shape[2])))
    for part, power_w, held in zip(weight, sent_w, shares, strict=True):
        found_w = noise_w + cross_gain.T @ (power_w[:, None] * held)
        for group in range(shares.shape[2]):
            _add(heard, part, found_w[None, :, group], group)
    return heard


def _add(heard: Heard, part: float, found_w: Float[np.ndarray, "draw cell"], group: int) -> None:
    log = np.log(found_w)
    for moment, value in zip(heard, (found_w, log, log**2), strict=True):
        moment[:, group] += part * value.mean(axis=0)


@cache
def _even_draws(num_draws: int, num_cells: int, *, instant: int) -> Float[np.ndarray, "draw cell"]:
    """Give numbers in (0, 1), evenly spread for each cell, in an order of its own each instant.

    The same for all runs: they stand for all draws, not for those of a world.
    """
    even = np.tile((np.arange(num_draws)[:, None] + 0.5) / num_draws, (1, num_cells))
    return np.random.default_rng(instant).permuted(even, axis=0)


def over_groups_held(
    log_variance: Float[np.ndarray, "transfer group"],
    shares: Float[np.ndarray, "... transfer group"],
) -> tuple[Float[np.ndarray, "... transfer"], Float[np.ndarray, "... transfer"]]:
    """Give what a block meets that lies on several groups: less of a swing, about a higher mean.

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
    """Give normal deviates that are spread evenly over steps and links, in random order.

    The same for all runs: they describe the process, not a world.
    """
    count = NUM_STEPS * NUM_LINKS
    even = ndtri((np.arange(count) + 0.5) / count)
    return np.random.default_rng(0).permutation(even).reshape(NUM_STEPS, NUM_LINKS)


def _smooth(goodput: Float[np.ndarray, "swing sinr"]) -> Float[np.ndarray, "swing sinr"]:
    """Give running means over SINRs; the ends are held."""
    reach = round(SMOOTHED_DB / SINR_STEP_DB)
    padded = np.pad(goodput, ((0, 0), (reach, reach)), mode="edge")
    return sliding_window_view(padded, 2 * reach + 1, axis=1).mean(axis=2)
