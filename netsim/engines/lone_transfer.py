"""A transfer that is alone on the air, followed from its first block to its end without solves.

Where nothing moves, fades or interferes, what a lone transfer gets is known from its link
(:mod:`netsim.engines.lone_service`) and stays as it is until the last bit. So its record need not
be among the active transfers: it is kept here, and put there as soon as something else happens on
the air (another transfer comes, it is cancelled, its energy is asked for). Its numbers are those
that the engine works out for it among the active transfers, to the bit.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from netsim.energy.ledger import Ledger
from netsim.energy.ue_power import UePower
from netsim.engines.client_meter import SENT_THEN_RECEIVED, charge_client
from netsim.engines.lone_service import LoneService, LoneServices
from netsim.rrc.association import Association
from netsim.rrc.standing_link import StandingLink
from netsim.transport.active_transfers import DOWNLINK, UPLINK
from netsim.transport.backhaul_flow import BackhaulFlow
from netsim.transport.transfers import DIRECTIONS, Transfer
from netsim.world.layout import NO_CELL
from netsim.world.population import FIRST_BACKGROUND_USER


@dataclass(slots=True, kw_only=True)  # freezing would triple the time that making one takes
class LoneTransfer:
    """A transfer that is followed here."""

    transfer: Transfer
    bearer_id: int
    energy_j: float
    """What its client has spent on it before it was on the air [J]."""
    direction: int
    link: StandingLink
    service: LoneService
    deadline_at_s: float
    """By when its last bit must have left the air [s]."""
    admitted_at_s: float
    is_served: bool = False
    """Whether the instant of its admission is over: before, others may still come."""
    sent_at_s: float = np.inf
    """When its last bit leaves the air."""
    ends_at_s: float = np.inf
    """When its last retransmission is decoded; inf while it is being sent."""
    held_from_s: float = np.inf
    """When that became known, by the clock: as of then it has no blocks."""
    record: dict[str, Any] | None = None
    """What was sent, from then on; see :func:`record_of`."""


class LoneTransfers:
    """Tells which transfers can be followed alone, and what becomes of them.

    Parameters
    ----------
    services
        What lone transfers get.
    association
        Links of clients that stand still.
    backhaul
        Latency between sites and server.
    core_latency_s
        What uploads need from there to the server [s].
    """

    def __init__(
        self,
        services: LoneServices,
        association: Association,
        backhaul: BackhaulFlow,
        *,
        core_latency_s: float,
    ) -> None:
        self._services = services
        self._association = association
        self._backhaul = backhaul
        self._core_latency_s = core_latency_s

    def find(
        self, transfer: Transfer, *, bearer_id: int, energy_j: float, now_s: float
    ) -> LoneTransfer | None:
        """Return a transfer that comes now while the air is empty, if it can be followed alone.

        Not where anything but its own end can happen to it, nor before its client's link, and what
        it gets alone, have been worked out once.
        """
        if bearer_id < 0 or not self._services.never_change:
            return None
        link = self._association.standing_link(transfer.client_id)
        if link is None or link.may_fail or link.cell_id == NO_CELL:
            return None
        direction = DIRECTIONS.index(transfer.direction)
        service = self._services.of_link(direction, link.cell_id, link.serving_gain)
        if service is None or not service.rate_bps > 0:
            return None
        deadline_at_s = transfer.deadline_at_s
        if not transfer.at_edge:
            latency_s = self._backhaul.latency_s(link.cell_id, at_s=now_s)
            if direction == DOWNLINK and latency_s > 0:
                return None  # its first byte is still on its way to the site
            if direction == UPLINK:
                deadline_at_s -= latency_s + self._core_latency_s
        sent_at_s = now_s + 8.0 * transfer.size_bytes / service.rate_bps
        if not sent_at_s < deadline_at_s:
            return None
        return LoneTransfer(
            transfer=transfer,
            bearer_id=bearer_id,
            energy_j=energy_j,
            direction=direction,
            link=link,
            service=service,
            deadline_at_s=deadline_at_s,
            admitted_at_s=now_s,
            sent_at_s=sent_at_s,
        )


def record_of(lone: LoneTransfer, *, until_s: float) -> dict[str, Any]:
    """Return the record of a transfer that was served until an instant and sends no more.

    It has the fields of :data:`netsim.transport.active_transfers.FIELDS` that a row, and the wait
    for its last retransmissions, follow from.
    """
    service, transfer = lone.service, lone.transfer
    elapsed_s = until_s - lone.admitted_at_s
    granted_s = (service.blocks > 0) * elapsed_s
    airtime_s = service.airtime_fraction * elapsed_s
    return {
        "transfer_id": transfer.transfer_id,
        "client_id": transfer.client_id,
        "direction": lone.direction,
        "has_route": not transfer.at_edge,
        "is_cancelled": False,
        "bearer_id": lone.bearer_id,
        "size_bytes": transfer.size_bytes,
        "remaining_bits": 0.0,
        "requested_at_s": transfer.requested_at_s,
        "ready_at_s": lone.admitted_at_s,
        "started_at_s": lone.admitted_at_s if service.blocks > 0 else np.nan,
        "handovers_before": 0,
        "rate_bps": 0.0,
        "blocks": service.blocks,
        "sinr_db": service.sinr_db,
        "airtime_fraction": service.airtime_fraction,
        "granted_s": granted_s,
        "block_s": service.blocks * elapsed_s,
        "sinr_db_s": service.sinr_db * granted_s,
        "retransmissions": service.retransmission_rate_hz * elapsed_s,
        "airtime_s": airtime_s,
        "airtime_j": airtime_s * service.airtime_w,
        "booked_j": lone.energy_j,
    }


def book_lone(
    lone: LoneTransfer,
    record: dict[str, Any],
    *,
    ledger: Ledger,
    ue_power: UePower,
    now_s: float,
) -> None:
    """Book what the client of a lone transfer has spent from its admission to now, its end.

    As :func:`netsim.engines.client_meter.book_clients` does; background users have no entries.
    """
    client_id, since_s = lone.transfer.client_id, lone.admitted_at_s
    if client_id >= FIRST_BACKGROUND_USER or now_s <= since_s:
        return
    activity = next(name for name, code in SENT_THEN_RECEIVED if code == lone.direction)
    airtime_j = record["airtime_j"]
    listened_j = charge_client(
        ledger,
        client_id,
        [(activity, record["airtime_s"], airtime_j)],
        since_s=since_s,
        now_s=now_s,
        listen_w=ue_power.listen_w,
    )
    record["booked_j"] += airtime_j + listened_j
