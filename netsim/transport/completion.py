"""How a transfer ends: its status, when its last bit arrives, the row that it leaves."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from netsim.rrc.handover import CLOCK_SLACK_S
from netsim.transport.active_transfers import UPLINK
from netsim.transport.transfers import DIRECTIONS, Direction, Transfer, TransferRow

Record = np.void | Mapping[str, Any]
"""The last record of a transfer, of :class:`netsim.transport.active_transfers.ActiveTransfers`."""
END_OF_SLOT = 0.5
"""What is left of a slot when a fluid has sent its last bit, on average [slot].

A transport block fills a whole slot, so a transfer ends at the end of one. As a fluid it has sent
its last bit within that slot, half a slot earlier on average, however many share the cell: the
slots of a transfer of ``x`` slots are ``n = x + 1/2`` on average, and its last one is, over the
order in which ``N`` clients take turns, the ``N (n - 1) + (N + 1) / 2``-th: ``N x + 1/2``.
"""


@dataclass(slots=True, kw_only=True)  # freezing would triple the time that making one takes
class End:
    """What is known of a transfer's end when it leaves the air."""

    status: str
    finished_at_s: float
    """Not before now; later for an upload that still crosses the backhaul."""
    left_at_s: float
    """When it left the air, at the end of a slot."""
    core_s: float = 0.0
    """Time between site's backhaul and server that the end includes [s]."""
    late_s: float = 0.0
    """How much after its deadline the last bit arrives [s]."""


def end_of(
    record: Record,
    status: str,
    *,
    deadline_at_s: float,
    latency_s: float,
    core_latency_s: float = 0.0,
    slot_left_s: float = 0.0,
    now_s: float,
) -> End:
    """Return the end of a transfer that leaves the air now.

    An upload is delivered when its last bit has crossed the backhaul by the deadline. One that can
    no longer be leaves the air earlier by the latency and ends at its deadline. A cancelled upload
    ends at once, as the client itself cancels it.

    Parameters
    ----------
    record
        Of the transfer.
    status
        ``delivered`` when its last bit has left the air, else why it ends.
    deadline_at_s
        When it ends undelivered.
    latency_s
        One-way latency of the backhaul of its site now [s].
    core_latency_s
        One-way latency from there to the server [s].
    slot_left_s
        What is left of the slot of its last bit [s].
    now_s
        The instant.
    """
    is_uplink = record["direction"] == UPLINK
    finished_s, left_s, late_s = now_s, now_s, 0.0
    if status != "delivered":
        if is_uplink and not record["is_cancelled"]:
            finished_s = max(now_s, deadline_at_s)
    else:
        crosses = is_uplink and record["has_route"]
        left_s += slot_left_s
        arrival_s = left_s + (latency_s + core_latency_s) if crosses else left_s
        is_late = arrival_s - deadline_at_s > CLOCK_SLACK_S
        if is_late:
            status, late_s = "timeout", arrival_s - deadline_at_s
        finished_s = max(now_s, min(arrival_s, deadline_at_s))
    return End(
        status=status,
        finished_at_s=finished_s,
        left_at_s=min(left_s, finished_s),
        core_s=min(core_latency_s, finished_s - now_s),
        late_s=late_s,
    )


def make_row(
    record: Record,
    end: End,
    *,
    participation_id: int | None,
    cell_id: int,
    handovers: int,
) -> TransferRow:
    """Return the row of a transfer from its last record.

    Bytes are whole: what is neither delivered nor a full byte counts as not delivered, and neither
    does what has left the air but comes after the end. What is not delivered lacks at least a byte.

    Parameters
    ----------
    record, end
        As for, and from, :func:`end_of`.
    participation_id
        What the sender named as the work that it belongs to.
    cell_id
        Serving cell at the end, -1 for none.
    handovers
        Changes of cell since its client connected.
    """
    direction: Direction = DIRECTIONS[int(record["direction"])]
    size_bytes = int(record["size_bytes"])
    if end.status == "delivered":
        delivered = size_bytes
    else:
        late_bits = float(record["rate_bps"]) * end.late_s
        delivered = int((8.0 * size_bytes - float(record["remaining_bits"]) - late_bits) // 8.0)
        delivered = min(max(delivered, 0), size_bytes - 1)
    started = float(record["started_at_s"])
    never = bool(np.isnan(started))
    granted_s = float(record["granted_s"])
    on_air_s = end.finished_at_s - started - end.core_s
    ready_s = min(float(record["ready_at_s"]), end.left_at_s)
    requested_s = float(record["requested_at_s"])
    return TransferRow(
        transfer_id=int(record["transfer_id"]),
        participation_id=participation_id,
        client_id=int(record["client_id"]),
        direction=direction,
        size_bytes=size_bytes,
        delivered_bytes=delivered,
        requested_at_s=requested_s,
        started_at_s=end.finished_at_s if never else started,
        finished_at_s=end.finished_at_s,
        access_s=(ready_s - requested_s) + (end.finished_at_s - end.left_at_s),
        queue_s=(end.left_at_s if never else started) - ready_s,
        cell_id=cell_id,
        mean_sinr_db=float(record["sinr_db_s"]) / granted_s if granted_s > 0 else None,
        num_resource_blocks=float(record["block_s"]) / on_air_s if on_air_s > 0 else 0.0,
        retransmissions=float(record["retransmissions"]),
        handovers=handovers - int(record["handovers_before"]),
        energy_j=float(record["booked_j"]),
        status=end.status,
    )


def make_unserved_row(
    transfer: Transfer, status: str, *, cell_id: int, energy_j: float, now_s: float
) -> TransferRow:
    """Return the row of a transfer that ends now and was never on the air.

    Parameters
    ----------
    transfer, status
        What ends, and why.
    cell_id
        Serving cell of its client, -1 for none.
    energy_j
        What its client has spent on it [J].
    now_s
        The instant.
    """
    return TransferRow(
        transfer_id=transfer.transfer_id,
        participation_id=transfer.participation_id,
        client_id=transfer.client_id,
        direction=transfer.direction,
        size_bytes=transfer.size_bytes,
        delivered_bytes=0,
        requested_at_s=transfer.requested_at_s,
        started_at_s=now_s,
        finished_at_s=now_s,
        access_s=now_s - transfer.requested_at_s,
        queue_s=0.0,
        cell_id=cell_id,
        mean_sinr_db=None,
        num_resource_blocks=0.0,
        retransmissions=0.0,
        handovers=0,
        energy_j=energy_j,
        status=status,
    )
