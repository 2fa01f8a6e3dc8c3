"""What both engines do alike: admit, connect, follow the channel, book energy, end, write rows.

An engine adds how time passes: :mod:`netsim.flow` from event to event, :mod:`netsim.slot` slot by
slot. The channel's large-scale part is renewed on a fixed grid of multiples of the tick, so what a
client would see does not depend on what others send.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import simpy
from jaxtyping import Bool, Float, Int
from simpy.events import EventPriority

from netsim.active import DOWNLINK, UPLINK, ActiveTransfers, make_row
from netsim.air_interface import AirInterface
from netsim.association import Association, Outages, strongest_cell
from netsim.backhaul import Backhaul
from netsim.channel import Channel
from netsim.config.radio import Handover, LinkFailureConfig
from netsim.handover import CLOCK_SLACK_S
from netsim.layout import Layout
from netsim.ledger import Ledger
from netsim.links import Links
from netsim.metering import SiteMeter, book_clients
from netsim.outer_loop import OuterLoop
from netsim.sharing import AVERAGE_S, Sharing
from netsim.transfers import NO_CELL, Transfer, TransferRow
from netsim.ue_energy import UePower

LAST_PRIORITY = EventPriority(2)
"""After simpy's urgent (0) and normal (1) events of the same instant: one solve for all of them."""

TICK_SLACK = 1e-9
"""A time this share of a tick before a grid point counts as on it."""

STRETCH_LINKS = 200
"""Links times ticks whose fading is computed at once: many small calls cost more than few."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineSettings:
    """Constants beside the models that an engine is given."""

    tick_s: float
    """Distance of channel ticks [s]."""
    slot_s: float
    """Duration of a slot [s]."""
    seed: int
    """Root seed of the run."""
    knowledge_delay_slots: int
    """Age of channel measurements."""
    outer_loop: OuterLoop | None
    """Correction of the measurements; ``None`` leaves them as they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """Everything that an engine puts together."""

    channel: Channel
    air: AirInterface
    sharing: Sharing
    outages: Outages
    backhaul: Backhaul
    layout: Layout
    handover: Handover
    link_failure: LinkFailureConfig
    ledger: Ledger
    ue_power: UePower
    site_meter: SiteMeter


OnEnd = Callable[[Transfer, TransferRow, float], None]


