"""Epsilon of the Gaussian mechanism over rounds in which a fixed number of clients is drawn.

Neighbouring sets of clients differ in *one client replaced by another*; their number is public.
Then a clipped sum has the sensitivity ``2 C``, twice the length of a change. Renyi differential
privacy adds up over rounds. With ``m`` of ``n`` clients drawn without replacement, ``q = m / n``,
the order ``a`` of a round is, from ``e(j) = j / (2 s^2)``, ``s`` the noise by the sensitivity,

    log(1 + q^2 C(a, 2) min(4 (exp(e(2)) - 1), 2 exp(e(2)))
        + sum_{j=3..a} q^j C(a, j) 2 exp((j - 1) e(j))) / (a - 1):

Wang, Balle, Kasiviswanathan, arXiv:1808.00087, theorem 9, for a mechanism whose order infinity is
unbounded; never more than ``e(a)``, what it is without sampling. Epsilon from the orders: Canonne,
Kamath, Steinke, arXiv:2004.00010, proposition 12.
"""

import math
from functools import lru_cache

import numpy as np
from jaxtyping import Float
from scipy.special import gammaln, logsumexp

ORDERS = np.array([*range(2, 65), 72, 80, 96, 112, 128, 160, 192, 256, 384, 512])
"""Orders of Renyi differential privacy that are looked at, whole numbers."""


class Accountant:
    """Adds up what rounds have cost.

    Parameters
    ----------
    noise_multiplier
        Standard deviation of the noise on a sum by the length to which a client is clipped, > 0.
    delta
        Chance with which the promise may fail.
    """

    def __init__(self, *, noise_multiplier: float, delta: float) -> None:
        self._noise_by_sensitivity = noise_multiplier / 2
        self._delta = delta
        self._spent = np.zeros(len(ORDERS))

    def add_round(self, *, num_drawn: int, num_clients: int) -> None:
        """Add a round in which so many of so many clients were drawn, all sets alike likely."""
        self._spent = self._spent + round_cost(
            num_drawn / num_clients, noise_by_sensitivity=self._noise_by_sensitivity
        )

    @property
    def epsilon(self) -> float:
        """Epsilon of all rounds so far."""
        return epsilon_of(self._spent, delta=self._delta)


@lru_cache(maxsize=256)
def round_cost(fraction: float, *, noise_by_sensitivity: float) -> Float[np.ndarray, " order"]:
    """Return what a round costs at each of :data:`ORDERS`.

    Parameters
    ----------
    fraction
        Part of the clients that is drawn, from above 0 to 1.
    noise_by_sensitivity
        Standard deviation of the noise by the sensitivity of the sum, > 0.
    """
    whole = ORDERS / (2 * noise_by_sensitivity**2)
    if fraction >= 1:
        return whole
    drawn = [_log_moment(int(a), fraction, noise_by_sensitivity) / (a - 1) for a in ORDERS]
    return np.minimum(whole, np.array(drawn))


def epsilon_of(spent: Float[np.ndarray, " order"], *, delta: float) -> float:
    """Return the least epsilon that the costs at all orders promise with ``delta``."""
    if not spent.any():
        return 0.0
    found = spent + np.log1p(-1 / ORDERS) - np.log(delta * ORDERS) / (ORDERS - 1)
    return max(0.0, float(found.min()))


def _log_moment(order: int, fraction: float, noise: float) -> float:
    """Return the log of the bound of the moment at an order."""
    j = np.arange(2, order + 1)
    choose = gammaln(order + 1) - gammaln(j + 1) - gammaln(order - j + 1)
    terms = choose + j * math.log(fraction) + math.log(2) + (j - 1) * j / (2 * noise**2)
    at_two = 1 / noise**2  # e(2)
    least = min(math.log(4) + at_two + math.log(-math.expm1(-at_two)), math.log(2) + at_two)
    terms[0] = choose[0] + 2 * math.log(fraction) + least
    return float(logsumexp([0.0, *terms]))
