"""Books what transfers cost their clients: from integrals over time to entries in the ledger.

The ledger wants intervals of constant power. Between two bookings a client's sending time is put
first, its receiving time after it, then the time in which it listens, each at its mean power: sums
are exact, the order within one booking is not.
"""

import numpy as np
from jaxtyping import Bool

from netsim.energy.ledger import Ledger
from netsim.energy.ue_power import UePower
from netsim.transport.active_transfers import DOWNLINK, UPLINK, ActiveTransfers

SENT_THEN_RECEIVED = (("tx", UPLINK), ("rx", DOWNLINK))


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
    slot, direction, airtime_s, airtime_j = (
        record[name] for name in ("slot", "direction", "airtime_s", "airtime_j")
    )
    rows_of: dict[int, list[int]] = {}
    for row in active.with_company(chosen).tolist():
        rows_of.setdefault(int(slot[row]), []).append(row)
    for rows in rows_of.values():
        since_s = booked_s = float(record["booked_until_s"][rows[0]])
        if now_s <= since_s:
            continue
        client_id = int(record["client_id"][rows[0]])
        for activity, code in SENT_THEN_RECEIVED:
            of_direction = [row for row in rows if direction[row] == code]
            spent_s = sum(float(airtime_s[row]) for row in of_direction)
            if spent_s == 0:
                continue
            spent_j = sum(float(airtime_j[row]) for row in of_direction)
            start_s, booked_s = booked_s, min(booked_s + spent_s, now_s)
            ledger.charge(
                client_id,
                activity,
                started_at_s=start_s,
                finished_at_s=booked_s,
                power_w=spent_j / (booked_s - start_s) if booked_s > start_s else 0.0,
            )
        ledger.charge(
            client_id,
            "idle",
            started_at_s=booked_s,
            finished_at_s=now_s,
            power_w=ue_power.listen_w,
        )
        listened_j = ue_power.listen_w * (now_s - booked_s)
        for row in rows:
            record["booked_j"][row] += float(airtime_j[row]) + listened_j / len(rows)
            record["booked_until_s"][row] = now_s
            airtime_s[row] = airtime_j[row] = 0.0
