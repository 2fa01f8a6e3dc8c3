"""Books what transfers cost: joules of clients and of sites, from integrals to ledger entries.

The ledger wants intervals of constant power. Between two bookings a client's sending time is put
first, its receiving time after it, then the time in which it listens, each at its mean power: sums
are exact, the order within one booking is not.
"""

import numpy as np
from jaxtyping import Bool, Float

from netsim.active import DOWNLINK, UPLINK, ActiveTransfers
from netsim.ledger import Ledger
from netsim.ue_energy import UePower

RADIO_TURNS = (("tx", UPLINK), ("rx", DOWNLINK))


def book_clients(
    active: ActiveTransfers,
    chosen: Bool[np.ndarray, " transfer"],
    *,
    ledger: Ledger,
    ue_power: UePower,
    now_s: float,
) -> None:
    """Book what the clients of some transfers have spent since the last booking.

    All transfers of a client are booked together, as it has one radio: it sends, or receives, or
    listens to the control channel, whatever the number of its transfers. A transfer bears what was
    spent on sending or receiving it, and an equal part of the listening. Between two bookings the
    transfers of a client must be the same.
    """
    record = active.records
    rows_of: dict[int, list[int]] = {}
    for row in active.with_company(chosen).tolist():
        rows_of.setdefault(int(record["slot"][row]), []).append(row)
    for rows in rows_of.values():
        since_s = turn_s = float(record["booked_until_s"][rows[0]])
        if now_s <= since_s:
            continue
        client_id = int(record["client_id"][rows[0]])
        for activity, direction in RADIO_TURNS:
            turns = [row for row in rows if record["direction"][row] == direction]
            spent_s = sum(float(record["airtime_s"][row]) for row in turns)
            if spent_s == 0:
                continue
            spent_j = sum(float(record["airtime_j"][row]) for row in turns)
            start_s, turn_s = turn_s, min(turn_s + spent_s, now_s)
            ledger.charge(
                client_id,
                activity,
                started_at_s=start_s,
                finished_at_s=turn_s,
                power_w=spent_j / (turn_s - start_s) if turn_s > start_s else 0.0,
            )
        ledger.charge(
            client_id,
            "idle",
            started_at_s=turn_s,
            finished_at_s=now_s,
            power_w=ue_power.listen_w,
        )
        listened_j = ue_power.listen_w * (now_s - turn_s)
        for row in rows:
            record["booked_j"][row] += float(record["airtime_j"][row]) + listened_j / len(rows)
            record["booked_until_s"][row] = now_s
            record["airtime_s"][row] = record["airtime_j"][row] = 0.0


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
