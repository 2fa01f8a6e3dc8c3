"""The average rates that schedulers look at, and the shares that follow from them within a tick.

A scheduler that looks at average rates is a loop from slot to slot: its answer decides what is
served, and what is served moves the averages. :func:`follow_averages` runs that loop in steps that
are longer than a slot but short against the time in which the average of a scheduled user moves.
That time is the shorter, the more users contend: the average of one of K users is a K-th of the
rate at which it is served, so after ``tau / K`` (tau the time constant) it has doubled. With 20
contending users, steps of 6 ms instead of slots of 0.5 ms keep scheduled users on the air for so
long that mean transfer times come out 16 % short.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from netsim.phy.effective_sinr import mean_over_groups

AVERAGE_S = 0.15
"""Time constant of the served rate that proportional fair looks at [s]; 300 slots of 0.5 ms."""

STEP_OF_AVERAGE = 0.1
"""Part by which the average of a scheduled user grows in one step, roughly. Mean transfer times of
20 contending users are then 1 % from those of steps of a slot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RateOfShares:
    """Rates of any shares, from those of an equal split and of the whole band.

    A wider share spreads the power of a transmitter at its limit: the rate grows less than in
    proportion. The reduction is known for the whole band and is none for an equal split; between
    the two it is interpolated as a power of the width.
    """

    group_rate_bps: Float[np.ndarray, "bearer group"]
    """Rates of each group at the power of an equal split."""
    exponent: Float[np.ndarray, " bearer"]
    """From :func:`power_exponent`."""
    num_contenders: Int[np.ndarray, " bearer"] | int
    """Bearers among which the split is."""
    in_turns: Bool[np.ndarray, " bearer"] | bool
    """Whether a group shared by several is served to one after another, each at full width."""

    def served(
        self, shares: Float[np.ndarray, "bearer group"]
    ) -> tuple[Float[np.ndarray, " bearer"], Float[np.ndarray, " bearer"]]:
        """Return the part of the time in which each is on the air, and the rate served [bit/s]."""
        most = shares[:, 0] if shares.shape[1] == 1 else np.maximum.reduce(shares, axis=1)
        activity = np.where(self.in_turns, most, most > 0)
        held = shares / np.where(activity > 0, activity, 1.0)[:, np.newaxis]
        return activity, activity * self.rate_bps(held)

    def rate_bps(self, shares: Float[np.ndarray, "bearer group"]) -> Float[np.ndarray, " bearer"]:
        """Return the rate of each at shares that it holds all the time [bit/s]."""
        wider = np.maximum(mean_over_groups(shares) * self.num_contenders, 1.0)
        rate_bps = shares * self.group_rate_bps
        whole = rate_bps[:, 0] if shares.shape[1] == 1 else rate_bps @ np.ones(shares.shape[1])
        return whole * wider**self.exponent


def power_exponent(
    group_rate_bps: Float[np.ndarray, "*bearer group"],
    alone_bps: Float[np.ndarray, "*bearer"],
    num_contenders: Int[np.ndarray, " bearer"] | int,
) -> Float[np.ndarray, "*bearer"]:
    """Return the power of the width by which wider shares yield less than in proportion.

    Parameters
    ----------
    group_rate_bps
        Rates at an equal split, by group.
    alone_bps
        Rate with the whole band.
    num_contenders
        Among how many the split is.
    """
    whole = group_rate_bps.sum(axis=-1)
    ratio = np.divide(alone_bps, whole, out=np.ones(whole.shape), where=whole > 0)
    return np.log(np.clip(ratio, 1e-9, 1.0)) / np.log(np.maximum(num_contenders, 2))


def num_steps(
    duration_s: Float[np.ndarray, " instant"], *, num_contenders: int, slot_s: float
) -> Int[np.ndarray, " instant"]:
    """Return how often a scheduler that looks at average rates is asked within some times.

    Parameters
    ----------
    duration_s
        Finite times [s].
    num_contenders
        Transfers among which it chooses: the more, the faster the average of the scheduled moves.
    slot_s
        It is never asked more often than that [s].

    Examples
    --------
    >>> num_steps(np.array([0.05]), num_contenders=6, slot_s=0.5e-3).tolist()
    [20]
    """
    step_s = max(STEP_OF_AVERAGE * AVERAGE_S / num_contenders, slot_s)
    return np.maximum(np.ceil(duration_s / step_s * (1 - 1e-9)), 1.0).astype(np.intp)


def follow_averages(
    shares_at: Callable[
        [int, Float[np.ndarray, " bearer"]],
        Float[np.ndarray, "bearer group"],
    ],
    rates: list[RateOfShares],
    *,
    duration_s: Float[np.ndarray, " instant"],
    steps: Int[np.ndarray, " instant"],
    average_bps: Float[np.ndarray, " bearer"],
    floor_bps: Float[np.ndarray, " bearer"],
    backhaul_limit_bps: Float[np.ndarray, " bearer"] | float,
) -> tuple[Float[np.ndarray, "instant bearer group"], Float[np.ndarray, "instant bearer"]]:
    """Return mean shares and activity from each instant to the next while averages move.

    Parameters
    ----------
    shares_at
        The scheduler's answer at an instant (its index) and some averages [bit/s].
    rates
        What shares yield at each instant.
    duration_s
        Time to the next instant, the last to the end of the interval, finite [s].
    steps
        How often the scheduler is asked from each instant to the next, >= 1.
    average_bps
        Average rates at the first instant, > 0.
    floor_bps
        No average falls below this.
    backhaul_limit_bps
        Largest rate that the backhaul carries of each; inf where it does not limit.

    Returns
    -------
    shares
        Mean share of each group.
    activity
        Part of the time in which anything is held, in (0, 1]; 1 for who holds nothing.
    """
    keep = np.exp(-duration_s / steps / AVERAGE_S)
    shares = np.zeros((len(rates), *rates[0].group_rate_bps.shape))
    activity = np.zeros(shares.shape[:2])
    average = average_bps
    for instant, rate in enumerate(rates):
        for _ in range(int(steps[instant])):
            answer = shares_at(instant, average)
            is_active, served_bps = rate.served(answer)
            shares[instant] += answer
            activity[instant] += is_active
            served_bps = np.minimum(served_bps, backhaul_limit_bps)
            average = np.maximum(served_bps + keep[instant] * (average - served_bps), floor_bps)
    shares /= steps[:, np.newaxis, np.newaxis]
    return shares, np.where(activity > 0, activity / steps[:, np.newaxis], 1.0)
