"""Which fades a cell's law serves: proportional fair, played out once on the fading process.

Among K transfers with fades of their own the law serves those that are high against what each got
of late. How high that is depends on K, on how fast fades change against the time over which the law
averages, on how many groups of the band fade apart, and on the slope of the rate over SINR. No
closed form has all four, so the law is run on series of the process, and what it served is
tabulated. With an endless average and a linear rate it serves the best of K: power gain H_K.

Assumptions: contenders have equal mean SINR (the law compares each with itself, so others matter
only through the slope of their rate), equal Doppler, and always something to send. Senders at the
limit of power are looked at where fading is flat; where groups fade apart, contenders share the
band as in an equal split, near enough. An answer holds for milliseconds, see :func:`series_step_s`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from netsim.units import floored_db

NUM_CONTENDERS = (1, 2, 3, 4, 6, 8, 12, 24)
"""Numbers of contenders for which the law is run."""

SINR_DB = (-5.0, 0.0, 5.0, 10.0, 15.0, 20.0, 25.0)
"""Mean SINRs at which it is run: from linear rates to those near the end of the MCS tables."""

FADE_DB = np.arange(-36.0, 15.01, 0.25)
"""FadingTraces told apart."""

NUM_STEPS = 1000
"""Answers after the warm-up."""

STEPS_A_CYCLE = 20
"""Least answers in a period of the largest Doppler frequency."""

STEPS_AN_AVERAGE = 60
"""Least answers in the time over which the law averages."""

STEPS_A_SAMPLE = 4
"""Of so many answers one is looked at: fades last longer."""

WARM_UP_AVERAGES = 2.0
"""Averaging times before answers are looked at."""

Flatten = Callable[
    [Float[np.ndarray, "draw group"], Float[np.ndarray, "draw group"] | None],
    Float[np.ndarray, " draw"],
]
"""Gives the SINR of a flat channel worth as much as the groups held, from SINRs and shares."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduledFading:
    """What was served in the long run."""

    num_contenders: Int[np.ndarray, " count"]
    """Transfers that took part, increasing from 1."""
    sinr_db: Float[np.ndarray, " sinr"]
    """Mean SINR of each, increasing."""
    fade: Float[np.ndarray, " level"]
    """Effective power gains, linear."""
    weight: Float[np.ndarray, "limit sinr count level"]
    """Part of what was served that had them; sums to 1 over levels.

    The first axis is the limit of power: none, and, if there is a second, one that leaves the
    winner of the whole band 1 / K of the density of an equal split, at which the law compares."""
    overlap: Float[np.ndarray, "limit sinr count"]
    """Transfers on the air at once, >= 1; 1 in flat fading, where the winner has the whole band."""


def series_step_s(*, doppler_hz: float, average_s: float, slot_s: float) -> float:
    """Return the distance of instants of a series [s]: fine against all that changes, >= a slot."""
    cycle_s = 1.0 / doppler_hz if doppler_hz > 0 else np.inf
    return max(min(cycle_s / STEPS_A_CYCLE, average_s / STEPS_AN_AVERAGE), slot_s)


def num_series_steps(*, step_s: float, average_s: float) -> int:
    """Return the number of instants of a series."""
    return NUM_STEPS + round(WARM_UP_AVERAGES * average_s / step_s)


def served_by_all(gain: Float[np.ndarray, "draw group"], *, flatten: Flatten) -> ScheduledFading:
    """Describe a law that does not look at fades: it serves all alike, however many contend.

    Parameters
    ----------
    gain
        Power gains; brought to mean 1.
    flatten
        See :data:`Flatten`.
    """
    gain = gain / gain.mean()
    mean = _linear(np.array(SINR_DB))
    ones = np.ones(len(gain))
    weight = [[_spread(flatten(each * gain, None) / each, ones)] for each in mean]
    return ScheduledFading(
        num_contenders=np.array([1]),
        sinr_db=np.array(SINR_DB),
        fade=_linear(FADE_DB),
        weight=np.array([weight]),
        overlap=np.ones((1, len(mean), 1)),
    )


