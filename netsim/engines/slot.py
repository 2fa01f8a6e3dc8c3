"""The slot engine: the reference that steps through every slot.

In each slot the schedulers are asked, whole resource blocks granted and one transport block a
transfer sent, with the MCS that delayed channel knowledge and the outer loop suggest. Whether it is
received is drawn; blocks in error are retransmitted with chase combining. The engine shares
channel, power control, interference, association and energy with :mod:`netsim.engines.flow`, so a
difference between the two is one of averaging. It is slow by design.
"""

from collections.abc import Callable

import numpy as np
import simpy
from jaxtyping import Bool, Float, Int

from netsim.engines.block_exchange import BlockExchange
from netsim.engines.engine import Engine, EngineSettings, Models, OnEnd
from netsim.engines.interference import MeasuredInterference
from netsim.engines.served_set import ServedSet
from netsim.engines.service_order import NO_ROWS
from netsim.engines.suppressed_interference import received_interference_w
from netsim.engines.transmission import SlotTransmission
from netsim.engines.whole_blocks import whole_blocks
from netsim.mac.demand import Demand
from netsim.phy.effective_sinr import mean_over_groups, mean_over_held
from netsim.phy.power_headroom import per_transmitter
from netsim.rrc.link_tracker import TICK_SLACK
from netsim.transport.active_transfers import DOWNLINK, UPLINK
from netsim.transport.site_buffers import SiteBuffers
from netsim.transport.transfers import Transfer

FADING_CHUNK_SLOTS = 64
"""Slots whose fading is computed at once."""


