"""Books what transfers cost their clients: from integrals over time to entries in the ledger.

The ledger wants intervals of constant power. Between two bookings a client's sending time is put
first, its receiving time after it, then the time in which it listens, each at its mean power: sums
are exact, the order within one booking is not.
"""

from collections.abc import Iterable

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
        since_s = float(record["booked_until_s"][rows[0]])
        if now_s <= since_s:
            continue
        client_id = int(record["client_id"][rows[0]])
        spent = []
        for activity, code in SENT_THEN_RECEIVED:
            of_direction = [row for row in rows if direction[row] == code]
            spent_s = sum(float(airtime_s[row]) for row in of_direction)
            spent_j = sum(float(airtime_j[row]) for row in of_direction)
            spent.append((activity, spent_s, spent_j))
        listened_j = charge_client(
            ledger, client_id, spent, since_s=since_s, now_s=now_s, listen_w=ue_power.listen_w
        )
        for row in rows:
            record["booked_j"][row] += float(airtime_j[row]) + listened_j / len(rows)
            record["booked_until_s"][row] = now_s
            airtime_s[row] = airtime_j[row] = 0.0


def charge_client(
    ledger: Ledger,
    client_id: int,
    spent: Iterable[tuple[str, float, float]],
    *,
    since_s: float,
    now_s: float,
    listen_w: float,
) -> float:
    """Book activities of a client one after the other, the rest of the time as listening.

    Parameters
    ----------
    ledger
        Where it is booked.
    client_id
        Whose energy.
    spent
        Activity, its seconds and its joules, in the order in which they are booked.
    since_s, now_s
        The time that is booked [s].
    listen_w
        Power of listening [W].

    Returns
    -------
    float
        Joules of listening.
    """
    booked_s = since_s
    for activity, spent_s, spent_j in spent:
        if spent_s == 0:
            continue
        start_s, booked_s = booked_s, min(booked_s + spent_s, now_s)
        ledger.charge(
            client_id,
            activity,
            started_at_s=start_s,
            finished_at_s=booked_s,
            power_w=spent_j / (booked_s - start_s) if booked_s > start_s else 0.0,
        )
    ledger.charge(client_id, "idle", started_at_s=booked_s, finished_at_s=now_s, power_w=listen_w)
    return listen_w * (now_s - booked_s)
