"""The mean rate of each transfer over the instants at which it was on view."""

import numpy as np
from jaxtyping import Float, Int

from netsim.mac.schedulers.view import CellView

CLOCK_SLACK_S = 1e-9
"""Instants this close are one."""


class MeanRates:
    """Means of a rate of the transfers of one cell and direction, for schedulers that keep them.

    The view holds no mean of the channel. Each instant at which a transfer was on view counts once,
    those looked ahead to and the present one included.
    """

    def __init__(self) -> None:
        self._latest_s = -np.inf
        self._client_id: Int[np.ndarray, " transfer"] = np.zeros(0, dtype=np.int64)
        self._requested_at_s: Float[np.ndarray, " transfer"] = np.zeros(0)
        self._count: Float[np.ndarray, " transfer"] = np.zeros(0)
        """Instants before the latest one at which each transfer was on view."""
        self._past_bps: Float[np.ndarray, " transfer"] = np.zeros(0)
        """Mean rate over these."""
        self._rate_bps: Float[np.ndarray, " transfer"] = np.zeros(0)
        """Rate at the latest instant asked about."""

    def over_time(
        self, view: CellView, rate_bps: Float[np.ndarray, " transfer"]
    ) -> Float[np.ndarray, " transfer"]:
        """Return the mean rates; asked again at the latest instant, the present one replaces.

        Earlier instants are asked about again after an event within a tick. They have counted.
        """
        is_later = view.now_s > self._latest_s + CLOCK_SLACK_S
        if is_later:
            self._past_bps = self._with_last()
            self._count = self._count + 1.0
            self._latest_s = view.now_s
        self._follow(view, forgets_others=is_later)
        is_latest = view.now_s > self._latest_s - CLOCK_SLACK_S
        on_view = self._rate_bps[: len(rate_bps)]
        on_view[:] = np.where(is_latest | np.isnan(on_view), rate_bps, on_view)
        return self._with_last()[: len(rate_bps)]

    def _with_last(self) -> Float[np.ndarray, " transfer"]:
        # In this form the mean of equal rates is that rate to the last bit, and ties stay ties.
        return self._past_bps + (self._rate_bps - self._past_bps) / (self._count + 1.0)

    def _follow(self, view: CellView, *, forgets_others: bool) -> None:
        """Bring the memory into the order of the view, those that are not on view behind.

        They are forgotten at the next instant: within one, the scheduler is asked again about some
        of the transfers where others leave blocks to them.
        """
        if np.array_equal(self._client_id, view.client_id) and np.array_equal(
            self._requested_at_s, view.requested_at_s
        ):
            return
        before = zip(self._client_id.tolist(), self._requested_at_s.tolist(), strict=True)
        row_of = {key: row for row, key in enumerate(before)}
        now = zip(view.client_id.tolist(), view.requested_at_s.tolist(), strict=True)
        rows = np.array([row_of.pop(key, len(self._client_id)) for key in now])
        others = np.array([] if forgets_others else list(row_of.values()), dtype=np.intp)
        self._client_id = np.append(view.client_id, self._client_id[others])
        self._requested_at_s = np.append(view.requested_at_s, self._requested_at_s[others])
        rows = np.append(rows, others)
        self._count = np.append(self._count, 0.0)[rows]
        self._past_bps = np.append(self._past_bps, 0.0)[rows]
        self._rate_bps = np.append(self._rate_bps, np.nan)[rows]
