"""What it costs that interference swings faster than link adaptation can follow.

Schedulers of winners give the band to one client after another, so what a site hears from the cells
around it changes from slot to slot by several dB. The site knows the mean of it. Blocks sent in the
strong slots fail and are repeated, and the outer loop takes a margin until its target is met: of
17 contenders in each of 57 cells under proportional fair, a fifth to a quarter of the rate is lost.

Noise and interference together are taken as lognormal about their mean and independent from slot
to slot, also from one copy of a block to the next. The second moment follows from who is served and
how often (:func:`variance_of_turns`). The loss is expressed as a SINR: the constant one at which
link adaptation would have the same goodput.

References
----------
That schedulers make uplink interference vary is well known; the form is our choice. In the slot
engine (57 cells, 17 contenders, flat Rayleigh fading) the logarithm's standard deviation was 0.97
of the lognormal's in the median cell, and its correlation from slot to slot 0.2.
"""

import numpy as np
from jaxtyping import Float, Int
from scipy.special import ndtri

from netsim.adaptation import ByMcs, choose_mcs
from netsim.harq import MAX_TRANSMISSIONS
from netsim.interpolation import RegularTable
from netsim.link_adaptation import GRID_HIGHEST_DB, GRID_LOWEST_DB, GRID_STEP_DB, RateTable
from netsim.units import floored_db

INTERFERENCE_AVERAGE_S = 0.05
"""Time over which a site averages the uplink interference that it expects [s]: long against the
turns of a scheduler, short against a transfer. No standard fixes it; our choice."""

MEMORY_S = 0.025
"""How long the flow engine lets what was heard count among what is expected [s]. Half as long as
the site's average, as the outer loop follows slow swings too; chosen by comparing the engines."""

SWING_STEP_DB, SWING_HIGHEST_DB = 1.0, 9.0
"""Standard deviations of the noise and interference, in dB, at which the loss is worked out."""

SINR_STEP_DB = 0.5
NUM_DRAWS = 128
"""Series of copies that stand for all, evenly spread."""

DB_PER_NEPER = 10.0 / np.log(10.0)


class InterferenceSwing:
    """Gives the constant SINR that is worth as much as one that swings.

    Parameters
    ----------
    rates
        Error rates, and the MCS for a measured SINR.
    has_outer_loop
        Whether acknowledgements correct the choice of MCS to the target of ``rates``.
    """

    def __init__(self, rates: RateTable, *, has_outer_loop: bool) -> None:
        sinr_db = np.arange(GRID_LOWEST_DB, GRID_HIGHEST_DB + 1e-9, SINR_STEP_DB)
        swing_db = np.arange(0.0, SWING_HIGHEST_DB + 1e-9, SWING_STEP_DB)
        errors = rates.block_error(10.0 ** (rates.grid_db / 10), rates.mcs_in_use[:, None])
        goodput = np.array(
            [
                choose_mcs(
                    rates,
                    _outcomes(rates, errors, sinr_db, factors),
                    sinr_db,
                    has_outer_loop=has_outer_loop,
                )[0]
                for factors in (_copies(swing) for swing in swing_db)
            ]
        )
        # Ever so slightly rising, for the inverse to exist where the table has a step.
        rising = np.maximum.accumulate(goodput[0]) + 1e-12 * np.arange(len(sinr_db))
        equal_db = np.array([np.interp(each, rising, sinr_db) for each in goodput])
        # Where nothing gets through or nothing is lost, many SINRs are equal.
        is_one_of_many = (goodput < rising[0] + 1e-6) | (goodput > rising[-1] * (1 - 1e-6))
        loss_db = np.where(is_one_of_many, 0.0, sinr_db - equal_db)
        self._loss_db = RegularTable(
            loss_db[None], lowest=(0.0, GRID_LOWEST_DB), step=(SWING_STEP_DB, SINR_STEP_DB)
        )

    def constant_sinr(
        self,
        sinr: Float[np.ndarray, "..."],
        variation: Float[np.ndarray, "..."],
    ) -> Float[np.ndarray, "..."]:
        """Give the constant SINR of the same goodput.

        Parameters
        ----------
        sinr
            At the mean of noise and interference, linear.
        variation
            Variance of noise and interference over the square of their mean.
        """
        swing_db = DB_PER_NEPER * np.sqrt(np.log1p(variation))
        loss_db = self._loss_db(swing_db, floored_db(sinr))[0]
        return sinr * 10.0 ** (-0.1 * loss_db)


class ExpectedInterference:
    """What sites expect to hear, of what they have heard: exponential means of both moments.

    The slot engine averages what it has heard. Here each solve gives the moments until the next.
    """

    def __init__(self) -> None:
        self._past: Float[np.ndarray, "2 cell group"] | None = None
        self._present: Float[np.ndarray, "2 cell group"] | None = None
        self._since_s = 0.0

    def forget(self) -> None:
        """Start anew: nobody sends."""
        self._past = self._present = None

    def update(
        self,
        mean_w: Float[np.ndarray, "cell group"],
        variance_w2: Float[np.ndarray, "cell group"],
        *,
        now_s: float,
        until_s: float,
    ) -> tuple[Float[np.ndarray, "cell group"], Float[np.ndarray, "cell group"]]:
        """Take in noise and interference from now on; give what is expected up to a time.

        Parameters
        ----------
        mean_w, variance_w2
            In a block of each cell.
        now_s, until_s
            Simulated times; inf where nothing changes any more.

        Returns
        -------
        mean_w, variation
            The mean, and the variance over its square.
        """
        present = np.stack([mean_w, variance_w2 + mean_w**2])
        if self._present is not None and now_s > self._since_s:
            past = self._present if self._past is None else self._past
            self._past = _blend(past, self._present, now_s - self._since_s)
        self._present, self._since_s = present, now_s
        if self._past is not None:
            present = _blend(
                self._past,
                present,
                until_s - now_s,
            )
        expected_w, square_w2 = present
        return expected_w, np.maximum(square_w2 / expected_w**2 - 1.0, 0.0)


