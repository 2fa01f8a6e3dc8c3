"""What opportunistic scheduling wins over round robin: closed forms for i.i.d. Rayleigh users.

With equal mean SINR and independent fading, proportional fair serves the user whose channel is
best, and every user gets an equal share of the time.
"""

import numpy as np
from scipy.integrate import quad
from scipy.special import exp1


def mean_best_gain(num_users: int) -> float:
    """Return the mean power gain of the best of K users: the harmonic number H_K.

    Examples
    --------
    >>> mean_best_gain(4)
    2.083333333333333
    """
    _check_users(num_users)
    return float(np.sum(1.0 / np.arange(1, num_users + 1)))


def best_user_capacity(num_users: int, mean_sinr_linear: float) -> float:
    """Return E log2(1 + SINR) of the best of K users [bit/s/Hz].

    Parameters
    ----------
    num_users
        Users with independent Rayleigh fading, >= 1.
    mean_sinr_linear
        Mean SINR of each, > 0.

    Notes
    -----
    ``integral of (1 - (1 - exp(-x))^K) g / (1 + g x) dx / ln 2``, the tail form of the mean: unlike
    the alternating sum of exponential integrals it is accurate for any K.
    """
    _check_users(num_users)
    if not mean_sinr_linear > 0:
        msg = f"mean_sinr_linear: must be > 0, got {mean_sinr_linear}"
        raise ValueError(msg)
    if num_users == 1:
        inverse = 1.0 / mean_sinr_linear
        if inverse < 500:  # beyond, the exponential overflows and the integral serves
            return float(np.exp(inverse) * exp1(inverse) / np.log(2))

    def tail(gain: float) -> float:
        # log1p and expm1 keep the tail alive where exp(-x) is below the rounding of 1.
        above = -np.expm1(num_users * np.log1p(-np.exp(-gain))) if gain > 0 else 1.0
        return float(above * mean_sinr_linear / (1 + mean_sinr_linear * gain))

    edge = np.log(num_users) + 1.0
    near, _ = quad(tail, 0.0, edge, limit=200)
    far, _ = quad(tail, edge, edge + 60.0, limit=200)
    return (near + far) / float(np.log(2))


def proportional_fair_gain(num_users: int, mean_sinr_linear: float) -> float:
    """Return the sum rate of proportional fair over that of round robin, >= 1."""
    return best_user_capacity(num_users, mean_sinr_linear) / best_user_capacity(1, mean_sinr_linear)


def _check_users(num_users: int) -> None:
    if num_users < 1:
        msg = f"num_users: must be >= 1, got {num_users}"
        raise ValueError(msg)
