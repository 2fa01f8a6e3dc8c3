"""What proportional fair gives out from one channel tick to the next, in all cells at once.

The law is a loop from slot to slot: who has the highest rate relative to its own average is served,
and what is served moves the averages. It is played out here in steps that are short against the
time in which a winner's average moves, which is the shorter the more contend: the average of one of
K is a K-th of what it is served with, so after a step of ``tau / K`` (tau the time constant) it has
doubled. With 20 contenders, steps of 6 ms instead of slots of 0.5 ms let winners stay on so long
that mean transfer times came out 16 % short.

:class:`netsim.mac.mean_shares.MeanShares` does the same for any scheduler, cell by cell, by asking
it.
"""

import numpy as np
from jaxtyping import Float, Int

from netsim.mac.mean_shares import AVERAGE_S, num_steps, power_exponent, served_bps
from netsim.mac.schedulers.proportional_fair import TIE_RTOL


def proportional_fair_shares(
    group_rate_bps: Float[np.ndarray, "instant bearer group"],
    *,
    alone_bps: Float[np.ndarray, "instant bearer"],
    average_bps: Float[np.ndarray, " bearer"],
    floor_bps: Float[np.ndarray, " bearer"],
    backhaul_limit_bps: Float[np.ndarray, " bearer"] | float,
    cell_start: Int[np.ndarray, " cell"],
    duration_s: Float[np.ndarray, " instant"],
    slot_s: float,
) -> tuple[Float[np.ndarray, "instant bearer group"], Float[np.ndarray, "instant bearer"]]:
    """Give mean shares and activity from each instant to the next.

    Parameters
    ----------
    group_rate_bps
        What the law compares: rates in each group at the power of an equal split.
    alone_bps
        Rate of each with the whole band.
    average_bps
        Averages at the first instant, > 0.
    floor_bps
        No average falls below this.
    backhaul_limit_bps
        What is really served of each at most; inf where wires do not hold it up.
    cell_start
        First bearer of each cell.
    duration_s
        Time to the next instant, the last to the end of the interval, finite.
    slot_s
        No step is shorter. Steps are those of the largest cell for all.

    Returns
    -------
    shares, activity
        As of :class:`netsim.mac.sharing.Grant`; the activity of who holds nothing is 1.
    """
    num_bearers = len(average_bps)
    sizes = np.diff(cell_start, append=num_bearers)
    cell = np.arange(len(cell_start)).repeat(sizes)
    contenders = sizes[cell]
    exponent = power_exponent(group_rate_bps, alone_bps, contenders)
    steps = num_steps(duration_s, num_contenders=int(sizes.max()), slot_s=slot_s)
    keep = np.exp(-duration_s / steps / AVERAGE_S)
    shares, activity = np.zeros(group_rate_bps.shape), np.zeros(alone_bps.shape)
    average = average_bps
    for place in range(len(duration_s)):
        rate = group_rate_bps[place]
        for _ in range(steps[place]):
            ratio = rate / average[:, np.newaxis]
            best = np.maximum.reduceat(ratio, cell_start)[cell]
            wins = ratio >= best * (1 - TIE_RTOL)
            answer = wins / np.add.reduceat(wins, cell_start, dtype=np.intp)[cell]
            turn = answer.max(axis=1)
            held = answer / np.where(turn > 0, turn, 1.0)[:, np.newaxis]
            served = turn * served_bps(held, rate, exponent[place], contenders)
            served = np.minimum(served, backhaul_limit_bps)
            shares[place] += answer
            activity[place] += turn
            average = np.maximum(served + keep[place] * (average - served), floor_bps)
    shares /= steps[:, np.newaxis, np.newaxis]
    return shares, np.where(activity > 0, activity / steps[:, np.newaxis], 1.0)
