"""The simplest network there is: constant rates, no sharing, no radio. For tests and examples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import simpy
from jaxtyping import Float, Int

from fl.network import Direction


@dataclass(slots=True, kw_only=True)
class ConstantTransfer:
    """Outcome of a transfer at a constant rate."""

    client_id: int
    direction: str
    size_bytes: int
    requested_at_s: float
    started_at_s: float
    participation_id: int | None = None
    at_edge: bool = False
    delivered_bytes: int = 0
    finished_at_s: float = 0.0
    energy_j: float = 0.0
    status: str = "delivered"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConstantLinks:
    """Links that never change; columns as in :class:`fl.network.LinkTable`."""

    cell_id: Int[np.ndarray, " client"]
    site_id: Int[np.ndarray, " client"]
    snr_db: Float[np.ndarray, " client"]
    mean_snr_db: Float[np.ndarray, " client"]
    uplink_rate_bps: Float[np.ndarray, " client"]
    downlink_rate_bps: Float[np.ndarray, " client"]
    uplink_w: Float[np.ndarray, " client"]


@dataclass(slots=True)
class _Sent:
    """A transfer under way."""

    event: simpy.Event
    network: "ConstantRateNetwork"
    outcome: ConstantTransfer

    def cancel(self, reason: str = "cancelled") -> None:
        """End it now with this status, unless it has ended."""
        if not self.event.triggered:
            self.network.finish(self.outcome, reason)
            self.event.succeed(self.outcome)


@dataclass(kw_only=True)
class ConstantRateNetwork:
    """Every client has the same two rates and powers, alone; it is its own energy account.

    Implements :class:`fl.network.Network` and :class:`fl.network.EnergyAccount`. Sites draw no
    power; a transfer that does not end ``delivered`` has delivered nothing.
    """

    env: simpy.Environment
    uplink_rate_bps: float
    downlink_rate_bps: float
    transmit_w: float = 0.0
    receive_w: float = 0.0
    failing: Mapping[tuple[int, Direction], str] = field(default_factory=dict)
    """Status with which each transfer of a client in a direction ends, nothing delivered."""
    transfers: list[ConstantTransfer] = field(default_factory=list)
    """Every finished transfer, in order of its end."""
    running: list[ConstantTransfer] = field(default_factory=list)
    """Transfers under way."""
    site_of: Mapping[int, int] = field(default_factory=dict)
    """Site of each client; 0 for those that are not named."""
    relay_rate_bps: float = 1e9
    relays: list[tuple[int, str, int, float]] = field(default_factory=list)
    """Every relay: site, direction, bytes, instant of its begin [s]."""
    charges: list[tuple[int, str, float, float, float]] = field(default_factory=list)
    """Every booking: client, activity, start [s], end [s], power [W]."""

    @property
    def energy(self) -> "ConstantRateNetwork":
        """The account: this object."""
        return self

    @property
    def most_radio_w(self) -> float:
        """The larger of the two powers."""
        return max(self.transmit_w, self.receive_w)

    def send(
        self,
        client_id: int,
        direction: Direction,
        size_bytes: int,
        *,
        timeout_s: float | None = None,
        participation_id: int | None = None,
        at_edge: bool = False,
    ) -> _Sent:
        """Move bytes at the direction's rate; ends early, undelivered, after ``timeout_s``."""
        if size_bytes <= 0:
            msg = f"size_bytes: must be > 0, got {size_bytes}"
            raise ValueError(msg)
        now_s = self.env.now
        outcome = ConstantTransfer(
            client_id=client_id,
            direction=direction,
            size_bytes=size_bytes,
            requested_at_s=now_s,
            started_at_s=now_s,
            participation_id=participation_id,
            at_edge=at_edge,
        )
        sent = _Sent(self.env.event(), self, outcome)
        self.running.append(outcome)
        is_uplink = direction == "uplink"
        wait_s = size_bytes * 8 / (self.uplink_rate_bps if is_uplink else self.downlink_rate_bps)
        status = self.failing.get((client_id, direction), "delivered")
        if timeout_s is not None and timeout_s < wait_s:
            wait_s, status = timeout_s, "timeout"
        self.env.timeout(wait_s).callbacks.append(lambda _: sent.cancel(status))
        return sent

    def broadcast(
        self,
        client_ids: Sequence[int],
        size_bytes: int,
        *,
        timeout_s: float | None = None,
        participation_ids: Sequence[int] | None = None,
    ) -> list[_Sent]:
        """Send to all at the one downlink rate."""
        numbers = participation_ids or [None] * len(client_ids)
        return [
            self.send(i, "downlink", size_bytes, timeout_s=timeout_s, participation_id=number)
            for i, number in zip(client_ids, numbers, strict=True)
        ]

    def relay(self, site_id: int, direction: Direction, size_bytes: int) -> simpy.Event:
        """Move bytes between a site and the server at the one rate of relays."""
        self.relays.append((site_id, direction, size_bytes, float(self.env.now)))
        return self.env.timeout(size_bytes * 8 / self.relay_rate_bps)

    def link_table(self, client_ids: Int[np.ndarray, " client"]) -> ConstantLinks:
        """Return the constant rates; signal-to-noise ratios have no meaning here and are 0 dB."""
        num = len(client_ids)
        return ConstantLinks(
            cell_id=np.zeros(num, dtype=np.int64),
            site_id=np.array([self.site_of.get(int(i), 0) for i in client_ids], dtype=np.int64),
            snr_db=np.zeros(num),
            mean_snr_db=np.zeros(num),
            uplink_rate_bps=np.full(num, self.uplink_rate_bps),
            downlink_rate_bps=np.full(num, self.downlink_rate_bps),
            uplink_w=np.full(num, self.transmit_w),
        )

    def finish(self, outcome: ConstantTransfer, status: str) -> None:
        """Fill in what became of a transfer that ends now, and book its joules."""
        self.running.remove(outcome)
        started_at_s, now_s = outcome.started_at_s, self.env.now
        is_uplink = outcome.direction == "uplink"
        power_w = self.transmit_w if is_uplink else self.receive_w
        outcome.status, outcome.finished_at_s = status, now_s
        outcome.energy_j = power_w * (now_s - started_at_s)
        if status == "delivered":
            outcome.delivered_bytes = outcome.size_bytes
        self.charge(
            outcome.client_id,
            "tx" if is_uplink else "rx",
            started_at_s=started_at_s,
            finished_at_s=now_s,
            power_w=power_w,
        )
        self.transfers.append(outcome)

    def charge(
        self,
        client_id: int,
        activity: str,
        *,
        started_at_s: float,
        finished_at_s: float,
        power_w: float,
    ) -> None:
        """Book power over an interval to a client."""
        self.charges.append((client_id, activity, started_at_s, finished_at_s, power_w))

    def client_energy_j(
        self, client_ids: Int[np.ndarray, " client"], at_s: float
    ) -> Float[np.ndarray, " client"]:
        """Return the sums of the bookings of some clients up to an instant."""
        spent_j = dict.fromkeys(client_ids.tolist(), 0.0)
        for sent in self.running:
            if sent.client_id in spent_j:
                power_w = self.transmit_w if sent.direction == "uplink" else self.receive_w
                spent_j[sent.client_id] += power_w * (at_s - sent.started_at_s)
        for client_id, _, start_s, end_s, power_w in self.charges:
            if client_id in spent_j:
                spent_j[client_id] += power_w * max(0.0, min(end_s, at_s) - start_s)
        return np.array([spent_j[client_id] for client_id in client_ids.tolist()])

    def total_energy_j(self, at_s: float) -> float:
        """Sum all bookings up to an instant."""
        return sum(
            power_w * max(0.0, min(end_s, at_s) - start_s)
            for _, _, start_s, end_s, power_w in self.charges
        )

    def site_energy_j(self, at_s: float) -> float:  # at_s as in the Protocol
        """Return 0: no sites."""
        return 0.0 * at_s
