"""The flow engine: transfers as fluids, rates solved anew at every event and never in between.

Events are arrivals, departures, cancellations, deadlines, ends of interruptions, site failures and,
while something moves or fades, channel ticks. At each one all active transfers advance by their
constant rates and the whole network is solved once more: shares from the cells' schedulers, powers
from power control, interference from who holds which blocks now, SINR, rate. Events of one instant
share one solve. There is one pending timer; without active transfers there is none.

The channel is constant between ticks, which lie on a fixed grid of multiples of the tick, so what a
client would see does not depend on what others send.
"""

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
from netsim.layout import Layout
from netsim.ledger import Ledger
from netsim.links import Links
from netsim.metering import SiteMeter, book_clients
from netsim.sharing import AVERAGE_S, Demand, Sharing
from netsim.transfers import NO_CELL, Transfer, TransferRow
from netsim.ue_energy import UePower
from netsim.units import linear_to_db

SOLVE_PRIORITY = EventPriority(2)
"""After simpy's urgent (0) and normal (1) events of the same instant: one solve for all of them."""

TICK_SLACK = 1e-9
"""A time this share of a tick before a grid point counts as on it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowSettings:
    """What the engine needs beside the models it is given."""

    tick_s: float
    """Distance of channel ticks [s]."""
    slots_per_s: float


class FlowEngine:
    """Moves transfers over the air.

    Parameters
    ----------
    env
        Clock.
    channel, air, sharing, outages, backhaul, layout
        Models.
    ledger, ue_power, site_meter
        Where joules go.
    handover, link_failure
        Settings of cell changes.
    settings
        Constants.
    on_end
        Called with every transfer that ends on the air, its row, and how much later [s] than now
        the end is known: the row's finish is then in the future.
    """

    def __init__(
        self,
        env: simpy.Environment,
        *,
        channel: Channel,
        air: AirInterface,
        sharing: Sharing,
        outages: Outages,
        backhaul: Backhaul,
        handover: Handover,
        link_failure: LinkFailureConfig,
        layout: Layout,
        ledger: Ledger,
        ue_power: UePower,
        site_meter: SiteMeter,
        settings: FlowSettings,
        on_end: Callable[[Transfer, TransferRow, float], None],
    ) -> None:
        self._env = env
        self._channel = channel
        self._air = air
        self._sharing = sharing
        self._backhaul = backhaul
        self._is_wire_free = all(link.rate_bps is None for link in backhaul.links) and np.isinf(
            backhaul.next_edge_s(-1.0)
        )
        self._site_of_cell = layout.cell_site_id
        self._num_sites = len(layout.sites)
        self._ledger = ledger
        self._ue_power = ue_power
        self._site_meter = site_meter
        self._settings = settings
        self._on_end = on_end
        self.active = ActiveTransfers()
        num_cells = len(layout.cells)
        self.links = Links(num_cells=num_cells, num_groups=air.num_groups)
        self._association = Association(
            self.links, handover=handover, link_failure=link_failure, outages=outages, air=air
        )
        self._uplink_interference_w = np.zeros((num_cells, air.num_groups))
        self._load = np.zeros((num_cells, air.num_groups))
        self._advanced_to_s = float(env.now)
        self._tick = 0
        self._is_solve_pending = False
        self._timer: simpy.Event | None = None
        self._timer_at_s = np.inf
        self._new_slots: list[int] = []
        self._meter_sites(np.zeros(0, dtype=np.intp), float(env.now))

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
        self.active.admit(
            transfer,
            slot=slot,
            now_s=self._env.now,
            bearer_id=bearer_id,
            deadline_at_s=deadline_at_s,
            handovers=int(self.links.handovers[slot]),
        )
        self._touch()

    def cancel(self, transfer: Transfer, status: str) -> None:
        """End a transfer that is on the air, with a status."""
        row = self.active.index(transfer)
        if row is None:
            msg = f"transfer {transfer.transfer_id} is not on the air at {self._env.now} s"
            raise ValueError(msg)
        self._advance()
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
        every = np.ones(len(self.active), dtype=bool)
        book_clients(
            self.active,
            every,
            ledger=self._ledger,
            ue_power=self._ue_power,
            now_s=self._env.now,
        )
        self._site_meter.flush(self._env.now)

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
        return (
            np.minimum(self._load + self._air.background_fraction, 1.0)
            * self._association.is_alive[:, None]
        )

    # Time ---------------------------------------------------------------------------------------

    def _tick_at(self, now_s: float) -> int:
        return int(np.floor(now_s / self._settings.tick_s + TICK_SLACK))

    def _wake_up(self) -> None:
        """Take up the clock after a time without transfers."""
        now_s = self._env.now
        self._advance()
        self._tick = self._tick_at(now_s)
        self._association.refresh_sites(self.links.slots, at_s=now_s)

    def _advance(self) -> None:
        elapsed_s = self._env.now - self._advanced_to_s
        if elapsed_s > 0:
            self.active.advance(elapsed_s, average_s=AVERAGE_S)
            self._site_meter.advance(elapsed_s)
            self._advanced_to_s = self._env.now

    def _touch(self) -> None:
        """Ask for a solve at the end of this instant."""
        if self._is_solve_pending:
            return
        self._is_solve_pending = True
        event = self._env.event()
        event.callbacks.append(lambda _: self._solve())
        # What Event.succeed() does, at a priority of our own.
        event._ok, event._value = True, None
        self._env.schedule(event, priority=SOLVE_PRIORITY)

    def _set_timer(self, at_s: float) -> None:
        self._timer_at_s = at_s
        self._timer = None
        if not np.isfinite(at_s):
            return
        timer = self._env.timeout(max(at_s - self._env.now, 0.0))
        self._timer = timer
        timer.callbacks.append(self._on_timer)

    def _on_timer(self, event: simpy.Event) -> None:
        if event is not self._timer:
            return  # superseded by a later solve
        self._timer = None
        # The sum now + (at - now) may miss ``at`` by a rounding; the event is due all the same.
        due_s = max(self._env.now, self._timer_at_s)
        self._advance()
        record = self.active.records
        self._end(record["finish_at_s"] <= due_s, lambda _: "delivered")
        self._end(self.active.records["deadline_at_s"] <= due_s, self._reason_undelivered)
        tick = self._tick_at(due_s)
        is_tick = self._channel.is_varying and tick > self._tick
        self._tick = max(self._tick, tick)
        # Who has come at this same instant must not count as having lost a cell.
        self._connect_new()
        self._fade(self._association.refresh_sites(self.links.slots, at_s=due_s))
        if is_tick:
            self._on_tick()
        self._touch()

    def _next_event_s(self) -> float:
        if not len(self.active):
            return np.inf
        record = self.active.records
        now_s = self._env.now
        times = [float(record["finish_at_s"].min()), float(record["deadline_at_s"].min())]
        times.append(self._association.next_edge_s(now_s))
        times.append(self._backhaul.next_edge_s(now_s))
        resume_at_s = np.maximum(self.links.resume_at_s[record["slot"]], record["ready_at_s"])
        later = resume_at_s[resume_at_s > now_s]
        if len(later):
            times.append(float(later.min()))
        if self._channel.is_varying:
            times.append((self._tick + 1) * self._settings.tick_s)
        return min(times)

    # Ends ---------------------------------------------------------------------------------------

    def _end(self, chosen: Bool[np.ndarray, " transfer"], reason: Callable[[int], str]) -> None:
        """End some transfers; ``reason`` gives the status for a slot."""
        if not chosen.any():
            return
        now_s = float(self._env.now)
        book_clients(self.active, chosen, ledger=self._ledger, ue_power=self._ue_power, now_s=now_s)
        for transfer, record in self.active.remove(chosen):
            slot = int(record["slot"])
            status = reason(slot)
            wire_s = 0.0
            if record["direction"] == UPLINK and record["has_route"]:
                wire_s = float(self._latency_s(np.array([slot]), now_s)[0])
            row = make_row(
                record,
                finished_at_s=now_s + wire_s,
                cell_id=int(self.links.cell_id[slot]),
                handovers=int(self.links.handovers[slot] - record["handovers_before"]),
                energy_j=float(record["booked_j"]),
                status=status,
            )
            if self.links.release(slot) and slot in self._new_slots:
                self._new_slots.remove(slot)
            self._on_end(transfer, row, wire_s)

    def _reason_undelivered(self, slot: int) -> str:
        """Say why a transfer has run into its deadline."""
        cell_id = int(self.links.cell_id[slot])
        if cell_id != NO_CELL:
            route = self._backhaul.routes(self._env.now)[self._site_of_cell[cell_id]]
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

    def _on_tick(self) -> None:
        slots = self.links.slots
        if self._channel.population.is_moving:
            self._measure(slots)
            self._association.step(slots, at_s=float(self._env.now), radiated=self.radiated)
        self._fade(slots)

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

    # The solve ----------------------------------------------------------------------------------

    def _solve(self) -> None:
        self._is_solve_pending = False
        self._connect_new()
        now_s = float(self._env.now)
        self._delay_wires(now_s)
        record = self.active.records
        self.active.silence()
        is_served = self.links.is_served(record["slot"], now_s=now_s)
        is_served &= record["ready_at_s"] <= now_s
        is_served &= record["deadline_at_s"] > now_s
        order = np.lexsort(
            (
                record["transfer_id"],
                record["bearer_id"],
                self.links.cell_id[record["slot"]],
                record["direction"],
            )
        )
        order = order[is_served[order]]
        direction = record["direction"][order]
        self._solve_uplink(order[direction == UPLINK], now_s)
        self._solve_downlink(order[direction == DOWNLINK], now_s)
        self._meter_sites(order, now_s)
        self._set_timer(self._next_event_s())

    def _horizon_s(self, now_s: float) -> float:
        if not self._channel.is_varying:
            return np.inf
        return max((self._tick + 1) * self._settings.tick_s - now_s, 0.0)

    def _demand(
        self,
        rows: Int[np.ndarray, " transfer"],
        sinr_per_w: Float[np.ndarray, "transfer group"],
        *,
        direction: int,
    ) -> Demand:
        record = self.active.records[rows]
        slots = record["slot"]
        cell_id = self.links.cell_id[slots]
        changes = (np.diff(cell_id, prepend=-1) != 0) | (
            np.diff(record["bearer_id"], prepend=-1) != 0
        )
        first = np.flatnonzero(changes)
        remaining = record["remaining_bits"]
        many = len(first) < len(rows)
        return Demand(
            air=self._air,
            direction=direction,
            is_uplink=direction == UPLINK,
            cell_id=cell_id,
            loss_db=-linear_to_db(self.links.serving_gain(slots)),
            sinr_per_w=sinr_per_w,
            first=first,
            bearer=np.cumsum(changes) - 1,
            client_id=record["client_id"][first],
            remaining_bits=np.maximum.reduceat(remaining, first) if many else remaining,
            requested_at_s=record["requested_at_s"][first],
            deadline_at_s=record["deadline_at_s"][first],
            average_rate_bps=record["average_rate_bps"][first],
        )

    def _solve_uplink(self, rows: Int[np.ndarray, " transfer"], now_s: float) -> None:
        air = self._air
        if not len(rows):
            self._uplink_interference_w = np.zeros_like(self._uplink_interference_w)
            return
        slots = self.active.records["slot"][rows]
        cell_id = self.links.cell_id[slots]
        received = self.links.serving_gain(slots)[:, None] * self.links.fading[slots]
        before_w = air.site_noise_w + self._uplink_interference_w[cell_id]
        demand = self._demand(rows, received / before_w, direction=UPLINK)
        grant = self._sharing.solve(demand, now_s=now_s, horizon_s=self._horizon_s(now_s))
        self.active.records["average_rate_bps"][rows] = grant.average_rate_bps
        at_once = air.num_blocks * grant.shares.mean(axis=1) / grant.activity
        block_w = air.block_power_w(demand.loss_db, at_once)
        self._uplink_interference_w = air.uplink_interference_w(
            self.links.cross_gain[slots], block_w, grant.shares
        )
        noise_w = air.site_noise_w + self._uplink_interference_w[cell_id]
        sinr = air.effective_sinr(block_w[:, None] * received / noise_w, grant.shares)
        on_air = np.where(at_once > 0, grant.activity * np.minimum(at_once, 1.0), 0.0)
        self._grant(
            rows,
            now_s,
            sinr=sinr,
            at_once=at_once,
            activity=grant.activity,
            airtime_fraction=air.uplink_fraction * on_air,
            airtime_w=self._ue_power.transmit_w(block_w * np.maximum(at_once, 1.0)),
            time_fraction=air.uplink_fraction,
        )

    def _solve_downlink(self, rows: Int[np.ndarray, " transfer"], now_s: float) -> None:
        air = self._air
        if not len(rows):
            self._load = np.zeros_like(self._load)
            return
        slots = self.active.records["slot"][rows]
        received = self.links.serving_gain(slots)[:, None] * self.links.fading[slots]
        cross_gain = self.links.cross_gain[slots]
        before_w = air.ue_noise_w + air.downlink_interference_w(cross_gain, self.radiated)
        demand = self._demand(rows, received / before_w, direction=DOWNLINK)
        grant = self._sharing.solve(demand, now_s=now_s, horizon_s=self._horizon_s(now_s))
        self._load = np.zeros_like(self._load)
        np.add.at(self._load, demand.cell_id[demand.first], grant.shares)
        shares = grant.shares[demand.bearer]
        activity = grant.activity[demand.bearer]
        self.active.records["average_rate_bps"][rows] = grant.average_rate_bps[demand.bearer]
        noise_w = air.ue_noise_w + air.downlink_interference_w(cross_gain, self.radiated)
        at_once = air.num_blocks * shares.mean(axis=1) / activity
        sinr = air.effective_sinr(air.site_block_w * received / noise_w, shares)
        if demand.has_groups:
            sinr = self._weakest_sinr(demand, sinr)
        on_air = np.where(at_once > 0, activity * np.minimum(at_once, 1.0), 0.0)
        self._grant(
            rows,
            now_s,
            sinr=sinr,
            at_once=at_once,
            activity=activity,
            airtime_fraction=air.downlink_fraction * on_air,
            airtime_w=np.full(len(rows), self._ue_power.receive_w),
            time_fraction=air.downlink_fraction,
        )

    @staticmethod
    def _weakest_sinr(
        demand: Demand, sinr: Float[np.ndarray, " transfer"]
    ) -> Float[np.ndarray, " transfer"]:
        """Send to all reached members of a broadcast as to the weakest of them.

        Members that are not reached get nothing now; the blocks are coded such that any that are
        received count (an assumption), so they catch up later.
        """
        is_reached = demand.is_reached()
        weakest = demand.weakest(slice(0, len(demand.first)), sinr, is_reached)
        return np.where(is_reached, weakest[demand.bearer], 0.0)

    def _grant(
        self,
        rows: Int[np.ndarray, " transfer"],
        now_s: float,
        *,
        sinr: Float[np.ndarray, " transfer"],
        at_once: Float[np.ndarray, " transfer"],
        activity: Float[np.ndarray, " transfer"],
        airtime_fraction: Float[np.ndarray, " transfer"],
        airtime_w: Float[np.ndarray, " transfer"],
        time_fraction: float,
    ) -> None:
        air = self._air
        over_air = activity * air.rate_bps(sinr, at_once, time_fraction=time_fraction)
        rate = self._through_wires(rows, over_air, now_s)
        repeated = 1.0 - 1.0 / air.rates.mean_transmissions(sinr)
        self.active.grant(
            rows,
            now_s=now_s,
            rate_bps=rate,
            blocks=activity * at_once,
            sinr=sinr,
            airtime_fraction=airtime_fraction,
            airtime_w=airtime_w,
            retransmission_rate_hz=repeated * airtime_fraction * self._settings.slots_per_s,
        )

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
        full_w = air.site_block_w * air.num_blocks * air.downlink_fraction
        cell_w = full_w * self.radiated.mean(axis=1)
        radiated_w = np.bincount(self._site_of_cell, weights=cell_w, minlength=self._num_sites)
        is_busy = radiated_w > 0
        cell_id = self.links.cell_id[self.active.records["slot"][rows]]
        is_busy[self._site_of_cell[cell_id]] = True
        self._site_meter.set(radiated_w, is_busy, now_s=now_s)
