"""The slot engine: the reference that steps through every slot.

In each slot the schedulers are asked, whole resource blocks handed out, one transport block a
transfer sent with the MCS that delayed channel knowledge and the outer loop suggest, and received
or not by a draw. Errors are repeated with chase combining. It shares channel, power control,
interference, association and energy with :mod:`netsim.engines.flow`, so a difference between the
two is one of averaging. It is slow by design.
"""

from collections.abc import Callable

import numpy as np
import simpy
from jaxtyping import Bool, Float, Int

from netsim.engines.engine import Engine, EngineSettings, Models, OnEnd
from netsim.engines.harq_processes import Attempt, HarqProcesses
from netsim.engines.interference import INTERFERENCE_AVERAGE_S
from netsim.engines.outer_loop_margins import OuterLoopMargins
from netsim.mac.demand import Demand
from netsim.phy.block_error_table import BlockErrorTable
from netsim.phy.effective_sinr import mean_over_held
from netsim.phy.power_headroom import per_transmitter
from netsim.rrc.link_tracker import TICK_SLACK
from netsim.transport.active_transfers import DOWNLINK, UPLINK
from netsim.transport.site_buffers import SiteBuffers
from netsim.transport.transfers import Transfer
from netsim.units import floored_db

FADING_CHUNK_SLOTS = 64
"""Slots whose fading is computed at once."""

GOLDEN_RATIO = (5**0.5 - 1) / 2


class _ServedSet:
    """The served transfers of one direction, and what stays the same until they change."""

    def __init__(
        self, engine: "SlotEngine", rows: Int[np.ndarray, " transfer"], *, direction: int
    ) -> None:
        links, record = engine.links, engine.active.records[rows]
        self.rows = rows
        self.direction = direction
        self.slots = record["slot"]
        self.cell_id = links.cell_id[self.slots]
        self.client_id = record["client_id"]
        self.gain = links.serving_gain(self.slots)
        self.density_w = engine._air.density_w(self.gain)
        self.cross_gain = links.cross_gain[self.slots]
        self.changes = np.diff(self.cell_id, prepend=-1) != 0
        starts = self.changes | (np.diff(record["bearer_id"], prepend=-1) != 0)
        self.first = np.flatnonzero(starts)
        self.bearer = np.cumsum(starts) - 1
        self.contenders = np.bincount(self.cell_id[self.first])[self.cell_id]
        self.is_broadcast = record["bearer_id"] < 0
        self.record = record
        cell_of_bearer = self.cell_id[self.first]
        self.cell_start = np.flatnonzero(np.diff(cell_of_bearer, prepend=-1))
        self.cell_of = np.cumsum(np.diff(cell_of_bearer, prepend=-1) != 0) - 1
        self.has_groups = len(self.first) < len(rows)
        self.most_bits = np.full(len(rows), np.inf)


