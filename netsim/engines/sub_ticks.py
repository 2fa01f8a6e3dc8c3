"""Instants within a channel tick, at which schedulers that follow fading are asked."""

import numpy as np
from jaxtyping import Float

INSTANTS_A_CYCLE = 16
"""Instants needed in one Doppler cycle for a scheduler to follow the fading."""

MOST_INSTANTS = 8
"""Largest number of instants of a tick. Faster fading is sampled at these, not followed."""


def instants_per_tick(tick_s: float, *, doppler_hz: float) -> int:
    """Return the number of instants of a tick at which fading must be known to be followed.

    Examples
    --------
    >>> instants_per_tick(0.05, doppler_hz=9.73), instants_per_tick(0.005, doppler_hz=9.73)
    (8, 1)
    """
    return int(np.clip(np.ceil(tick_s * doppler_hz * INSTANTS_A_CYCLE), 1, MOST_INSTANTS))


def time_weights(duration_s: Float[np.ndarray, " instant"]) -> Float[np.ndarray, " instant"]:
    """Return the share of time from each instant to the next; a single one may last for ever.

    Examples
    --------
    >>> time_weights(np.array([0.01, 0.03])).tolist(), time_weights(np.array([np.inf])).tolist()
    ([0.25, 0.75], [1.0])
    """
    return np.ones(1) if len(duration_s) == 1 else duration_s / duration_s.sum()


def time_mean(
    duration_s: Float[np.ndarray, " instant"],
    values: Float[np.ndarray, "instant ..."],
    weight: Float[np.ndarray, "instant ..."] | None = None,
) -> Float[np.ndarray, "..."]:
    """Return the mean of values that hold from each instant to the next.

    Over time, or over time x weight; where no weight is positive, over time.
    """
    if len(duration_s) == 1:
        return values[0]
    part = time_weights(duration_s)
    if weight is None:
        return np.tensordot(part, values, axes=1)
    weight = np.where(weight.any(axis=0), weight, 1.0)
    return np.tensordot(part, weight * values, axes=1) / np.tensordot(part, weight, axes=1)
