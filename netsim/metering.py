"""Books what transfers cost: joules of clients and of sites, from integrals to ledger entries.

The ledger wants intervals of constant power. Between two bookings a client's sending (or receiving)
time is put first and its waiting time after it, each at its mean power: sums are exact, the order
within one booking is not.
"""

import numpy as np
from jaxtyping import Bool, Float

from netsim.active import UPLINK, ActiveTransfers
from netsim.ledger import Ledger
from netsim.ue_energy import UePower

AIRTIME_ACTIVITIES = ("tx", "rx")


def book_clients(
    active: ActiveTransfers,
    chosen: Bool[np.ndarray, " transfer"],
    *,
    ledger: Ledger,
    ue_power: UePower,
    now_s: float,
) -> None:
    """Book what some transfers have cost their clients since the last booking.

    A client without blocks, or in the other direction's slots, listens to the control channel.
    Two transfers of one client are booked apart, so its listening then counts twice.
    """
    record = active.records
    for row in np.flatnonzero(chosen).tolist():
        since_s = float(record["booked_until_s"][row])
        airtime_s = min(float(record["airtime_s"][row]), now_s - since_s)
        turn_s = since_s + airtime_s
        client_id = int(record["client_id"][row])
        spent_j = 0.0
        if airtime_s > 0:
            is_uplink = record["direction"][row] == UPLINK
            spent_j = float(record["airtime_j"][row])
            ledger.charge(
                client_id,
                AIRTIME_ACTIVITIES[0 if is_uplink else 1],
                started_at_s=since_s,
                finished_at_s=turn_s,
                power_w=spent_j / (turn_s - since_s) if turn_s > since_s else 0.0,
            )
        if now_s > turn_s:
            ledger.charge(
                client_id,
                "idle",
                started_at_s=turn_s,
                finished_at_s=now_s,
                power_w=ue_power.listen_w,
            )
            spent_j += ue_power.listen_w * (now_s - turn_s)
        record["booked_j"][row] += spent_j
    record["booked_until_s"][chosen] = now_s
    record["airtime_s"][chosen] = 0.0
    record["airtime_j"][chosen] = 0.0


class SiteMeter:
    """Integrals of what sites radiate, booked when a site's traffic stops or somebody asks.

    A site without power radiates nothing and is booked nothing, whatever was set.

    Parameters
    ----------
    ledger
        Where it is booked.
    drawn_per_radiated
        Watts drawn for each watt radiated, by site.
    """

    def __init__(self, ledger: Ledger, drawn_per_radiated: Float[np.ndarray, " site"]) -> None:
        num_sites = len(drawn_per_radiated)
        self._ledger = ledger
        self._slope = drawn_per_radiated
        self._radiated_w = np.zeros(num_sites)
        self._is_busy = np.zeros(num_sites, dtype=bool)
        self._is_alive = np.ones(num_sites, dtype=bool)
        self._since_s = np.zeros(num_sites)
        self._radiated_j = np.zeros(num_sites)

    def advance(self, elapsed_s: float) -> None:
        """Let time pass at the present power."""
        self._radiated_j += np.where(self._is_alive, self._radiated_w, 0.0) * elapsed_s

    def set_alive(self, is_alive: Bool[np.ndarray, " site"], *, now_s: float) -> None:
        """Set which sites have power from now on; what the others have radiated is booked."""
        self._book(self._is_busy & ~is_alive, now_s)
        self._since_s[is_alive & ~self._is_alive] = now_s
        self._is_alive = is_alive

    def set(
        self,
        radiated_w: Float[np.ndarray, " site"],
        is_busy: Bool[np.ndarray, " site"],
        *,
        now_s: float,
    ) -> None:
        """Set what sites radiate from now on as long as they have power, and who is busy."""
        stops = self._is_busy & ~is_busy
        self._book(stops, now_s)
        starts = is_busy & ~self._is_busy
        self._since_s[starts] = now_s
        self._is_busy = is_busy.copy()
        self._radiated_w = radiated_w

    def flush(self, now_s: float) -> None:
        """Book everything up to now."""
        self._book(self._is_busy, now_s)
        self._since_s[self._is_busy] = now_s

    def _book(self, chosen: Bool[np.ndarray, " site"], now_s: float) -> None:
        chosen = chosen & self._is_alive & (self._since_s < now_s)
        for site_id in np.flatnonzero(chosen).tolist():
            since_s = float(self._since_s[site_id])
            radiated_j = float(self._radiated_j[site_id])
            self._ledger.charge_site(
                site_id,
                "tx" if radiated_j > 0 else "rx",
                started_at_s=since_s,
                finished_at_s=now_s,
                power_w=float(self._slope[site_id]) * radiated_j / (now_s - since_s),
            )
            self._radiated_j[site_id] = 0.0
