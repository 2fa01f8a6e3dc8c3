"""Equal finish: all active transfers end at the same instant, the earliest that is possible."""

import numpy as np
from jaxtyping import Float

from netsim.schedulers.view import CellView, same_in_every_group

MAX_ITERATIONS = 40
TIME_RTOL = 1e-10
MIN_FRACTION = 1e-9
ELASTICITY_STEP = 1e-3
MIN_ELASTICITY = 0.02


class EqualFinish:
    """Minimise the time at which the last active transfer ends, were the shares kept.

    At the optimum of this min-max problem all transfers end together (otherwise the last could
    take band from the first). The fractions, the same in every group, solve
    ``remaining_k / rate_k(fraction_k) = T`` with ``sum fraction_k = 1``. For Shannon rates the
    solution is the W_-1 closed form of :func:`netsim.allocation.equal_finish_time`, the oracle of
    the tests; here the rate is any non-decreasing function, so it is solved by Newton steps in the
    logarithms of fraction and rate, where a power-limited rate is concave. With a rate that has
    steps the best iterate is kept; the equal split is the first, so it is never worse than that.
    Transfers without any rate (out of coverage) get nothing unless all are.
    """

    def shares(self, view: CellView) -> Float[np.ndarray, "transfer group"]:
        """Give fractions that finish together."""
        num = len(view.client_id)
        reachable = view.rate_bps(np.ones(num)) > 0
        if not reachable.any():
            return same_in_every_group(np.full(num, 1.0 / num), view)
        return same_in_every_group(self._solve(view, reachable), view)

    def _solve(self, view: CellView, reachable: np.ndarray) -> Float[np.ndarray, " transfer"]:
        fraction = reachable / reachable.sum()
        best, best_time_s = fraction, np.inf
        for _ in range(MAX_ITERATIONS):
            rate = np.where(reachable, view.rate_bps(fraction), 1.0)
            time_s = _finish_time_s(view.remaining_bits, rate, reachable)
            last_s = time_s[reachable].max()
            if last_s < best_time_s:
                best, best_time_s = fraction, last_s
            if np.isfinite(last_s) and last_s - time_s[reachable].min() <= TIME_RTOL * last_s:
                break
            fraction = self._newton_step(view, reachable, fraction, rate)
        return best

    def _newton_step(
        self,
        view: CellView,
        reachable: np.ndarray,
        fraction: Float[np.ndarray, " transfer"],
        rate: Float[np.ndarray, " transfer"],
    ) -> Float[np.ndarray, " transfer"]:
        """Linearise log rate in log fraction and solve for the common time exactly."""
        narrower = fraction / (1 + ELASTICITY_STEP)
        rate_narrower = np.where(reachable, view.rate_bps(narrower), 1.0)
        with np.errstate(divide="ignore", invalid="ignore"):
            elasticity = np.log(rate / rate_narrower) / np.log1p(ELASTICITY_STEP)
        # A zero rate (no resource block fits the fraction) has no slope: grow as if proportional.
        elasticity = np.where(np.isfinite(elasticity), elasticity, 1.0)
        elasticity = np.clip(elasticity, MIN_ELASTICITY, 1.0)
        floor = np.where(rate > 0, rate, view.remaining_bits / 1e9)
        log_time = np.log(view.remaining_bits[reachable] / floor[reachable])
        log_fraction = _common_time(
            np.log(np.maximum(fraction[reachable], MIN_FRACTION)), log_time, elasticity[reachable]
        )
        step = np.zeros_like(fraction)
        step[reachable] = np.exp(log_fraction)
        return step / step.sum()


def _finish_time_s(
    bits: Float[np.ndarray, " transfer"],
    rate: Float[np.ndarray, " transfer"],
    reachable: np.ndarray,
) -> Float[np.ndarray, " transfer"]:
    with np.errstate(divide="ignore"):
        return np.where(reachable, bits / rate, 0.0)


def _common_time(
    log_fraction: Float[np.ndarray, " transfer"],
    log_time: Float[np.ndarray, " transfer"],
    elasticity: Float[np.ndarray, " transfer"],
) -> Float[np.ndarray, " transfer"]:
    """Give log fractions with ``log_time - elasticity * change = common`` that sum to 1.

    The sum decreases in the common log time; between the smallest and the largest of ``log_time``
    no longer brackets it when the present fractions do not sum to 1, so widen by that sum.
    """
    slack = abs(np.log(np.exp(log_fraction).sum())) + 1e-9
    low, high = log_time.min() - slack, log_time.max() + slack
    for _ in range(60):
        middle = 0.5 * (low + high)
        change = np.clip((log_time - middle) / elasticity, -30.0, 30.0)
        if np.exp(log_fraction + change).sum() > 1:
            low = middle
        else:
            high = middle
    return log_fraction + np.clip((log_time - high) / elasticity, -30.0, 30.0)
