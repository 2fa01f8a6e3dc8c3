"""How the learning rate changes: of jobs over the run, and of steps within a job.

Over the run it goes by the version of the server that a client begins from, the number of
aggregations so far: asynchronous servers have no rounds. Steps within a job count in the same way:
the first is 0, of so many of the job.
"""

import math
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Lt


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstantRate:
    """The rate stays."""

    kind: Literal["constant"] = "constant"
    """Name of this schedule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExponentialRate:
    """The rate is multiplied by the same factor at every aggregation or step."""

    factor: Annotated[float, Gt(0), Lt(1)] = 0.99
    """Part that is left, each time."""
    kind: Literal["exponential"] = "exponential"
    """Name of this schedule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinearRate:
    """The rate falls in a straight line until the last round or step."""

    last_part: Annotated[float, Ge(0), Lt(1)] = 0.1
    """Part of the rate in the last round or step."""
    kind: Literal["linear"] = "linear"
    """Name of this schedule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CosineRate:
    """The rate falls as half a period of a cosine until the last round or step."""

    last_part: Annotated[float, Ge(0), Lt(1)] = 0.1
    """Part of the rate in the last round or step."""
    kind: Literal["cosine"] = "cosine"
    """Name of this schedule."""


RateSchedule = ConstantRate | ExponentialRate | LinearRate | CosineRate
"""Any schedule; told apart by ``kind``."""
CONSTANT_RATE = ConstantRate()
"""What holds where nothing else is said."""


def rate_factor(
    schedule: RateSchedule, *, version: int, num_rounds: int, warmup_rounds: int = 0
) -> float:
    """Return what the learning rate is multiplied by, in [0, 1].

    Parameters
    ----------
    schedule
        How the rate falls.
    version
        Aggregations before the client began, at least 0.
    num_rounds
        Aggregations of the whole run, at least 1.
    warmup_rounds
        Aggregations over which the rate rises in a straight line to what the schedule says.

    Examples
    --------
    >>> linear = LinearRate(last_part=0.2)
    >>> [round(rate_factor(linear, version=v, num_rounds=5), 3) for v in (0, 2, 4)]
    [1.0, 0.6, 0.2]
    >>> [rate_factor(ConstantRate(), version=v, num_rounds=5, warmup_rounds=3) for v in (0, 1, 3)]
    [0.25, 0.5, 1.0]
    """
    rise = min(1.0, (version + 1) / (warmup_rounds + 1))
    if isinstance(schedule, ExponentialRate):
        return rise * schedule.factor**version
    if isinstance(schedule, ConstantRate):
        return rise
    progress = min(1.0, version / max(1, num_rounds - 1))
    left = (
        1.0 - progress
        if isinstance(schedule, LinearRate)
        else (1 + math.cos(math.pi * progress)) / 2
    )
    return rise * (schedule.last_part + (1.0 - schedule.last_part) * left)