def served_by_proportional_fair(
    gain: Float[np.ndarray, "time group link"],
    *,
    step_s: float,
    average_s: float,
    efficiency: Callable[[Float[np.ndarray, "..."]], Float[np.ndarray, "..."]],
    flatten: Flatten,
    num_contenders: tuple[int, ...] = NUM_CONTENDERS,
    sinr_db: tuple[float, ...] = SINR_DB,
) -> ScheduledFading:
    """Run proportional fair on series of power gains.

    For every number of contenders the links are dealt out into cells of so many; who is left over
    sits out. Cells of all sizes and SINRs run together.

    Parameters
    ----------
    gain
        Power gains of links that fade independently, at instants ``step_s`` apart; brought to
        mean 1. The first ``WARM_UP_AVERAGES * average_s`` are not counted.
    step_s
        Time for which an answer holds [s].
    average_s
        Time constant of the average rate that the law looks at [s].
    efficiency
        Rate that the law expects at a linear SINR, in any unit.
    flatten
        See :data:`Flatten`.
    num_contenders
        Sizes of cells, the first 1, the last at most the number of links.
    sinr_db
        Mean SINRs.
    """
    num_links = gain.shape[2]
    sizes = [np.full(num_links // count, count) for count in num_contenders]
    link = np.concatenate([np.arange(len(size) * size[0]) for size in sizes])
    size = np.concatenate(sizes)
    first = np.concatenate(([0], np.cumsum(size)[:-1]))
    cell = np.repeat(np.arange(len(size)), size)

    # Axes: limit, sinr, group, link in a cell. SINRs are those of who has the whole band.
    mean = _linear(np.array(sinr_db))
    lift = (
        np.ones((1, len(link))) if gain.shape[1] > 1 else np.stack([np.ones(len(link)), size[cell]])
    )
    base = mean[:, None, None] * (gain / gain.mean())[:, None]
    rate = efficiency(base)
    tiny = np.finfo(float).tiny
    average = np.maximum(rate.mean(axis=(0, 2))[:, link] / size[cell], tiny)
    average = np.repeat(average[None], len(lift), axis=0)
    keep = np.exp(-step_s / average_s)
    skipped = round(WARM_UP_AVERAGES * average_s / step_s)
    held, met = [], []
    for step in range(len(gain)):
        offered = rate[step][:, :, link]
        seen = offered[None]
        if len(lift) > 1:
            seen = np.stack([offered, efficiency(base[step][:, :, link] * lift[1])])
        ratio = seen / average[:, :, None]
        wins = ratio >= np.maximum.reduceat(ratio, first, axis=3)[..., cell]
        served = (wins * offered).mean(axis=2)
        average = np.maximum(served + keep * (average - served), tiny)
        if step >= skipped and step % STEPS_A_SAMPLE == 0:
            part = np.moveaxis(wins, 2, 3)
            is_held = part.any(axis=3)
            held.append(part.mean(axis=3))
            sinr = np.broadcast_to(np.moveaxis(base[step][:, :, link], 1, 2), part.shape)
            flat = np.zeros(is_held.shape)
            flat[is_held] = flatten(sinr[is_held], part[is_held].astype(float))
            met.append(flat / mean[:, None])
    shares, fades = np.array(held), np.array(met)
    weight = np.empty((len(lift), len(mean), len(num_contenders), len(FADE_DB)))
    overlap = np.empty(weight.shape[:3])
    for place, count in enumerate(num_contenders):
        chosen = size[cell] == count
        for limit, row in np.ndindex(len(lift), len(mean)):
            share = shares[:, limit, row, chosen].ravel()
            weight[limit, row, place] = _spread(fades[:, limit, row, chosen].ravel(), share)
            overlap[limit, row, place] = count * np.count_nonzero(share) / len(share)
    return ScheduledFading(
        num_contenders=np.array(num_contenders),
        sinr_db=np.array(sinr_db),
        fade=_linear(FADE_DB),
        weight=weight,
        overlap=overlap,
    )


def _linear(level_db: Float[np.ndarray, "*any"]) -> Float[np.ndarray, "*any"]:
    return 10.0 ** (level_db / 10)


def _spread(
    fade: Float[np.ndarray, " draw"], weight: Float[np.ndarray, " draw"]
) -> Float[np.ndarray, " level"]:
    """Return the part of the weight at each level, the one nearest in dB."""
    fade_db = floored_db(fade)
    step_db = FADE_DB[1] - FADE_DB[0]
    level = np.clip(np.rint((fade_db - FADE_DB[0]) / step_db), 0, len(FADE_DB) - 1)
    total = np.bincount(level.astype(np.intp), weight, len(FADE_DB))
    return total / total.sum()
