"""A transfer: bytes between a client and the server, the handle on it, and the row it leaves."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import simpy

Direction = Literal["uplink", "downlink"]
DIRECTIONS: tuple[Direction, ...] = ("uplink", "downlink")

Status = Literal["delivered", "timeout", "cancelled", "outage", "link_failure"]
"""``timeout`` while served, ``outage`` for want of a site that is down, ``link_failure`` out of
coverage; a caller that cancels may give a reason of its own."""

RESERVED_STATUS: Status = "delivered"
"""What no caller may claim."""


@dataclass(slots=True, kw_only=True)  # freezing would triple the time that making one takes
class TransferRow:
    """One row of ``transfers.csv``."""

    transfer_id: int
    """Counts transfers of the run from 0 in the order of their requests."""
    participation_id: int | None
    """What the sender named as the work that it belongs to; ``None`` where it named nothing."""
    client_id: int
    direction: Direction
    size_bytes: int
    delivered_bytes: int
    """Whole bytes that arrived; ``size_bytes`` exactly when the status is ``delivered``. Those of a
    cancelled upload have left the air, the last of them may not have crossed the backhaul."""
    requested_at_s: float
    started_at_s: float
    """When the first resource block was granted; ``finished_at_s`` when none ever was."""
    finished_at_s: float
    access_s: float
    """Fixed costs: from the request until it may have blocks (or its end, if it never may), and
    from its last block until it arrives."""
    queue_s: float
    """From when it may have blocks to the first one (or to when it leaves the air without any)."""
    cell_id: int
    """Serving cell at the end, -1 when there was none."""
    mean_sinr_db: float | None
    """Effective SINR [dB], averaged in dB over the time with blocks; ``None`` without any."""
    num_resource_blocks: float
    """Blocks held, averaged over the time from start to finish, half a round trip left out."""
    retransmissions: float
    """Expected number of repeated transport blocks."""
    handovers: int
    """Changes of cell on the way, re-establishments after a link failure included."""
    energy_j: float
    """What the client's radio spent on it: sending or receiving, and listening in between.
    Transfers of one client at one time bear equal parts of its listening."""
    status: str


class Transfer:
    """A running transfer: a SimPy event whose value is its row. It always fires, never fails.

    Attributes
    ----------
    event
        Fires once, with the :class:`TransferRow`.
    """

    __slots__ = (
        "_cancel",
        "at_edge",
        "broadcast_id",
        "client_id",
        "deadline_at_s",
        "direction",
        "event",
        "participation_id",
        "requested_at_s",
        "size_bytes",
        "transfer_id",
    )

    def __init__(
        self,
        env: simpy.Environment,
        *,
        transfer_id: int,
        client_id: int,
        direction: Direction,
        size_bytes: int,
        deadline_at_s: float,
        broadcast_id: int | None,
        participation_id: int | None,
        at_edge: bool = False,
        cancel: Callable[["Transfer", str], None],
    ) -> None:
        self.event: simpy.Event = env.event()
        self.transfer_id = transfer_id
        self.client_id = client_id
        self.direction: Direction = direction
        self.size_bytes = size_bytes
        self.requested_at_s = float(env.now)
        self.deadline_at_s = deadline_at_s
        self.broadcast_id = broadcast_id
        """Shared by the members of one broadcast; ``None`` for a transfer of its own."""
        self.participation_id = participation_id
        """Written to its row, without effect on the transfer."""
        self.at_edge = at_edge
        """Whether it ends at the site, and does not cross the backhaul."""
        self._cancel = cancel

    def cancel(self, reason: str = "cancelled") -> None:
        """End the transfer now; its event fires at once with this status.

        No effect when it has ended, when its last byte arrives at this same instant, or when it has
        left the air: what then crosses the backhaul arrives, or is late.

        Raises
        ------
        ValueError
            If the reason is ``delivered``, which only bytes can be.
        """
        if reason == RESERVED_STATUS:
            msg = f"reason: must not be {RESERVED_STATUS}, which only bytes can be, got {reason!r}"
            raise ValueError(msg)
        if not self.event.triggered:
            self._cancel(self, reason)
