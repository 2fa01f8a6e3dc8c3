"""Mean shares of a scheduler with a metric from one channel tick to the next, in all cells at once.

:class:`netsim.mac.mean_shares.MeanShares` does the same for any scheduler, cell by cell, by asking
it for shares.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from netsim.mac.average_rate import RateOfShares, follow_averages, num_steps, power_exponent
from netsim.mac.metric_order import MetricOrder
from netsim.mac.schedulers import ask, placed
from netsim.mac.schedulers.metric import TIE_BREAK, serve_largest
from netsim.mac.unused_blocks import LimitsOverTime

Metric = Callable[
    [Float[np.ndarray, "bearer group"], Float[np.ndarray, " bearer"]],
    Float[np.ndarray, "bearer group"],
]


def metric_shares(
    metric: Metric,
    *,
    name: str,
    group_rate_bps: Float[np.ndarray, "instant bearer group"],
    alone_bps: Float[np.ndarray, "instant bearer"],
    average_bps: Float[np.ndarray, " bearer"],
    floor_bps: Float[np.ndarray, " bearer"],
    backhaul_limit_bps: Float[np.ndarray, " bearer"] | float,
    cell_start: Int[np.ndarray, " cell"],
    duration_s: Float[np.ndarray, " instant"],
    slot_s: float,
    limits: LimitsOverTime | None = None,
) -> tuple[Float[np.ndarray, "instant bearer group"], Float[np.ndarray, "instant bearer"]]:
    """Return mean shares and activity from each instant to the next.

    Parameters
    ----------
    metric
        Of an exclusive scheduler, see :class:`netsim.mac.schedulers.view.Scheduler`.
    name
        Of the scheduler, for error messages.
    group_rate_bps
        Rates in each group at the power of an equal split.
    alone_bps
        Rate of each with the whole band.
    average_bps, floor_bps, backhaul_limit_bps, duration_s
        As for :func:`netsim.mac.average_rate.follow_averages`.
    cell_start
        First bearer of each cell.
    slot_s
        No step is shorter [s]. Steps are those of the largest cell for all.
    limits
        What power lets the clients use; ``None`` if each uses the whole band.

    Returns
    -------
    shares, activity
        As of :class:`netsim.mac.sharing.Grant`; the activity of who holds nothing is 1.

    Raises
    ------
    RuntimeError, ValueError
        If the metric raises anything, or is not one number for each bearer and group.
    """
    sizes = np.diff(cell_start, append=len(average_bps))
    contenders = sizes.repeat(sizes)
    exponent = power_exponent(group_rate_bps, alone_bps, contenders)
    cell = np.arange(len(sizes)).repeat(sizes)
    placed_name = placed(name, metric)
    in_turns = np.ones(len(average_bps), dtype=bool)
    if limits is not None:
        in_turns = ~limits.at_instant[0].in_limited_cell()
    tie_break = 1.0 + TIE_BREAK * np.where(in_turns, 0, np.arange(len(in_turns)))
    order = None if limits is None else MetricOrder(limits)

    def shares_at(
        instant: int, average: Float[np.ndarray, " bearer"]
    ) -> Float[np.ndarray, "bearer group"]:
        average = average * tie_break
        values = ask(metric, group_rate_bps[instant], average, name=name)
        values = check_metric(values, average, name=placed_name)
        if order is None:
            return serve_largest(values, cell_start, cell)
        return order.shares(instant, values)

    return follow_averages(
        shares_at,
        [
            RateOfShares(
                group_rate_bps=rate,
                exponent=wider,
                num_contenders=contenders,
                in_turns=in_turns,
            )
            for rate, wider in zip(group_rate_bps, exponent, strict=True)
        ],
        duration_s=duration_s,
        steps=num_steps(duration_s, num_contenders=int(sizes.max()), slot_s=slot_s),
        average_bps=average_bps,
        floor_bps=floor_bps,
        backhaul_limit_bps=backhaul_limit_bps,
    )


def check_metric(
    values: Float[np.ndarray, "bearer group"],
    average_bps: Float[np.ndarray, " bearer"],
    *,
    name: str,
) -> Float[np.ndarray, "bearer group"]:
    """Return the metric if it has a row for each bearer and no NaN.

    Raises
    ------
    ValueError
        If it has not.
    """
    if np.ndim(values) != 2 or len(values) != len(average_bps):
        msg = (
            f"scheduler {name}: metric must have a row for each of {len(average_bps)} transfers "
            f"and a column for each group, got shape {np.shape(values)}"
        )
        raise ValueError(msg)
    if np.isnan(values).any():
        msg = f"scheduler {name}: metric must be numbers, got NaN"
        raise ValueError(msg)
    return values
