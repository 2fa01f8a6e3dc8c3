"""The uplink interference that sites receive, and what they expect of it."""

from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from netsim.engines.suppressed_interference import Suppressed

INTERFERENCE_AVERAGE_S = 0.05
"""Time over which a site averages the uplink interference that it expects [s]: long against the
time for which a scheduler serves one user, short against a transfer. Our choice; no standard fixes
it."""

MEMORY_S = 0.025
"""Time constant with which the flow engine averages the moments of interference [s]. Half of that
of the site, as the outer loop follows slow changes too; chosen by comparing the engines."""

LEAST_VARIANCE = 1e-9
"""Variances of the natural logarithm below this are rounding."""

TURNS_RTOL = 1e-9
"""Parts of the time that add up to this little above a whole number are rounding."""

SETTLED_NEPER = 0.01
"""Change of the expected logarithm of watts that counts as none: 0.04 dB."""

NUM_DRAWS = 64
"""Draws of the transmitters of other cells, over all instants."""


class InterferenceMoments(NamedTuple):
    """Moments of noise and interference in a block of each cell, of what combining leaves."""

    mean_w: Float[np.ndarray, "cell group"]
    log_mean: Float[np.ndarray, "cell group"]
    """Mean of the natural logarithm of watts."""
    log_square: Float[np.ndarray, "cell group"]
    """Mean of its square."""
    band_square: Float[np.ndarray, " cell"]
    """Mean of the square of the logarithm's mean over the groups."""

    @property
    def geometric_w(self) -> Float[np.ndarray, "cell group"]:
        """Geometric mean [W]."""
        return np.exp(self.log_mean)

    @property
    def log_variance(self) -> Float[np.ndarray, "cell group"]:
        """Variance of the natural logarithm."""
        return np.maximum(self.log_square - self.log_mean**2, 0.0)

    @property
    def correlation(self) -> Float[np.ndarray, " cell"]:
        """Correlation of the logarithms of two groups, the mean over all pairs, in [0, 1].

        From the variance of the mean over groups; 0 with one group, or where nothing varies.
        """
        num_cells, num_groups = self.log_mean.shape
        if num_groups == 1:
            return np.zeros(num_cells)
        variance = self.log_variance.mean(axis=1)
        of_band = self.band_square - self.log_mean.mean(axis=1) ** 2
        is_varying = variance > LEAST_VARIANCE
        ratio = np.divide(of_band, variance, out=np.zeros_like(variance), where=is_varying)
        return np.clip((num_groups * ratio - 1.0) / (num_groups - 1.0), 0.0, 1.0)

    def after(self, other: "InterferenceMoments", elapsed_s: float) -> "InterferenceMoments":
        """Return the exponential mean after these moments have followed others for some time."""
        keep = np.exp(-elapsed_s / MEMORY_S)
        return InterferenceMoments(
            *(now + keep * (then - now) for now, then in zip(self, other, strict=True))
        )

    @classmethod
    def from_time_shared(
        cls,
        cross_gain: Float[np.ndarray, "transfer cell"],
        sent_w: Float[np.ndarray, "instant transfer"],
        shares: Float[np.ndarray, "instant transfer group"],
        *,
        activity: Float[np.ndarray, "instant transfer"],
        weight: Float[np.ndarray, " instant"],
        first_of_cell: Int[np.ndarray, " sending"],
        noise_w: float,
        leaves_groups: Bool[np.ndarray, " sending"] | None = None,
        suppressed: Suppressed | None = None,
    ) -> "InterferenceMoments":
        """Return the moments where transfers of a cell take turns, each alone or a few at a time.

        The transmitters of each cell are drawn by their parts of the time, evenly and independently
        of the other cells, by systematic sampling: where these parts add up to 2.4, two or three
        transmit at once, as those who leave blocks to others do. One number decides for all groups
        of a cell: what moves a scheduler between two users within an instant, their average rates,
        moves it in all groups. Not where users leave groups to others: who comes first moves to its
        best groups and the other to what is left, so one gains a group where it loses another.
        There each group has a number of its own (compared with the slot engine: 30 uploads of 2 MB
        in 21 cells, TDL-A, one antenna, 0.970 s in both; 1.005 s with one number).

        Parameters
        ----------
        cross_gain
            Gain from every transmitter to every cell, 0 to its own.
        sent_w
            Mean power in a block of what each holds [W].
        shares
            Of each group, on average over time.
        activity
            Parts of the time in which each holds anything, > 0. Who then has less than one group
            has that part of a group, who has more has whole ones.
        weight
            Of the instants; sums to 1.
        first_of_cell
            First transfer of each cell that sends.
        leaves_groups
            Whether, in each of these cells, some users leave groups to others; ``None``: in none.
        noise_w
            Of a block [W].
        suppressed
            For MMSE combining; ``None`` is maximum-ratio combining.
        """
        num_cells, num_groups = cross_gain.shape[1], shares.shape[2]
        num_draws = -(-NUM_DRAWS // len(weight))
        num_transfers = shares.shape[1]
        last = np.append(first_of_cell[1:], num_transfers)
        moments = cls._zeros(num_cells, num_groups)
        cell = np.arange(len(first_of_cell)).repeat(last - first_of_cell)
        group = np.arange(num_groups)[:, None]
        row = np.arange(num_groups * num_draws).reshape(num_groups, num_draws, 1)
        at_once = np.minimum(shares.sum(axis=2) / activity, 1.0)
        in_time = np.divide(shares, at_once[..., None], out=np.zeros_like(shares), where=shares > 0)
        for instant, (part, power_w, turns) in enumerate(
            zip(weight, sent_w * at_once, in_time, strict=True)
        ):
            even = _even_draws(num_draws, len(first_of_cell), instant=instant)
            if leaves_groups is not None and num_groups > 1:
                apart = _even_draws(num_draws, num_groups * len(first_of_cell), instant=instant)
                apart = np.moveaxis(apart.reshape(num_draws, num_groups, -1), 1, 0)
                even = np.where(leaves_groups, apart, even)
            total = turns.cumsum(axis=0)
            total -= (total - turns)[first_of_cell][cell]
            # Each cell has as many places as transfers are on the air at once in it.
            most = np.ceil(total[last - 1].max(axis=1) * (1 - TURNS_RTOL))
            num_places = np.maximum(most, 1.0).astype(np.intp)
            ends = num_places.cumsum()
            place = np.arange(ends[-1])
            place_cell = np.arange(len(first_of_cell)).repeat(num_places)
            # Rising over all transfers of a group, group by group: the first place of the cell,
            # then the time given out in it.
            given_out = (ends - num_places)[cell] + np.minimum(total, num_places[cell, None]).T
            given_out += group * len(place)
            wanted = place + even[..., place_cell] + group[..., None] * len(place)
            chosen = given_out.ravel().searchsorted(wanted) - group[..., None] * num_transfers
            # The rest of the time a place is empty.
            chosen = np.where(chosen < last[place_cell], chosen, num_transfers)
            if suppressed is not None:
                left_w = suppressed.left_of_drawn_w(cross_gain, power_w, chosen, instant=instant)
                moments._add(part, left_w)
                continue
            sending_w = np.zeros((num_groups * num_draws, num_transfers + 1))
            sending_w[row, chosen] = np.append(power_w, 0.0)[chosen]
            is_drawn = sending_w[:, :-1].any(axis=0)
            drawn_w = sending_w[:, :-1][:, is_drawn] @ cross_gain[is_drawn]
            drawn_w = drawn_w.reshape(num_groups, num_draws, num_cells)
            moments._add(part, noise_w + np.moveaxis(drawn_w, 0, 2))
        return moments

    @classmethod
    def from_frequency_shared(
        cls,
        cross_gain: Float[np.ndarray, "transfer cell"],
        sent_w: Float[np.ndarray, "instant transfer"],
        shares: Float[np.ndarray, "instant transfer group"],
        *,
        weight: Float[np.ndarray, " instant"],
        noise_w: float,
        suppressed: Suppressed | None = None,
    ) -> "InterferenceMoments":
        """Return the moments where all have their shares all the time.

        Parameters are those of :meth:`from_time_shared`, less the activity.
        """
        moments = cls._zeros(cross_gain.shape[1], shares.shape[2])
        for instant, (part, power_w, held) in enumerate(zip(weight, sent_w, shares, strict=True)):
            if suppressed is None:
                received_w = noise_w + cross_gain.T @ (power_w[:, None] * held)
            else:
                received_w = suppressed.left_w(cross_gain, power_w, held, instant=instant)
            moments._add(part, received_w[None])
        return moments

    @classmethod
    def _zeros(cls, num_cells: int, num_groups: int) -> "InterferenceMoments":
        mean, log_mean, log_square = np.zeros((3, num_cells, num_groups))
        return cls(mean, log_mean, log_square, np.zeros(num_cells))

    def _add(self, part: float, drawn_w: Float[np.ndarray, "draw cell group"]) -> None:
        """Add the moments of draws, in place, by a part of the time."""
        log = np.log(drawn_w)
        values = (drawn_w, log, log**2, log.mean(axis=2) ** 2)
        for moment, value in zip(self, values, strict=True):
            np.add(moment, part / len(value) * np.add.reduce(value), out=moment)


class ExpectedInterference:
    """The interference that sites expect from what they have received, in the flow engine.

    The slot engine averages what it has measured (:class:`MeasuredInterference`). Here each solve
    gives the moments until the next.
    """

    def __init__(self) -> None:
        self._past: InterferenceMoments | None = None
        self._present: InterferenceMoments | None = None
        self._since_s = 0.0

    def forget(self) -> None:
        """Reset: nobody sends."""
        self._past = self._present = None

    @property
    def is_settled(self) -> bool:
        """Whether what is expected stays as it is while what is received does."""
        if self._past is None or self._present is None:
            return True
        change = self._present.log_mean - self._past.log_mean
        return bool(np.abs(change).max() < SETTLED_NEPER)

    def update(
        self, received: InterferenceMoments, *, now_s: float, until_s: float
    ) -> InterferenceMoments:
        """Take what is received from now on; return what is expected up to a time.

        Parameters
        ----------
        received
            Until the next solve.
        now_s, until_s
            Simulated times; inf where nothing changes any more.
        """
        if self._present is not None and now_s > self._since_s:
            past = self._present if self._past is None else self._past
            self._past = self._present.after(past, now_s - self._since_s)
        self._present, self._since_s = received, now_s
        return received if self._past is None else received.after(self._past, until_s - now_s)


class MeasuredInterference:
    """What sites have measured of the uplink interference, slot by slot.

    Parameters
    ----------
    num_cells, num_groups
        Shape of the interference.
    apart_s
        Distance of uplink slots, on average [s].
    """

    def __init__(self, *, num_cells: int, num_groups: int, apart_s: float) -> None:
        self._apart_s = apart_s
        self.mean_w: Float[np.ndarray, "cell group"] = np.zeros((num_cells, num_groups))
        """Exponential mean over the uplink slots [W]."""
        self._num_measured = 0

    def forget(self) -> None:
        """Reset: nobody sends."""
        self._num_measured = 0
        self.mean_w[:] = 0.0

    def measure(self, interference_w: Float[np.ndarray, "cell group"]) -> None:
        """Take the interference of an uplink slot; the first ones weigh equally."""
        self._num_measured += 1
        newest = -np.expm1(-self._apart_s / INTERFERENCE_AVERAGE_S)
        newest = max(newest, 1.0 / self._num_measured)
        self.mean_w += newest * (interference_w - self.mean_w)


@cache
def _even_draws(num_draws: int, num_cells: int, *, instant: int) -> Float[np.ndarray, "draw cell"]:
    """Return numbers in (0, 1), evenly spread for each cell, in an order of its own each instant.

    The same for all runs: they stand for all draws, not for those of one world.
    """
    even = np.tile((np.arange(num_draws)[:, None] + 0.5) / num_draws, (1, num_cells))
    return np.random.default_rng(instant).permuted(even, axis=0)