class SlotEngine(Engine):
    """Moves transfers over the air slot by slot; parameters are those of the base."""

    def __init__(
        self, env: simpy.Environment, models: Models, *, settings: EngineSettings, on_end: OnEnd
    ) -> None:
        super().__init__(env, models, settings=settings, on_end=on_end)
        self._site_of_cell = models.layout.cell_site_id
        is_limited = self._backhaul_flow.is_limited
        self._buffers = SiteBuffers(models.backhaul) if is_limited else None
        self._exchange = BlockExchange(
            self._air,
            outer_loop=settings.outer_loop,
            buffers=self._buffers,
            ue_power=models.ue_power,
            slot_s=settings.slot_s,
            seed=settings.seed,
        )
        self._slot = 0
        self._is_running = False
        self._is_stale = True
        self._resume_at_s = np.inf
        self._deadline_at_s = -np.inf
        """No transfer's deadline is earlier."""
        self._channel_due_s = -np.inf
        self._served_rows = np.zeros(0, dtype=np.intp)
        self._served_sets: dict[int, ServedSet] = {}
        self._contending: dict[int, tuple[bytes, ServedSet, Int[np.ndarray, " place"]]] = {}
        """By direction, of those that have something to send: key, set, places in all served."""
        self._chunk: dict[int, Float[np.ndarray, "time transfer group"]] = {}
        self._chunk_start = 0
        self._last_radiated = self.radiated
        self._measured = MeasuredInterference(
            num_cells=len(self._load),
            num_groups=self._air.num_groups,
            apart_s=settings.slot_s / self._air.uplink_fraction,
        )

    @property
    def _measured_radiation(self) -> Float[np.ndarray, "cell group"]:
        """What each cell radiated in the last downlink slot."""
        return self._last_radiated

    def admit(
        self, transfer: Transfer, *, bearer_id: int, deadline_at_s: float, energy_j: float = 0.0
    ) -> None:
        """Put a transfer on the air, see :meth:`netsim.engines.engine.Engine.admit`."""
        super().admit(transfer, bearer_id=bearer_id, deadline_at_s=deadline_at_s, energy_j=energy_j)
        self._exchange.append(transfer.transfer_id, 8.0 * transfer.size_bytes)

    # Time ---------------------------------------------------------------------------------------

    def _touch(self) -> None:
        self._is_stale = True
        self._deadline_at_s = -np.inf
        if not self._is_running and len(self.active):
            self._is_running = True
            self._slot = int(np.ceil(self._now_s / self._settings.slot_s - 1e-9))
            self._set_timer()

    def _set_timer(self) -> None:
        at_s = self._slot * self._settings.slot_s
        timer = self._env.timeout(max(at_s - self._now_s, 0.0))
        timer.callbacks.append(lambda _: self._on_slot())

    def _on_slot(self) -> None:
        """End the last slot, then begin this one after all other events of this instant."""
        self._advance()
        record = self.active.records
        # The remaining bits are whole, up to the rounding of rates.
        self._end(record["remaining_bits"] < 0.5, lambda _: "delivered")
        now_s = self._now_s
        if now_s >= self._deadline_at_s:
            late = self.active.records["deadline_at_s"] <= now_s
            self._end(late, self._reason_undelivered)
        if not len(self.active):
            self._is_running = False
            self._measured.forget()
            self.active.clear_service()
            self._meter_sites(NO_ROWS, now_s)
            return
        if now_s >= self._channel_due_s - TICK_SLACK * self._settings.slot_s:
            self._tracker.follow(now_s)
            self._is_stale = True
        self._call_last(self._transmit)

    def _end(self, chosen: Bool[np.ndarray, " transfer"], reason: Callable[[int], str]) -> None:
        if np.count_nonzero(chosen):
            self._exchange.keep(~chosen)
            self._is_stale = True
            super()._end(chosen, reason)

    # One slot -----------------------------------------------------------------------------------

    def _transmit(self) -> None:
        self.num_solves += 1
        now_s = self._now_s
        is_refreshed = self._is_stale or now_s >= self._resume_at_s
        if is_refreshed:
            self._refresh(now_s)
        self.active.clear_service()
        self._exchange.listen(self._slot)
        contending = {code: self._contend(code) for code in self._served_sets}
        for served in contending.values():
            if served is not None:
                site_id = self._site_of_cell[served.cell_id[served.first]]
                self._exchange.fill_buffers(served, site_id, at_s=now_s)
        if UPLINK not in self._served_sets:
            self._measured.forget()
        uplink, downlink = contending.get(UPLINK), contending.get(DOWNLINK)
        if uplink is not None and self._belongs_to(UPLINK):
            self._send_uplink(uplink, now_s)
        else:
            self._uplink_interference_w[:] = 0.0
        if downlink is not None and self._belongs_to(DOWNLINK):
            self._send_downlink(downlink, now_s)
        else:
            self._load[:] = 0.0
        if DOWNLINK in self._served_sets:
            fraction = float(self._belongs_to(DOWNLINK))
            self._meter_sites(self._served_rows, now_s, downlink_fraction=fraction)
        elif is_refreshed:
            self._meter_sites(self._served_rows, now_s)
        if self._belongs_to(DOWNLINK):
            self._last_radiated = self.radiated
            self._tracker.notice_interference(now_s)
            self._channel_due_s = min(self._channel_due_s, self._tracker.next_change_s(now_s))
        self._slot += 1
        self._set_timer()

    def _contend(self, direction: int) -> ServedSet | None:
        """Return those served that have something to send in this slot; ``None`` is nobody.

        Who waits for a retransmission to be due is not granted blocks: they are others' then.
        """
        served = self._served_sets[direction]
        is_idle = self._exchange.has_nothing_to_send(served.index, slot=self._slot)
        if not np.count_nonzero(is_idle):
            self._contending.pop(direction, None)
            return served
        places = np.flatnonzero(~is_idle)
        if not len(places):
            return None
        key, part, _ = self._contending.get(direction, (b"", served, places))
        if key != is_idle.tobytes():
            part = self._served_set(served.rows[places], direction=direction)
        self._contending[direction] = is_idle.tobytes(), part, places
        return part

    def _belongs_to(self, direction: int) -> bool:
        """Whether this slot is one of a direction; TDD spreads uplink slots evenly."""
        if self._air.is_full_duplex:
            return True
        fraction = self._air.uplink_fraction
        is_uplink = np.floor((self._slot + 1) * fraction + 1e-9) > np.floor(
            self._slot * fraction + 1e-9
        )
        return bool(is_uplink) == (direction == UPLINK)

    def _refresh(self, now_s: float) -> None:
        self._tracker.connect_new()
        self._backhaul_flow.delay(self.active, self.links, at_s=now_s)
        self._served_rows = self._reached(self._order.rows(now_s), now_s)
        direction = self.active.records["direction"][self._served_rows]
        self._served_sets = {
            code: self._served_set(self._served_rows[direction == code], direction=code)
            for code in (UPLINK, DOWNLINK)
            if np.any(direction == code)
        }
        self._contending = {}
        self._chunk = {}
        self._is_stale = False
        record = self.active.records
        ready_s = np.maximum(self.links.resume_at_s[record["slot"]], record["ready_at_s"])
        self._resume_at_s = ready_s[ready_s > now_s].min(
            initial=self._backhaul_flow.next_edge_s(now_s)
        )
        self._deadline_at_s = record["deadline_at_s"].min(initial=np.inf)
        self._channel_due_s = self._tracker.next_change_s(now_s)

    def _served_set(self, rows: Int[np.ndarray, " transfer"], *, direction: int) -> ServedSet:
        record = self.active.records[rows]
        cell_id = self.links.cell_id[record["slot"]]
        served = ServedSet(rows, record, cell_id, direction=direction, air=self._air)
        served.follow(self.links)
        return served

    def _reached(
        self, rows: Int[np.ndarray, " served"], now_s: float
    ) -> Int[np.ndarray, " reached"]:
        """Return the rows of transfers whose sites reach the server."""
        if self._buffers is None:
            return rows
        cell_id = self.links.cell_id[self.active.records["slot"][rows]]
        return rows[self._buffers.has_route(self._site_of_cell[cell_id], at_s=now_s)]

    def _fading_now(
        self, served: ServedSet
    ) -> tuple[Float[np.ndarray, "transfer group"], Float[np.ndarray, "transfer group"]]:
        """Return the fading of this slot, and that which is known by now."""
        if (
            served.direction not in self._chunk
            or self._slot >= self._chunk_start + FADING_CHUNK_SLOTS
        ):
            self._chunk_start = self._slot
            number = (
                np.arange(-self._settings.knowledge_delay_slots, FADING_CHUNK_SLOTS) + self._slot
            )
            self._chunk = {}
            for code, other in self._served_sets.items():
                gains = self._channel.fading_over(
                    other.client_id, other.cell_id, at_s=number * self._settings.slot_s
                )
                self._chunk[code] = gains.uplink if other.is_uplink else gains.downlink
        chunk = self._chunk[served.direction]
        place = self._slot - self._chunk_start
        now, known = chunk[place + self._settings.knowledge_delay_slots], chunk[place]
        if served is self._served_sets[served.direction]:
            return now, known
        _, _, places = self._contending[served.direction]
        return now[places], known[places]

    def _demand(self, served: ServedSet, sinr_per_w: Float[np.ndarray, "transfer group"]) -> Demand:
        """Return what the schedulers are asked, at a SINR for each watt sent in one block."""
        return served.demand(
            self.active.records,
            sinr_per_w[None],
            unsent_bits=np.maximum(self._exchange.unsent_bits(served.index), 1.0),
        )

    def _granted(
        self, served: ServedSet, demand: Demand, now_s: float
    ) -> tuple[Float[np.ndarray, "transfer group"], Float[np.ndarray, " transfer"]]:
        """Return shares and whole blocks of transfers."""
        record = self.active.records
        duration_s = np.array([self._settings.slot_s])
        grant = self._sharing.solve(demand, now_s=now_s, duration_s=duration_s, is_averaged=False)
        record["average_rate_bps"][served.index] = grant.average_rate_bps[served.bearer]
        shares, blocks = whole_blocks(
            grant.shares[0],
            cells=served.cells,
            num_blocks=demand.num_blocks,
            slot=self._slot,
        )
        return shares[served.bearer], blocks[served.bearer]

    def _send_uplink(self, served: ServedSet, now_s: float) -> None:
        air = self._air
        fading, known_fading = self._fading_now(served)
        before_w = air.site_noise_w + self._measured.mean_w[served.cell_id]
        gain = air.site_array_gain * served.gain[:, None]
        known = gain * known_fading / before_w
        demand = self._demand(served, known)
        shares, blocks = self._granted(served, demand, now_s)
        used, airtime_share = per_transmitter(served.shared_clients, blocks, np.ones(len(blocks)))
        density_w, sinr_per_w = demand.density_w.reshape(-1), mean_over_held(known, shares)
        if not self._sharing.redistributes:
            granted, total = blocks, used
            used = air.uplink_power.used_whole_blocks(
                total, density_w=density_w, sinr_per_w=sinr_per_w
            )
            used_share = np.divide(used, total, out=np.zeros_like(used), where=total > 0)
            blocks = np.floor(granted * used_share + 1e-9)
            kept = np.divide(blocks, granted, out=np.zeros_like(blocks), where=granted > 0)
            shares = shares * kept[:, None]
        block_w = air.uplink_power.radiated_w(
            air.uplink_power.block_power_w(density_w, used), sinr_per_w
        )
        self._uplink_interference_w = received_interference_w(
            air, served.cross_gain, block_w, shares
        )
        self._measured.measure(self._uplink_interference_w)
        noise_w = air.site_noise_w + self._uplink_interference_w[served.cell_id]
        self._send(
            SlotTransmission(
                served=served,
                shares=shares,
                blocks=blocks,
                client_blocks=used,
                known_sinr=block_w[:, None] * known,
                mean_sinr=block_w * gain[:, 0] / mean_over_groups(before_w),
                sinr=block_w[:, None] * gain * fading / noise_w,
                airtime_share=airtime_share,
                radiated_w=block_w * used,
            ),
            now_s,
        )

    def _send_downlink(self, served: ServedSet, now_s: float) -> None:
        air = self._air
        fading, known_fading = self._fading_now(served)
        before_w = air.ue_noise_w + air.downlink_interference_w(served.cross_gain, self.radiated)
        known = served.gain[:, None] * known_fading / before_w
        shares, blocks = self._granted(served, self._demand(served, known), now_s)
        self._load = np.zeros_like(self._load)
        np.add.at(self._load, served.cell_id[served.first], shares[served.first])
        noise_w = air.ue_noise_w + air.downlink_interference_w(served.cross_gain, self.radiated)
        client_blocks, airtime_share = per_transmitter(
            served.shared_clients, blocks, np.ones(len(blocks))
        )
        block_w = air.cell_block_w[served.cell_id]
        self._send(
            SlotTransmission(
                served=served,
                shares=shares,
                blocks=blocks,
                client_blocks=client_blocks,
                known_sinr=block_w[:, None] * known,
                mean_sinr=block_w * served.gain / mean_over_groups(before_w),
                sinr=block_w[:, None] * served.gain[:, None] * fading / noise_w,
                airtime_share=airtime_share,
                radiated_w=np.zeros_like(blocks),
            ),
            now_s,
        )

    def _send(self, sent: SlotTransmission, now_s: float) -> None:
        service = self._exchange.exchange(sent, slot=self._slot)
        self.active.serve(service, now_s=now_s, slot_s=self._settings.slot_s)
