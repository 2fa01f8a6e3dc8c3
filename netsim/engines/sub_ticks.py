"""Instants within a channel tick at which fading is told apart."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

INSTANTS_A_CYCLE = 16
"""Instants needed in one Doppler cycle for a scheduler to follow the fading."""

MEAN_INSTANTS_A_CYCLE = 4
"""Instants in one Doppler cycle for the mean rate of a tick where no scheduler follows the fading:
the standard deviation of the mean gain over a tick is then within 10 % of that of Rayleigh fading,
whose gains a time tau apart have the correlation J0(2 pi f_d tau)^2. With one fade held for a tick,
who walks would meet too few fades and wait too long in the worst of them."""

MOST_INSTANTS = 8
"""Largest number of instants of a tick. Faster fading is sampled at these, not followed."""


def instants_per_tick(tick_s: float, *, doppler_hz: float, is_followed: bool) -> int:
    """Return the number of instants of a tick at which fading must be known.

    Parameters
    ----------
    tick_s
        Length of a tick [s].
    doppler_hz
        Maximum Doppler frequency [Hz].
    is_followed
        Whether the scheduled users change with the fading.

    Examples
    --------
    >>> instants_per_tick(0.05, doppler_hz=9.73, is_followed=True)
    8
    >>> instants_per_tick(0.05, doppler_hz=9.73, is_followed=False)
    2
    """
    a_cycle = INSTANTS_A_CYCLE if is_followed else MEAN_INSTANTS_A_CYCLE
    return int(np.clip(np.ceil(tick_s * doppler_hz * a_cycle), 1, MOST_INSTANTS))


def time_weights(duration_s: Float[np.ndarray, " instant"]) -> Float[np.ndarray, " instant"]:
    """Return the share of time from each instant to the next; a single one may last for ever.

    Examples
    --------
    >>> time_weights(np.array([0.01, 0.03])).tolist(), time_weights(np.array([np.inf])).tolist()
    ([0.25, 0.75], [1.0])
    """
    return np.ones(1) if len(duration_s) == 1 else duration_s / duration_s.sum()


def time_mean(
    duration_s: Float[np.ndarray, " instant"], values: Float[np.ndarray, "instant ..."]
) -> Float[np.ndarray, "..."]:
    """Return the mean over time of values that hold from each instant to the next."""
    if len(duration_s) == 1:
        return values[0]
    # np.tensordot takes several times as long for few.
    mean = np.dot(time_weights(duration_s)[None], values.reshape(len(duration_s), -1))
    return mean.reshape(values.shape[1:])


def time_means(
    duration_s: Float[np.ndarray, " instant"],
    values: Sequence[Float[np.ndarray, "instant transfer"]],
    *,
    weighted: Sequence[Float[np.ndarray, "instant transfer"]],
    weight: Float[np.ndarray, "instant transfer"],
) -> Sequence[Float[np.ndarray, " transfer"]]:
    """Return the means over time of some values, then those of others over time x weight.

    Values hold from each instant to the next. Where no weight is positive the mean is over time.
    """
    if len(duration_s) == 1:
        return [each[0] for each in (*values, *weighted)]
    is_nowhere = weight.max(axis=0) == 0
    if np.count_nonzero(is_nowhere):
        weight = np.where(is_nowhere, 1.0, weight)
    means = time_weights(duration_s) @ np.array(
        [*values, *(weight * each for each in weighted), weight]
    )
    means[len(values) : -1] /= means[-1]
    return list(means[:-1])
