"""Minimum energy: one transfer at a time with the whole band, short ones and good fades first."""

import numpy as np
from jaxtyping import Float, Int

from netsim.mac.schedulers.view import CellView, same_in_every_group

SENDING_OVER_WAITING = 7.0
"""Power drawn by a radio that sends over that of one that waits: 700 to 100 units of TR 38.840 at
23 dBm. Only the order of serving depends on it; a client that receives (300 units) or radiates less
is taken to draw the same."""


CLOCK_SLACK_S = 1e-9
"""Instants this close are one."""


class MinEnergy:
    """Keep the energy that the clients' radios spend low (a rule of our own).

    A radio that transmits draws most of its power whatever it radiates (TR 38.840: 250 units at
    0 dBm, 700 at 23 dBm, 100 when it waits), so energy is saved by being on the air for a short
    time. The energy of transfer k alone, ``remaining_k * drawn_power_k / rate_k(fraction)``, falls
    with the fraction, so one after another has the whole band. What is left to choose is whom now.
    With the waiting power as unit and ``p`` the drawn power over it, one second for transfer k

    * moves it on by ``s_k = rate_k / mean_rate_k`` seconds of its mean channel, which spares
      ``(p - 1) s_k`` on the air: energy per bit now against its mean;
    * brings the ends of the ``m_k`` transfers that need as long as k or longer, itself included,
      nearer by ``s_k`` each, which spares ``m_k s_k`` of waiting.

    The largest ``s_k (p - 1 + m_k)`` is served. In a channel that stands still all ``s_k`` are 1:
    the energy on the air is the same in all orders, and the rule is shortest remaining time first,
    which makes the sum of waiting times least (Smith's rule for equal waiting power). In a fading
    one good moments come first. It looks no step ahead: that no rule spends less is not claimed.

    The mean rate is that over the instants at which the transfer was on view in this cell, each
    counted once, those looked ahead to and the present one included. The view holds no mean of the
    channel, so it is kept here.

    Blocks of no use to a transfer at the limit of power go to the next in this order: that costs
    nothing on the air and spares waiting. Not sought: the textbook objective, radiated
    energy only, is minimised by slow transmission: see
    :func:`tests.netsim.theory.allocation.upload_energy_j`. Transfers without any rate wait.
    """

    uses_average_rate = False
    is_exclusive = True

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

    def shares(self, view: CellView) -> Float[np.ndarray, "transfer group"]:
        """Return all groups for the transfer that saves most energy; ties by time of request."""
        num = len(view.client_id)
        rate_bps = view.rate_bps(np.ones(num))
        mean_bps = self._mean_rate_bps(view, rate_bps)
        has_rate = mean_bps > 0
        speed = np.divide(rate_bps, mean_bps, out=np.zeros(num), where=has_rate)
        work_s = np.divide(view.remaining_bits, mean_bps, out=np.full(num, np.inf), where=has_rate)
        num_behind = num - np.searchsorted(np.sort(work_s), work_s, side="left")
        spared = speed * (SENDING_OVER_WAITING - 1.0 + num_behind)
        first = np.lexsort((view.client_id, view.requested_at_s, -spared))[0]
        return same_in_every_group(np.eye(num)[first], view)

    def _mean_rate_bps(
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
