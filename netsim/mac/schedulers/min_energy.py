"""Minimum energy: one transfer at a time with the whole band, short ones and good fades first."""

import numpy as np
from jaxtyping import Float

from netsim.mac.schedulers.mean_rates import MeanRates
from netsim.mac.schedulers.view import CellView, same_in_every_group

SENDING_OVER_WAITING = 7.0
"""Power drawn by a radio that sends over that of one that waits: 700 to 100 units of TR 38.840 at
23 dBm. Only the order of serving depends on it; a client that receives (300 units) or radiates less
is taken to draw the same."""


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

    The mean rate is that over the instants at which the transfer was on view in this cell
    (:class:`netsim.mac.schedulers.mean_rates.MeanRates`).

    Blocks of no use to a transfer at the limit of power go to the next in this order: that costs
    nothing on the air and spares waiting. Not sought: the textbook objective, radiated
    energy only, is minimised by slow transmission: see
    :func:`tests.netsim.theory.allocation.upload_energy_j`. Transfers without any rate wait.
    """

    uses_average_rate = False
    is_exclusive = True

    def __init__(self) -> None:
        self._mean_rates = MeanRates()

    def shares(self, view: CellView) -> Float[np.ndarray, "transfer group"]:
        """Return all groups for the transfer that saves most energy; ties by time of request."""
        num = len(view.client_id)
        rate_bps = view.rate_bps(np.ones(num))
        mean_bps = self._mean_rates.over_time(view, rate_bps)
        has_rate = mean_bps > 0
        speed = np.divide(rate_bps, mean_bps, out=np.zeros(num), where=has_rate)
        work_s = np.divide(view.remaining_bits, mean_bps, out=np.full(num, np.inf), where=has_rate)
        num_behind = num - np.searchsorted(np.sort(work_s), work_s, side="left")
        spared = speed * (SENDING_OVER_WAITING - 1.0 + num_behind)
        first = np.lexsort((view.client_id, view.requested_at_s, -spared))[0]
        return same_in_every_group(np.eye(num)[first], view)