class Engine(ABC):
    """Moves transfers over the air.

    Parameters
    ----------
    env
        Clock.
    models
        Channel, band, schedulers, wires, power models.
    settings
        Constants.
    on_end
        Called with every transfer that leaves the air, its row, and how much later [s] than now it
        ends: the row's finish is then in the future.
    """

    def __init__(
        self, env: simpy.Environment, models: Models, *, settings: EngineSettings, on_end: OnEnd
    ) -> None:
        self._env = env
        self._channel = models.channel
        self._air = models.air
        self._sharing = models.sharing
        self._outages = models.outages
        self._backhaul = models.backhaul
        self._ledger = models.ledger
        self._ue_power = models.ue_power
        self._site_meter = models.site_meter
        self._settings = settings
        self._on_end = on_end
        self._site_of_cell = models.layout.cell_site_id
        self._num_sites = len(models.layout.sites)
        self._is_wire_free = all(
            link.rate_bps is None for link in models.backhaul.links
        ) and np.isinf(models.backhaul.next_edge_s(-1.0))
        num_cells = len(models.layout.cells)
        num_groups = models.air.num_groups
        self.active = ActiveTransfers(
            is_full_duplex=models.air.uplink_fraction + models.air.downlink_fraction > 1
        )
        self.links = Links(num_cells=num_cells, num_groups=num_groups)
        self._association = Association(
            self.links,
            handover=models.handover,
            link_failure=models.link_failure,
            outages=models.outages,
            air=models.air,
            is_fading=models.channel.is_fading,
        )
        self._uplink_interference_w = np.zeros((num_cells, num_groups))
        self._load = np.zeros((num_cells, num_groups))
        self._advanced_to_s = float(env.now)
        self._tick = 0
        self._new_slots: list[int] = []
        self._edge_s = -np.inf
        self._stretch = np.ones((0, 0, num_groups))
        self._stretch_from = 0
        self._stretch_of = b""
        self.num_solves = 0
        """Times that shares and rates were worked out."""
        for outage in models.outages.intervals:
            self._ledger.cut_power(
                outage.site_id,
                started_at_s=outage.started_at_s,
                finished_at_s=outage.finished_at_s,
            )
        now_s = self._advanced_to_s
        self._site_meter.set_alive(self._outages.is_site_alive(now_s), now_s=now_s)
        self._meter_sites(np.zeros(0, dtype=np.intp), now_s)

    @property
    def _now_s(self) -> float:
        """The clock; simpy starts it as a whole number."""
        return float(self._env.now)

    @abstractmethod
    def _touch(self) -> None:
        """Let the engine take note of an arrival or departure at the end of this instant."""

    # Calls from outside -------------------------------------------------------------------------

    def admit(self, transfer: Transfer, *, bearer_id: int, deadline_at_s: float) -> None:
        """Put a transfer on the air.

        Parameters
        ----------
        transfer
            With at least one byte.
        bearer_id
            Transfers with the same number in the same cell are served by the same blocks.
        deadline_at_s
            When it ends undelivered.
        """
        if not len(self.active):
            self._wake_up()
        self._advance()
        slot, is_new = self.links.acquire(transfer.client_id)
        if is_new:
            self._new_slots.append(slot)
        else:
            self._book(self.active.records["slot"] == slot)
        self.active.admit(
            transfer,
            slot=slot,
            now_s=self._now_s,
            bearer_id=bearer_id,
            deadline_at_s=deadline_at_s,
            handovers=int(self.links.handovers[slot]),
            has_company=not is_new,
        )
        self._touch()

    def cancel(self, transfer: Transfer, status: str) -> None:
        """End a transfer that is on the air, with a status.

        What has sent its last bit by this instant is delivered before anything is cancelled.
        """
        if not self.is_on_air(transfer):
            msg = f"transfer {transfer.transfer_id} is not on the air at {self._now_s} s"
            raise ValueError(msg)
        self._advance()
        is_complete = self.active.records["finish_at_s"] <= self._now_s + CLOCK_SLACK_S
        self._end(is_complete, lambda _: "delivered")
        row = self.active.index(transfer)
        if row is not None:
            self.active.records["is_cancelled"][row] = True
            chosen = np.zeros(len(self.active), dtype=bool)
            chosen[row] = True
            self._end(chosen, lambda _: status)
        self._touch()

    def is_on_air(self, transfer: Transfer) -> bool:
        """Tell whether the transfer is admitted and has not ended."""
        return self.active.index(transfer) is not None

    def flush(self) -> None:
        """Advance and book everything up to now, so that the ledger is complete."""
        self._advance()
        self._book(np.ones(len(self.active), dtype=bool))
        self._site_meter.flush(self._now_s)

    def channel_time_s(self, now_s: float) -> float:
        """Give the grid point whose channel holds now."""
        if not self._channel.is_varying:
            return 0.0
        return self._tick_at(now_s) * self._settings.tick_s

    @property
    def uplink_interference_w(self) -> Float[np.ndarray, "cell group"]:
        """Interference in one block of each cell since the last solve [W]."""
        return self._uplink_interference_w

    @property
    def radiated(self) -> Float[np.ndarray, "cell group"]:
        """Share of its power that each cell radiates in each group since the last solve."""
        # Without transfers nobody notices failures and repairs as they happen.
        is_idle = not len(self.active)
        is_alive = self._outages.is_alive(self._now_s) if is_idle else self._association.is_alive
        return self._wanted * is_alive[:, None]

    @property
    def _heard(self) -> Float[np.ndarray, "cell group"]:
        """What clients measure of it: what each cell radiates whenever it may send."""
        return self.radiated

    @property
    def _wanted(self) -> Float[np.ndarray, "cell group"]:
        """What each cell radiates as long as its site has power."""
        return np.minimum(self._load + self._air.background_fraction, 1.0)

    # Time ---------------------------------------------------------------------------------------

    def _tick_at(self, now_s: float) -> int:
        return int(np.floor(now_s / self._settings.tick_s + TICK_SLACK))

    def _wake_up(self) -> None:
        """Take up the clock after a time without transfers."""
        now_s = self._now_s
        self._advance()
        self._tick = self._tick_at(now_s)
        self._refresh_sites(now_s)

    def _advance(self) -> None:
        elapsed_s = self._now_s - self._advanced_to_s
        if elapsed_s > 0:
            self.active.advance(elapsed_s, average_s=AVERAGE_S)
            self._advance_sites(self._advanced_to_s, self._now_s)
            self._advanced_to_s = self._now_s

    def _book(self, chosen: Bool[np.ndarray, " transfer"]) -> None:
        """Book what the clients of some transfers have spent up to now."""
        book_clients(
            self.active,
            chosen,
            ledger=self._ledger,
            ue_power=self._ue_power,
            now_s=self._now_s,
        )

    def _advance_sites(self, since_s: float, now_s: float) -> None:
        """Let sites radiate, and stop and start at every outage on the way."""
        while (edge_s := self._outages.next_edge_s(since_s)) <= now_s:
            self._site_meter.advance(edge_s - since_s)
            self._site_meter.set_alive(self._outages.is_site_alive(edge_s), now_s=edge_s)
            since_s = edge_s
        self._site_meter.advance(now_s - since_s)

    def _call_last(self, call: Callable[[], None]) -> None:
        """Call a function at the end of this instant."""
        event = self._env.event()
        event.callbacks.append(lambda _: call())
        # What Event.succeed() does, at a priority of our own.
        event._ok, event._value = True, None
        self._env.schedule(event, priority=LAST_PRIORITY)

    def _follow_channel(self, now_s: float) -> None:
        """Notice site failures and repairs, and channel ticks."""
        tick = self._tick_at(now_s)
        is_tick = self._channel.is_varying and tick > self._tick
        self._tick = max(self._tick, tick)
        # Who has come at this same instant must not count as having lost a cell.
        self._connect_new()
        if now_s >= self._edge_s:
            self._refresh_sites(now_s)
        if is_tick:
            self._on_tick()
        self._fade(self._association.fail_due(at_s=now_s))

    def _refresh_sites(self, now_s: float) -> None:
        """Notice which sites have failed or come back, and which handovers that makes due."""
        self._fade(self._association.refresh_sites(self.links.slots, at_s=now_s))
        if not self._channel.population.is_moving:
            self._fade(self._association.reselect(self.links.slots, at_s=now_s))
        self._edge_s = self._association.next_edge_s(now_s)

    # Ends ---------------------------------------------------------------------------------------

    def _end(self, chosen: Bool[np.ndarray, " transfer"], reason: Callable[[int], str]) -> None:
        """End some transfers; ``reason`` gives the status for a slot."""
        if not chosen.any():
            return
        now_s = self._now_s
        self._book(chosen)
        for transfer, record in self.active.remove(chosen):
            slot = int(record["slot"])
            status, finished_at_s, late_s = self._arrival(transfer, record, reason(slot))
            row = make_row(
                record,
                finished_at_s=finished_at_s,
                cell_id=int(self.links.cell_id[slot]),
                handovers=int(self.links.handovers[slot] - record["handovers_before"]),
                energy_j=float(record["booked_j"]),
                status=status,
                late_bits=float(record["rate_bps"]) * late_s,
            )
            if self.links.release(slot) and slot in self._new_slots:
                self._new_slots.remove(slot)
            self._on_end(transfer, row, finished_at_s - now_s)

    def _arrival(
        self, transfer: Transfer, record: np.void, status: str
    ) -> tuple[str, float, float]:
        """Give the status of what leaves the air, when it is known, and how late the last bit is.

        The last bit of an upload crosses the wires and counts when it arrives by the deadline; an
        upload without hope leaves the air earlier by as much and ends at its deadline. Cancelling
        needs no wires: the client does it.
        """
        now_s, deadline_at_s = self._now_s, transfer.deadline_at_s
        is_uplink = record["direction"] == UPLINK
        if status != "delivered":
            waits = is_uplink and not record["is_cancelled"]
            return status, max(now_s, deadline_at_s) if waits else now_s, 0.0
        arrival_s = now_s
        if is_uplink and record["has_route"]:
            arrival_s += float(self._latency_s(record["slot"][np.newaxis], now_s)[0])
        late_s = arrival_s - deadline_at_s
        if late_s > CLOCK_SLACK_S:
            return "timeout", max(now_s, deadline_at_s), late_s
        return status, max(now_s, min(arrival_s, deadline_at_s)), 0.0

    def _reason_undelivered(self, slot: int) -> str:
        """Say why a transfer has run into its deadline."""
        cell_id = int(self.links.cell_id[slot])
        if cell_id != NO_CELL:
            route = self._backhaul.routes(self._now_s)[self._site_of_cell[cell_id]]
            return "timeout" if route is not None else "outage"
        best = strongest_cell(
            self.links.gain[[slot]],
            is_alive=np.ones(self.links.gain.shape[1], dtype=bool),
            min_gain=self._association.min_gain,
        )
        return "link_failure" if best[0] == NO_CELL else "outage"

    # The channel --------------------------------------------------------------------------------

    def _connect_new(self) -> None:
        """Give clients that have just connected their gains and cells, all at once."""
        if not self._new_slots:
            return
        slots = np.array(self._new_slots, dtype=np.intp)
        self._new_slots = []
        self._measure(slots)
        self._association.connect(slots)
        self._fade(slots)

    def _measure(self, slots: Int[np.ndarray, " some"]) -> None:
        at_s = self._tick * self._settings.tick_s
        self.links.gain[slots] = self._channel.gain(self.links.client_id[slots], at_s=at_s)
        self.links.refresh_cross_gain(slots)

    def _fade(self, slots: Int[np.ndarray, " some"]) -> None:
        if not self._channel.is_fading or not len(slots):
            return
        self.links.fading[slots] = self._channel.fading(
            self.links.client_id[slots],
            self.links.cell_id[slots],
            at_s=self._tick * self._settings.tick_s,
        )

    def _fade_all(self, slots: Int[np.ndarray, " connected"]) -> None:
        """Renew the fading of everybody, from a stretch of ticks computed at once."""
        if not self._channel.is_fading or not len(slots):
            return
        cell_id = self.links.cell_id[slots]
        client_id = self.links.client_id[slots]
        whose = client_id.tobytes() + cell_id.tobytes()
        if whose != self._stretch_of or self._tick >= self._stretch_from + len(self._stretch):
            self._stretch_of, self._stretch_from = whose, self._tick
            ticks = self._tick + np.arange(max(1, STRETCH_LINKS // len(slots)))
            self._stretch = self._channel.fading_over(
                client_id, cell_id, at_s=ticks * self._settings.tick_s
            )
        self.links.fading[slots] = self._stretch[self._tick - self._stretch_from]

    def _on_tick(self) -> None:
        slots = self.links.slots
        if self._channel.population.is_moving:
            before = self.links.gain[slots]
            self._measure(slots)
            repeats = np.array_equal(before, self.links.gain[slots])
            if not (repeats and self._association.is_settled(slots)):
                self._association.step(slots, at_s=self._now_s, radiated=self._heard)
        else:
            self._association.watch(at_s=self._now_s, radiated=self._heard)
        self._fade_all(slots)

    def _watch_interference(self) -> None:
        """Let clients notice what others send from now on, where no tick lets them."""
        if not self._channel.is_varying:
            self._association.watch(at_s=self._now_s, radiated=self._heard)

    def _delay_wires(self, now_s: float) -> None:
        """Hold back transfers that came since the last solve by the latency of their wires.

        A download's first byte reaches its site that much later. An upload must leave the air that
        much before its deadline.
        """
        record = self.active.records
        is_new = ~record["has_route"]
        if not is_new.any():
            return
        record["has_route"] = True
        latency_s = self._latency_s(record["slot"], now_s)
        is_download = record["direction"] == DOWNLINK
        record["ready_at_s"] += np.where(is_new & is_download, latency_s, 0.0)
        record["deadline_at_s"] -= np.where(is_new & ~is_download, latency_s, 0.0)

    def _latency_s(
        self, slots: Int[np.ndarray, " some"], now_s: float
    ) -> Float[np.ndarray, " some"]:
        """Give the one-way latency between the sites of slots and the server; 0 without a way."""
        routes = self._backhaul.routes(now_s)
        by_site = np.array([0.0 if route is None else route.latency_s for route in routes])
        cell_id = self.links.cell_id[slots]
        return np.where(cell_id == NO_CELL, 0.0, by_site[self._site_of_cell[cell_id]])

    # Rates --------------------------------------------------------------------------------------

    def _order(self, now_s: float) -> Int[np.ndarray, " served"]:
        """Give the rows that may have blocks now, by direction, cell, bearer, transfer."""
        record = self.active.records
        is_served = self.links.is_served(record["slot"], now_s=now_s)
        is_served &= (record["ready_at_s"] <= now_s) & (record["deadline_at_s"] > now_s)
        order = np.lexsort(
            (
                record["transfer_id"],
                record["bearer_id"],
                self.links.cell_id[record["slot"]],
                record["direction"],
            )
        )
        return order[is_served[order]]

    def _through_wires(
        self, rows: Int[np.ndarray, " transfer"], rate: Float[np.ndarray, " transfer"], now_s: float
    ) -> Float[np.ndarray, " transfer"]:
        """Hold rates down to what the wires behind the sites carry.

        Blocks stay granted and power stays on: the air does not know. A broadcast crosses the wires
        once for each cell.
        """
        if self._is_wire_free:
            return rate
        record = self.active.records[rows]
        cell_id = self.links.cell_id[record["slot"]]
        changes = np.diff(cell_id, prepend=-1) != 0
        changes |= np.diff(record["bearer_id"], prepend=-1) != 0
        first = np.flatnonzero(changes)
        wanted = np.maximum.reduceat(rate, first)
        carried = self._backhaul.share_bps(wanted, self._site_of_cell[cell_id[first]], at_s=now_s)
        return np.minimum(rate, carried[np.cumsum(changes) - 1])

    def _meter_sites(self, rows: Int[np.ndarray, " transfer"], now_s: float) -> None:
        air = self._air
        if not len(rows):
            # What the last transfer was sent with must not go on after it.
            self._load = np.zeros_like(self._load)
        full_w = air.site_block_w * air.num_blocks * air.downlink_fraction
        cell_w = full_w * self._wanted.mean(axis=1)
        radiated_w = np.bincount(self._site_of_cell, weights=cell_w, minlength=self._num_sites)
        is_busy = radiated_w > 0
        cell_id = self.links.cell_id[self.active.records["slot"][rows]]
        is_busy[self._site_of_cell[cell_id]] = True
        self._site_meter.set(radiated_w, is_busy, now_s=now_s)
