"""Epsilon of the Gaussian mechanism over rounds in which some of all clients are drawn.

Where a fixed number of them is drawn, neighbouring sets of clients differ in *one client replaced
by another*; their number is public. Then a clipped sum has the sensitivity ``2 C``, twice the
length of a change. Renyi differential privacy adds up over rounds. With ``m`` of ``n`` clients
drawn without replacement, ``q = m / n``, the order ``a`` of a round is, from
``e(j) = j / (2 s^2)``, ``s`` the noise by the sensitivity,

    log(1 + q^2 C(a, 2) min(4 (exp(e(2)) - 1), 2 exp(e(2)))
        + sum_{j=3..a} q^j C(a, j) 2 exp((j - 1) e(j))) / (a - 1):

Wang, Balle, Kasiviswanathan, arXiv:1808.00087, theorem 9, for a mechanism whose order infinity is
unbounded; never more than ``e(a)``, what it is without sampling.

Where each takes part with probability ``q`` by a draw of its own (Poisson sampling), neighbouring
sets differ in *one client added or removed*: the sensitivity is ``C``. With ``z`` the noise by it,
the order ``a`` of a round is

    log(sum_{k=0..a} C(a, k) (1 - q)^(a - k) q^k exp((k^2 - k) / (2 z^2))) / (a - 1):

Mironov, Talwar, Zhang, arXiv:1908.10530, section 3.3. Epsilon from the orders: Canonne, Kamath,
Steinke, arXiv:2004.00010, proposition 12. The same holds of the texts that steps of a client draw.
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
        self._noise_multiplier = noise_multiplier
        self._delta = delta
        self._spent = np.zeros(len(ORDERS))

    def add_round(self, *, num_drawn: int, num_clients: int) -> None:
        """Add a round in which so many of so many clients were drawn, all sets alike likely."""
        self._spent = self._spent + round_cost(
            num_drawn / num_clients, noise_by_sensitivity=self._noise_multiplier / 2
        )

    def add_poisson(self, probability: float, *, num_rounds: int = 1) -> None:
        """Add rounds in which each took part with a probability, by a draw of its own."""
        self._spent = self._spent + num_rounds * poisson_cost(
            probability, noise_multiplier=self._noise_multiplier
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


@lru_cache(maxsize=256)
def poisson_cost(probability: float, *, noise_multiplier: float) -> Float[np.ndarray, " order"]:
    """Return what a round of Poisson sampling costs at each of :data:`ORDERS`.

    Parameters
    ----------
    probability
        With which each takes part, from above 0 to 1.
    noise_multiplier
        Standard deviation of the noise by the length to which each is clipped, > 0.
    """
    if probability >= 1:
        return ORDERS / (2 * noise_multiplier**2)
    costs = []
    for order in ORDERS:
        k = np.arange(order + 1)
        choose = gammaln(order + 1) - gammaln(k + 1) - gammaln(order - k + 1)
        terms = choose + (order - k) * math.log1p(-probability) + k * math.log(probability)
        moment = logsumexp(terms + (k * k - k) / (2 * noise_multiplier**2))
        costs.append(max(0.0, float(moment)) / (order - 1))
    return np.array(costs)


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
