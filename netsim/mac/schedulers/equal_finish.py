"""Equal finish: all active transfers end at the same instant, the earliest that is possible."""

from collections.abc import Callable
from functools import partial

import numpy as np
from jaxtyping import Float

from netsim.mac.schedulers.mean_rates import MeanRates
from netsim.mac.schedulers.view import CellView, same_in_every_group

MAX_ITERATIONS = 40
TIME_RTOL = 1e-10
MIN_FRACTION = 1e-12
MIN_MOVE = 1e-9
SUM_TOLERANCE = 1e-13
RATE_FLOOR_BPS = 1e-3
ELASTICITY_STEP = 1e-3
MIN_ELASTICITY = 0.02


class EqualFinish:
    """Minimise the time at which the last active transfer ends, were the shares kept.

    Rates are means over the instants at which a transfer was on view
    (:class:`netsim.mac.schedulers.mean_rates.MeanRates`). At the present rates a user in a fade
    would have more of the band, just where it carries least, and all would end later: 20 % later
    than under round robin over Rayleigh fading.

    At the optimum of this min-max problem all transfers end together (otherwise the last could
    take band from the first). The fractions, the same in every group, solve
    ``remaining_k / rate_k(fraction_k) = T`` with ``sum fraction_k = 1``. For Shannon rates the
    solution is a closed form with W of branch -1
    (:func:`tests.netsim.theory.allocation.equal_finish_time`, the oracle of the tests); here the
    rate is any non-decreasing function, so it is solved by secant steps in the logarithms of
    fraction and rate, where it is close to straight. With a rate that has steps the best iterate is
    kept; the equal split is the first, so it is never worse than that. Transfers without any rate
    (out of coverage) get nothing unless all are.
    """

    uses_average_rate = False

    def __init__(self) -> None:
        self._mean_rates = MeanRates()

    def shares(self, view: CellView) -> Float[np.ndarray, "transfer group"]:
        """Return fractions that finish together."""
        num = len(view.client_id)
        rate_bps = view.rate_bps(np.ones(num))
        reachable = rate_bps > 0
        mean_bps = self._mean_rates.over_time(view, rate_bps)
        if not reachable.any():
            return same_in_every_group(np.full(num, 1.0 / num), view)
        over_present = mean_bps[reachable] / rate_bps[reachable]
        return same_in_every_group(self._solve(view, reachable, over_present), view)

    def _solve(
        self, view: CellView, reachable: np.ndarray, over_present: Float[np.ndarray, " some"]
    ) -> Float[np.ndarray, " transfer"]:
        """Iterate on the reachable transfers; keep the fractions with the earliest last finish."""
        bits = view.remaining_bits[reachable] / over_present
        rate_bps = partial(_rate_bps, view, reachable)
        part = np.full(len(bits), 1.0 / len(bits))
        rate = rate_bps(part)
        elasticity = _tangent(part, rate, rate_bps)
        best, best_s = part, np.inf
        for _ in range(MAX_ITERATIONS):
            time_s = bits / rate
            if time_s.max() < best_s:
                best, best_s = part, time_s.max()
            if time_s.max() - time_s.min() <= TIME_RTOL * time_s.max():
                break
            last, last_rate = part, rate
            part = _at_common_time(np.log(part), np.log(time_s), elasticity)
            rate = rate_bps(part)
            # The slope between the last two points sees both sides of a kink; a tangent would not.
            moved = np.abs(np.log(part / last)) > MIN_MOVE
            with np.errstate(divide="ignore", invalid="ignore"):
                secant = np.log(rate / last_rate) / np.log(part / last)
            elasticity = np.where(moved, np.clip(secant, MIN_ELASTICITY, 1.0), elasticity)
        fraction = np.zeros(len(reachable))
        fraction[reachable] = best
        return fraction


def _rate_bps(
    view: CellView, reachable: np.ndarray, part: Float[np.ndarray, " some"]
) -> Float[np.ndarray, " some"]:
    """Return the rates of the reachable transfers at fractions of theirs."""
    fraction = np.zeros(len(reachable))
    fraction[reachable] = part
    # A fraction too narrow for a resource block has no rate: call it a very low one.
    return np.maximum(view.rate_bps(fraction)[reachable], RATE_FLOOR_BPS)


def _tangent(
    part: Float[np.ndarray, " transfer"],
    rate: Float[np.ndarray, " transfer"],
    rate_bps: Callable[[Float[np.ndarray, " transfer"]], Float[np.ndarray, " transfer"]],
) -> Float[np.ndarray, " transfer"]:
    """Return the slope of log rate in log fraction, from a second point close by."""
    slope = np.log(rate / rate_bps(part / (1 + ELASTICITY_STEP))) / np.log1p(ELASTICITY_STEP)
    return np.clip(slope, MIN_ELASTICITY, 1.0)


def _at_common_time(
    log_part: Float[np.ndarray, " transfer"],
    log_time: Float[np.ndarray, " transfer"],
    elasticity: Float[np.ndarray, " transfer"],
) -> Float[np.ndarray, " transfer"]:
    """Return fractions that sum to 1 and, were the elasticities exact, end at one common time.

    The logarithm of their sum is convex and decreasing in the common log time and not negative at
    the smallest time, so Newton steps from there never overshoot.
    """
    common = log_time.min()
    for _ in range(MAX_ITERATIONS):
        exponent = log_part + (log_time - common) / elasticity
        shift = exponent.max()
        weight = np.exp(exponent - shift)
        total = weight.sum()
        excess = shift + np.log(total)
        if excess <= SUM_TOLERANCE:
            break
        common += excess * total / (weight / elasticity).sum()
    return np.maximum(weight / total, MIN_FRACTION)
