"""The ledger of a running network: complete up to now whenever it is read."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from netsim.energy.ledger import Ledger
from netsim.energy.totals import EnergyTotal


class EnergyMeter:
    """The ledger of a running network: complete up to now whenever it is read.

    Parameters
    ----------
    ledger
        Booked intervals.
    flush
        Books what is still open; called before an answer is given.
    """

    def __init__(self, ledger: Ledger, flush: Callable[[], None]) -> None:
        self._ledger = ledger
        self._flush = flush

    def charge(
        self,
        client_id: int,
        activity: str,
        *,
        started_at_s: float,
        finished_at_s: float,
        power_w: float,
    ) -> None:
        """Book power drawn by a client over an interval, :class:`netsim.energy.ledger.Ledger`."""
        self._ledger.charge(
            client_id,
            activity,
            started_at_s=started_at_s,
            finished_at_s=finished_at_s,
            power_w=power_w,
        )

    def client_energy_j(
        self, client_ids: Int[np.ndarray, " client"], at_s: float
    ) -> Float[np.ndarray, " client"]:
        """Return what each of some clients spent up to an instant, not later than now."""
        return self.ledger.client_energy_j(client_ids, at_s)

    def total_energy_j(self, at_s: float) -> float:
        """Sum what all clients spent up to an instant, not later than now."""
        return self.ledger.total_energy_j(at_s)

    def site_energy_j(self, at_s: float) -> float:
        """Sum what all sites drew up to an instant, not later than now."""
        return self.ledger.site_energy_j(at_s)

    def totals(self, until_s: float) -> list[EnergyTotal]:
        """Seconds and joules by owner and activity up to an instant, not later than now."""
        return self.ledger.totals(until_s)

    @property
    def ledger(self) -> Ledger:
        """The ledger, booked up to now."""
        self._flush()
        self._ledger.settle()
        return self._ledger