def _blend(
    past: Float[np.ndarray, "2 cell group"],
    present: Float[np.ndarray, "2 cell group"],
    elapsed_s: float,
) -> Float[np.ndarray, "2 cell group"]:
    return present + np.exp(-elapsed_s / MEMORY_S) * (past - present)


def variance_of_turns(
    cross_gain: Float[np.ndarray, "transfer cell"],
    sent_w: Float[np.ndarray, "instant transfer"],
    shares: Float[np.ndarray, "instant transfer group"],
    *,
    weight: Float[np.ndarray, " instant"],
    first_of_cell: Int[np.ndarray, " sending"],
    are_turns: bool,
) -> Float[np.ndarray, "cell group"]:
    """Give the variance of the interference in a block of each cell [W^2].

    Parameters
    ----------
    cross_gain
        Gain from every sender to every cell, 0 to its own.
    sent_w
        Mean power in a block of what each holds [W].
    shares
        What each holds from each instant to the next.
    weight
        Of the instants; sums to 1.
    first_of_cell
        First sender of each cell that sends. Cells are independent.
    are_turns
        Whether shares are parts of the time, each with a group of its own, or held side by side.
    """
    num_cells, num_groups = cross_gain.shape[1], shares.shape[2]
    heard_w = np.zeros((len(first_of_cell), num_cells, num_groups))
    square_w2 = np.zeros((num_cells, num_groups))
    for part, power_w, held in zip(weight, sent_w, shares, strict=True):
        now_w = cross_gain[:, :, None] * (power_w[:, None] * held)[:, None]
        of_cell_w = np.add.reduceat(now_w, first_of_cell, axis=0)
        heard_w += part * of_cell_w
        if are_turns:
            square_w2 += part * ((cross_gain**2).T @ (power_w[:, None] ** 2 * held))
        else:
            square_w2 += part * (of_cell_w**2).sum(axis=0)
    return np.maximum(square_w2 - (heard_w**2).sum(axis=0), 0.0)


def over_groups_held(
    variation: Float[np.ndarray, "transfer group"],
    shares: Float[np.ndarray, "... transfer group"],
) -> Float[np.ndarray, "... transfer"]:
    """Give the variation of the mean over the groups that a block lies on, which are independent.

    Parameters
    ----------
    variation
        Of each group, see :class:`ExpectedInterference`.
    shares
        By which groups are held.
    """
    if variation.shape[-1] == 1:
        return np.broadcast_to(variation[..., 0], shares.shape[:-1])
    weight = np.where(shares.sum(axis=-1, keepdims=True) > 0, shares, 1.0)
    return (weight**2 * variation).sum(axis=-1) / weight.sum(axis=-1) ** 2


def _copies(swing_db: float) -> Float[np.ndarray, "draw copy"]:
    """Give sums of the first, first two, ... copies of blocks, over the SINR at the mean [linear].

    Independent copies, their normal deviates on a Kronecker sequence in as many dimensions.
    """
    ratio = _generalised_golden_ratio(MAX_TRANSMISSIONS)
    steps = ratio ** -np.arange(1.0, MAX_TRANSMISSIONS + 1)
    even = (0.5 + np.arange(NUM_DRAWS)[:, None] * steps) % 1.0
    sigma = swing_db / DB_PER_NEPER
    return np.exp(sigma**2 / 2 - sigma * ndtri(even)).cumsum(axis=1)


def _generalised_golden_ratio(dimensions: int) -> float:
    """Give the root above 1 of ``x^(d + 1) = x + 1``."""
    root = 1.0
    for _ in range(50):
        root = (1.0 + root) ** (1.0 / (dimensions + 1))
    return root


def _outcomes(
    rates: RateTable,
    errors: Float[np.ndarray, "rung point"],
    sinr_db: Float[np.ndarray, " sinr"],
    factors: Float[np.ndarray, "draw copy"],
) -> ByMcs:
    """Give what comes of each MCS where copies of a block meet SINRs that differ."""
    base = np.rint((sinr_db - GRID_LOWEST_DB) / GRID_STEP_DB).astype(np.intp)
    shifts = np.rint(floored_db(factors) / GRID_STEP_DB).astype(np.intp)
    shape = (len(errors), len(sinr_db))
    first_error, sent, lost = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    for draw in shifts.tolist():
        still_wrong = np.ones(shape)
        for copy, shift in enumerate(draw):
            sent += still_wrong
            still_wrong = still_wrong * errors[:, np.clip(base + shift, 0, errors.shape[1] - 1)]
            if copy == 0:
                first_error += still_wrong
        lost += still_wrong
    received = rates.mcs.spectral_efficiency[rates.mcs_in_use][:, None] * (1.0 - lost / len(shifts))
    return ByMcs(
        first_error=first_error / len(shifts),
        efficiency=received / (sent / len(shifts)),
        first_copies=len(shifts) / sent,
    )
