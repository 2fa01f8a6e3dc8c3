"""Proportional fair: each group to the transfer that is best relative to its own average."""

import numpy as np
from jaxtyping import Float

from netsim.mac.schedulers.metric import TIE_RTOL, serve_largest
from netsim.mac.schedulers.view import CellView, same_in_every_group


class ProportionalFair:
    """Maximise the sum of the logarithms of the average rates.

    In each group the transfer with the largest ``group_rate / average_rate`` is served; ties share
    equally. The engine keeps the average rate (exponential window). In the uplink a grant stays
    within the power headroom, so that several clients are multiplexed in frequency.
    """

    is_exclusive = True
    grants_within_headroom = True

    def metric(
        self,
        group_rate_bps: Float[np.ndarray, "transfer group"],
        average_rate_bps: Float[np.ndarray, " transfer"],
    ) -> Float[np.ndarray, "transfer group"]:
        """Return the rate in each group relative to the average rate."""
        return group_rate_bps / average_rate_bps[:, np.newaxis]

    def shares(self, view: CellView) -> Float[np.ndarray, "transfer group"]:
        """Return each group as the share of the transfer with the largest metric."""
        return serve_largest(self.metric(view.group_rate_bps, view.average_rate_bps))

    def steady_state_shares(
        self, view: CellView
    ) -> tuple[Float[np.ndarray, "transfer group"], Float[np.ndarray, " transfer"]] | None:
        """Return time shares of the whole band where no group favours a transfer over another.

        Let ``t_k`` be the part of the time in which transfer k has the band. Its average rate is
        ``t_k`` times its rate with the whole band, and the scheduler keeps all ratios of
        ``group_rate`` to the average equal. So ``t_k`` is proportional to the sum of its group
        rates over its rate with the whole band: equal times, unless transmitters at their power
        limit reach less with the whole band than that sum. Transfers without any rate are not
        served, unless all are without. ``None`` where groups differ between transfers.
        """
        rate = view.group_rate_bps
        total = rate.sum(axis=1)
        if rate.shape[1] > 1:
            profile = rate.sum(axis=0) / max(total.sum(), np.finfo(float).tiny)
            if not np.allclose(rate, total[:, np.newaxis] * profile, rtol=TIE_RTOL, atol=0.0):
                return None
        alone = view.rate_bps(np.ones(len(total)))
        is_served = (total > 0) & (alone > 0)
        if not is_served.any():
            is_served[:] = True
            time_share = np.full(len(total), 1.0 / len(total))
        else:
            time_share = np.divide(total, alone, out=np.zeros_like(total), where=is_served)
            time_share /= time_share.sum()
        return same_in_every_group(time_share, view), np.where(is_served, time_share, 1.0)