class SlotEngine(Engine):
    """Moves transfers over the air slot by slot; parameters are those of the base."""

    def __init__(
        self, env: simpy.Environment, models: Models, *, settings: EngineSettings, on_end: OnEnd
    ) -> None:
        super().__init__(env, models, settings=settings, on_end=on_end)
        self._bank = HarqProcesses(settings.seed)
        self._loop = OuterLoopMargins(settings.outer_loop) if settings.outer_loop else None
        self._buffers: SiteBuffers | None = None
        self._site_of_cell = models.layout.cell_site_id
        if self._backhaul_flow.holds_back:
            self._buffers = SiteBuffers(models.backhaul)
        self._errors = BlockErrorTable(self._air.rates)
        self._sizes = {
            UPLINK: self._air.uplink_sizes.bits,
            DOWNLINK: self._air.downlink_sizes.bits,
        }
        self._slot = 0
        self._is_running = False
        self._is_stale = True
        self._resume_at_s = np.inf
        self._channel_due_s = -np.inf
        self._served_rows = np.zeros(0, dtype=np.intp)
        self._served_sets: dict[int, _ServedSet] = {}
        self._chunk: dict[int, Float[np.ndarray, "time transfer group"]] = {}
        self._chunk_start = 0
        self._last_heard = self.radiated
        self._measured_w = np.zeros_like(self._uplink_interference_w)
        self._num_measured = 0

    @property
    def _heard(self) -> Float[np.ndarray, "cell group"]:
        """What each cell radiated in the last downlink slot."""
        return self._last_heard

    def admit(self, transfer: Transfer, *, bearer_id: int, deadline_at_s: float) -> None:
        """Put a transfer on the air, see :meth:`netsim.engines.engine.Engine.admit`."""
        super().admit(transfer, bearer_id=bearer_id, deadline_at_s=deadline_at_s)
        self._bank.append(transfer.transfer_id, 8.0 * transfer.size_bytes)
        if self._loop is not None:
            self._loop.append()
        if self._buffers is not None:
            self._buffers.append()

    # Time ---------------------------------------------------------------------------------------

    def _touch(self) -> None:
        self._is_stale = True
        if not self._is_running and len(self.active):
            self._is_running = True
            self._slot = int(np.ceil(self._now_s / self._settings.slot_s - 1e-9))
            self._set_timer()

    def _set_timer(self) -> None:
        at_s = self._slot * self._settings.slot_s
        timer = self._env.timeout(max(at_s - self._now_s, 0.0))
        timer.callbacks.append(lambda _: self._on_slot())

    def _on_slot(self) -> None:
        """End the slot before, then begin this one after everybody else has acted."""
        self._advance()
        record = self.active.records
        # What is left is a sum of whole bits, up to the rounding of rates.
        self._end(record["remaining_bits"] < 0.5, lambda _: "delivered")
        now_s = self._now_s
        late = self.active.records["deadline_at_s"] <= now_s
        self._end(late, self._reason_undelivered)
        if not len(self.active):
            self._is_running = False
            self._forget_interference()
            self.active.clear_grants()
            self._meter_sites(np.zeros(0, dtype=np.intp), now_s)
            return
        if now_s >= self._channel_due_s - TICK_SLACK * self._settings.slot_s:
            self._tracker.follow(now_s)
            self._is_stale = True
        self._call_last(self._transmit)

    def _end(self, chosen: Bool[np.ndarray, " transfer"], reason: Callable[[int], str]) -> None:
        if chosen.any():
            self._bank.remove(chosen)
            if self._loop is not None:
                self._loop.remove(chosen)
            if self._buffers is not None:
                self._buffers.remove(chosen)
            self._is_stale = True
        super()._end(chosen, reason)

    # One slot -----------------------------------------------------------------------------------

    def _transmit(self) -> None:
        self.num_solves += 1
        now_s = self._now_s
        if self._is_stale or now_s >= self._resume_at_s:
            self._refresh(now_s)
        self.active.clear_grants()
        if self._loop is not None:
            self._loop.listen(self._slot)
        if self._buffers is not None:
            for served in self._served_sets.values():
                self._fill(served, self._buffers, now_s)
        if UPLINK not in self._served_sets:
            self._forget_interference()
        if UPLINK in self._served_sets and self._belongs_to(UPLINK):
            self._send_uplink(self._served_sets[UPLINK], now_s)
        else:
            self._uplink_interference_w[:] = 0.0
        if DOWNLINK in self._served_sets and self._belongs_to(DOWNLINK):
            self._send_downlink(self._served_sets[DOWNLINK], now_s)
        else:
            self._load[:] = 0.0
        if DOWNLINK in self._served_sets:
            self._meter_sites(self._served_rows, now_s)
        if self._belongs_to(DOWNLINK):
            self._last_heard = self.radiated
            self._tracker.notice_interference(now_s)
            self._channel_due_s = min(self._channel_due_s, self._tracker.next_change_s(now_s))
        self._slot += 1
        self._set_timer()

    def _belongs_to(self, direction: int) -> bool:
        """Tell whether this slot is one of a direction; TDD spreads uplink slots evenly."""
        fraction = self._air.uplink_fraction
        if fraction + self._air.downlink_fraction > 1:
            return True
        is_uplink = np.floor((self._slot + 1) * fraction + 1e-9) > np.floor(
            self._slot * fraction + 1e-9
        )
        return bool(is_uplink) == (direction == UPLINK)

    def _refresh(self, now_s: float) -> None:
        self._tracker.connect_new()
        self._backhaul_flow.delay(self.active, self.links, at_s=now_s)
        self._served_rows = self._reached(self._order(now_s), now_s)
        direction = self.active.records["direction"][self._served_rows]
        self._served_sets = {
            code: _ServedSet(self, self._served_rows[direction == code], direction=code)
            for code in (UPLINK, DOWNLINK)
            if np.any(direction == code)
        }
        self._chunk = {}
        self._is_stale = False
        record = self.active.records
        ready_s = np.maximum(self.links.resume_at_s[record["slot"]], record["ready_at_s"])
        self._resume_at_s = ready_s[ready_s > now_s].min(
            initial=self._backhaul_flow.next_edge_s(now_s)
        )
        self._channel_due_s = self._tracker.next_change_s(now_s)
        self._meter_sites(self._served_rows, now_s)

    def _reached(
        self, rows: Int[np.ndarray, " served"], now_s: float
    ) -> Int[np.ndarray, " reached"]:
        """Leave out transfers whose sites are cut off from the server."""
        if self._buffers is None:
            return rows
        cell_id = self.links.cell_id[self.active.records["slot"][rows]]
        return rows[self._buffers.has_route(self._site_of_cell[cell_id], at_s=now_s)]

    def _fill(self, served: _ServedSet, buffers: SiteBuffers, now_s: float) -> None:
        served.most_bits = buffers.fill(
            served.rows,
            bearer=served.bearer,
            first=served.first,
            site_id=self._site_of_cell[served.cell_id[served.first]],
            unsent_bits=self._bank.unsent_bits[served.rows],
            at_s=now_s,
            elapsed_s=self._settings.slot_s,
        )

    def _fading_now(
        self, served: _ServedSet, direction: int
    ) -> tuple[Float[np.ndarray, "transfer group"], Float[np.ndarray, "transfer group"]]:
        """Give the fading of this slot, and the one that is known by now."""
        if direction not in self._chunk or self._slot >= self._chunk_start + FADING_CHUNK_SLOTS:
            self._chunk_start = self._slot
            number = (
                np.arange(-self._settings.knowledge_delay_slots, FADING_CHUNK_SLOTS) + self._slot
            )
            self._chunk = {
                code: self._channel.fading_over(
                    other.client_id, other.cell_id, at_s=number * self._settings.slot_s
                )
                for code, other in self._served_sets.items()
            }
        chunk = self._chunk[direction]
        place = self._slot - self._chunk_start
        return chunk[place + self._settings.knowledge_delay_slots], chunk[place]

    def _demand(
        self, served: _ServedSet, sinr_per_w: Float[np.ndarray, "transfer group"], direction: int
    ) -> Demand:
        backlog = np.maximum(self._bank.unsent_bits[served.rows], 1.0)
        return Demand(
            air=self._air,
            direction=direction,
            is_uplink=direction == UPLINK,
            cell_id=served.cell_id,
            density_w=served.density_w,
            sinr_per_w=sinr_per_w[None],
            first=served.first,
            bearer=served.bearer,
            contenders=served.contenders,
            cell_start=served.cell_start,
            client_id=served.client_id[served.first],
            remaining_bits=np.maximum.reduceat(backlog, served.first)
            if served.has_groups
            else backlog,
            requested_at_s=served.record["requested_at_s"][served.first],
            deadline_at_s=served.record["deadline_at_s"][served.first],
            average_rate_bps=self.active.records["average_rate_bps"][served.rows[served.first]],
        )

    def _hand_out(
        self, served: _ServedSet, demand: Demand, now_s: float
    ) -> tuple[Float[np.ndarray, "transfer group"], Float[np.ndarray, " transfer"], bool]:
        """Ask the schedulers and round to whole blocks.

        Give shares and blocks of transfers, and whether all of them can be used.

        The band of a cell is cut at the running sum of the shares plus an offset that wanders
        from slot to slot, so on average everybody gets exactly the share.
        """
        grant = self._sharing.solve(
            demand, now_s=now_s, duration_s=np.array([self._settings.slot_s]), is_averaged=False
        )
        shares = grant.shares[0]
        rows = self.active.records["average_rate_bps"]
        rows[served.rows] = grant.average_rate_bps[served.bearer]
        wanted = shares.mean(axis=1) * self._air.num_blocks
        total = np.cumsum(wanted)
        before = (total - wanted)[served.cell_start][served.cell_of]
        offset = (self._slot * GOLDEN_RATIO) % 1.0 + 1e-9
        upper = np.floor(total - before + offset)
        lower = np.floor(total - wanted - before + offset)
        blocks = upper - lower
        scale = np.divide(blocks, wanted, out=np.zeros_like(wanted), where=wanted > 0)
        shares = np.minimum(shares * scale[:, None], 1.0)
        return shares[served.bearer], blocks[served.bearer], grant.is_used

    def _send_uplink(self, served: _ServedSet, now_s: float) -> None:
        air = self._air
        fading, known_fading = self._fading_now(served, UPLINK)
        before_w = air.site_noise_w + self._measured_w[served.cell_id]
        known = served.gain[:, None] * known_fading / before_w
        shares, blocks, is_used = self._hand_out(served, self._demand(served, known, UPLINK), now_s)
        granted = blocks
        total, airtime_share = per_transmitter(served.client_id, granted, np.ones(len(granted)))
        used = total
        if not is_used:
            sinr_per_w = mean_over_held(known, shares)
            used = air.used_whole_blocks(total, density_w=served.density_w, sinr_per_w=sinr_per_w)
        used_share = np.divide(used, total, out=np.zeros_like(used), where=total > 0)
        blocks = np.floor(granted * used_share + 1e-9)
        shares = (
            shares
            * np.divide(blocks, granted, out=np.zeros_like(blocks), where=granted > 0)[:, None]
        )
        block_w = air.block_power_w(served.density_w, used)
        self._uplink_interference_w = air.uplink_interference_w(
            served.cross_gain, block_w[:, None] * shares
        )
        self._measure_interference()
        noise_w = air.site_noise_w + self._uplink_interference_w[served.cell_id]
        self._exchange(
            served,
            now_s,
            shares=shares,
            blocks=blocks,
            known_sinr=block_w[:, None] * known,
            sinr=block_w[:, None] * served.gain[:, None] * fading / noise_w,
            airtime_w=self._ue_power.transmit_w(block_w * used),
            airtime_share=airtime_share,
        )

    def _forget_interference(self) -> None:
        self._num_measured = 0
        self._measured_w[:] = 0.0

    def _measure_interference(self) -> None:
        """Average what sites hear in uplink slots, as long as somebody sends."""
        self._num_measured += 1
        apart_s = self._settings.slot_s / self._air.uplink_fraction
        newest = -np.expm1(-apart_s / INTERFERENCE_AVERAGE_S)
        newest = max(newest, 1.0 / self._num_measured)
        self._measured_w += newest * (self._uplink_interference_w - self._measured_w)

    def _send_downlink(self, served: _ServedSet, now_s: float) -> None:
        air = self._air
        fading, known_fading = self._fading_now(served, DOWNLINK)
        before_w = air.ue_noise_w + air.downlink_interference_w(served.cross_gain, self.radiated)
        known = served.gain[:, None] * known_fading / before_w
        shares, blocks, _ = self._hand_out(served, self._demand(served, known, DOWNLINK), now_s)
        self._load = np.zeros_like(self._load)
        np.add.at(self._load, served.cell_id[served.first], shares[served.first])
        noise_w = air.ue_noise_w + air.downlink_interference_w(served.cross_gain, self.radiated)
        _, airtime_share = per_transmitter(served.client_id, blocks, np.ones(len(blocks)))
        self._exchange(
            served,
            now_s,
            shares=shares,
            blocks=blocks,
            known_sinr=air.site_block_w * known,
            sinr=air.site_block_w * served.gain[:, None] * fading / noise_w,
            airtime_w=np.full(len(served.rows), self._ue_power.receive_w),
            airtime_share=airtime_share,
        )

    def _exchange(
        self,
        served: _ServedSet,
        now_s: float,
        *,
        shares: Float[np.ndarray, "transfer group"],
        blocks: Float[np.ndarray, " transfer"],
        known_sinr: Float[np.ndarray, "transfer group"],
        sinr: Float[np.ndarray, "transfer group"],
        airtime_w: Float[np.ndarray, " transfer"],
        airtime_share: Float[np.ndarray, " transfer"],
    ) -> None:
        """Send one transport block for each transfer with blocks, and see what arrives."""
        air, bank, slot_s = self._air, self._bank, self._settings.slot_s
        granted = np.flatnonzero(blocks > 0)
        rows = served.rows[granted]
        own = air.effective_sinr(known_sinr[granted], shares[granted])
        if self._loop is not None:
            own = self._loop.corrected(rows, own)
        believed = self._weakest(served, granted, own) if served.has_groups else own
        mcs = air.rates.mcs_index(believed)
        attempt = self._attempt(served, granted, mcs, blocks[granted])
        sender = granted[attempt.place]
        true = air.effective_sinr(sinr[sender], shares[sender])
        combined = bank.combine(attempt, blocks=blocks[sender], sinr=true)
        error = self._errors.lookup(combined, attempt.mcs)
        may_repeat = ~served.is_broadcast[sender]
        bits = bank.settle(attempt, slot=self._slot, error=error, may_repeat=may_repeat)
        if self._loop is not None:
            # A broadcast's MCS is that of its weakest member: only there is a lesson in it.
            learns = ~attempt.is_repeat & (own == believed)[attempt.place]
            self._learn(self._loop, attempt, bits > 0, learns)
        self.active.grant(
            attempt.rows,
            now_s=now_s,
            rate_bps=bits / slot_s,
            blocks=blocks[sender],
            sinr_db=floored_db(true),
            airtime_fraction=airtime_share[sender],
            airtime_w=airtime_w[sender],
            retransmission_rate_hz=attempt.is_repeat / slot_s,
        )

    def _attempt(
        self,
        served: _ServedSet,
        granted: Int[np.ndarray, " granted"],
        mcs: Int[np.ndarray, " granted"],
        blocks: Float[np.ndarray, " granted"],
    ) -> Attempt:
        """Decide what goes out: repetitions that are due, and what the wires leave to be sent."""
        rows = served.rows[granted]
        size_bits = self._sizes[served.direction][mcs, blocks.astype(np.intp)]
        if self._buffers is None:
            return self._bank.attempt(
                rows, slot=self._slot, blocks=blocks, mcs=mcs, size_bits=size_bits
            )
        # A block is worth its airtime when it is full, or as full as it can get.
        allowed_bits = self._buffers.allowance_bits[rows]
        needed_bits = np.minimum(size_bits, served.most_bits[granted])
        allowed_bits[allowed_bits < needed_bits * (1 - 1e-9)] = 0.0
        attempt = self._bank.attempt(
            rows,
            slot=self._slot,
            blocks=blocks,
            mcs=mcs,
            size_bits=size_bits,
            allowed_bits=allowed_bits,
        )
        is_new = ~attempt.is_repeat
        self._buffers.take(attempt.rows[is_new], attempt.bits[is_new])
        return attempt

    def _learn(
        self,
        loop: OuterLoopMargins,
        attempt: Attempt,
        is_received: Bool[np.ndarray, " sender"],
        learns: Bool[np.ndarray, " sender"],
    ) -> None:
        """Tell the outer loop of first transmissions."""
        in_use = self._air.rates.mcs_in_use
        mcs, is_received = attempt.mcs[learns], is_received[learns]
        loop.report(
            attempt.rows[learns],
            is_received=is_received,
            is_lowest=mcs == in_use[0],
            is_highest=mcs == in_use[-1],
        )

    @staticmethod
    def _weakest(
        served: _ServedSet,
        granted: Int[np.ndarray, " granted"],
        believed: Float[np.ndarray, " granted"],
    ) -> Float[np.ndarray, " granted"]:
        """Let the members of a broadcast all be sent to as the weakest of them."""
        least = np.full(len(served.first), np.inf)
        np.minimum.at(least, served.bearer[granted], believed)
        return least[served.bearer[granted]]
