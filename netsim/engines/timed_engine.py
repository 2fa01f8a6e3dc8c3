"""What the flow engine does between solves: its timer, and a transfer that it follows alone."""

import math
from abc import abstractmethod
from typing import Any

import numpy as np
import simpy

from netsim.engines.engine import Engine, EngineSettings, Models, OnEnd
from netsim.engines.flow_last_blocks import LastBlocks
from netsim.engines.lone_service import LoneServices
from netsim.engines.lone_transfer import LoneTransfer, LoneTransfers, book_lone, record_of
from netsim.engines.service_order import NO_ROWS
from netsim.engines.site_meter import Radiation
from netsim.mac.average_rate import AVERAGE_S
from netsim.transport.active_transfers import UPLINK
from netsim.transport.completion import END_OF_SLOT, end_of, make_row
from netsim.transport.transfers import Transfer
from netsim.world.layout import NO_CELL


class TimedEngine(Engine):
    """An engine with one pending timer; parameters are those of the base.

    A subclass solves at the end of the instants that :meth:`_touch` was called in.
    """

    def __init__(
        self, env: simpy.Environment, models: Models, *, settings: EngineSettings, on_end: OnEnd
    ) -> None:
        super().__init__(env, models, settings=settings, on_end=on_end)
        self._slot_left_s = END_OF_SLOT * settings.slot_s
        self._is_solve_pending = False
        self._solved = NO_ROWS
        self._rows = NO_ROWS, NO_ROWS
        self._timer: simpy.Event | None = None
        self._timer_at_s = self._first_finish_s = np.inf
        self._solved_at_s = -np.inf
        self._decides_anew = (
            models.air.interference_variability is not None and self._sharing.orders_by_rates
        )
        self._last_blocks = LastBlocks(
            models,
            self.links,
            self._tracker,
            settings=settings,
            decides_anew=self._decides_anew,
        )
        is_limited = self._backhaul_flow.is_limited
        self._lone = LoneServices(models, self.active, self.links, is_limited=is_limited)
        self._lone_transfers = LoneTransfers(
            self._lone,
            self._association,
            self._backhaul_flow,
            core_latency_s=models.core_latency_s,
        )
        self._followed: LoneTransfer | None = None
        """The only transfer on the air, where it is followed alone."""
        self._no_load = np.zeros(self._load.shape)
        self._quiet: Radiation | None = None
        """What sites do without transfers, once that is known."""

    # Calls from outside -------------------------------------------------------------------------

    def admit(
        self, transfer: Transfer, *, bearer_id: int, deadline_at_s: float, energy_j: float = 0.0
    ) -> None:
        """Put a transfer on the air; see the base."""
        if self._followed is None and not len(self.active):
            self._followed = self._lone_transfers.find(
                transfer, bearer_id=bearer_id, energy_j=energy_j, now_s=self._now_s
            )
            if self._followed is not None:
                self._timer = None  # one of this instant would be of those that have ended
                self._touch()
                return
        self._put_back()
        super().admit(transfer, bearer_id=bearer_id, deadline_at_s=deadline_at_s, energy_j=energy_j)

    def cancel(self, transfer: Transfer, status: str) -> None:
        """End a transfer that is on the air, with a status; see the base."""
        self._put_back()
        super().cancel(transfer, status)

    def flush(self) -> None:
        """Advance and book everything up to now; see the base."""
        self._put_back()
        super().flush()

    def is_on_air(self, transfer: Transfer) -> bool:
        """Return whether the transfer is admitted and has not ended."""
        followed = self._followed
        return (followed is not None and followed.transfer is transfer) or super().is_on_air(
            transfer
        )

    def is_client_on_air(self, client_id: int) -> bool:
        """Return whether a client has a transfer that is admitted and has not ended."""
        followed = self._followed
        if followed is not None and followed.transfer.client_id == client_id:
            return True
        return super().is_client_on_air(client_id)

    def serving_cell(self, client_id: int) -> int:
        """Return the cell that serves a client on the air; -1 for none."""
        followed = self._followed
        if followed is not None and followed.transfer.client_id == client_id:
            return followed.link.cell_id if followed.is_served else NO_CELL
        return super().serving_cell(client_id)

    # Time ---------------------------------------------------------------------------------------

    def _touch(self) -> None:
        if not self._is_solve_pending:
            self._is_solve_pending = True
            self._call_last(self._end_instant)

    def _end_instant(self) -> None:
        self._is_solve_pending = False
        followed = self._followed
        if followed is None:
            self._solve()
        elif not followed.is_served:
            self._begin(followed)

    @abstractmethod
    def _solve(self) -> None:
        """Work out who gets what from now on."""

    def _set_timer(self, at_s: float) -> None:
        self._timer_at_s = at_s
        self._timer = None
        if math.isinf(at_s):
            return
        self._timer = self._env.timeout(max(at_s - self._env.now, 0.0))
        self._timer.callbacks.append(self._on_timer)

    def _on_timer(self, event: simpy.Event) -> None:
        if event is not self._timer:
            return  # superseded by a later solve
        self._timer = None
        # The sum now + (at - now) may miss ``at`` by a rounding; the event is due all the same.
        due_s = max(self._now_s, self._timer_at_s)
        if self._followed is None or not self._follow(self._followed, due_s):
            self._on_due(due_s)

    @abstractmethod
    def _on_due(self, due_s: float) -> None:
        """Handle what is due by an instant, now."""

    # A transfer that is followed alone ----------------------------------------------------------

    def _begin(self, followed: LoneTransfer) -> None:
        """Serve a transfer from now on, the end of the instant of its admission."""
        now_s = self._solved_at_s = self._now_s
        self._advance()
        followed.is_served = True
        self._solved, self._rows = NO_ROWS, (NO_ROWS, NO_ROWS)
        link, service = followed.link, followed.service
        self.links.on_change(np.array([followed.transfer.client_id]), np.array([link.cell_id]))
        self._load = self._no_load if service.load is None else service.load
        if service.radiation is None:
            service.radiation = self._site_meter.radiation(
                self._wanted * self._air.downlink_fraction, serving=np.array([link.cell_id])
            )
        self._site_meter.set_radiation(service.radiation, now_s=now_s)
        self._first_finish_s = followed.sent_at_s
        self._set_timer(followed.sent_at_s)

    def _follow(self, followed: LoneTransfer, due_s: float) -> bool:
        """Go on with a transfer that is due: its last bit has left, or is decoded.

        Return whether that is all that can have happened to it.
        """
        if followed.record is not None:
            self._end_followed(followed, followed.record)
            return True
        now_s = self._now_s
        record = record_of(followed, until_s=now_s)
        wait_s = float(self._last_blocks.wait_s([record], self._solved_at_s, at_s=due_s)[0])
        if not due_s + wait_s < followed.deadline_at_s:
            self._put_back()
            return False
        self._site_meter.advance(now_s)
        self._advanced_to_s = now_s
        self._rest_after(now_s)
        if wait_s <= 0:
            record["rate_bps"] = followed.service.rate_bps
            self._end_followed(followed, record)
            return True
        followed.record = record
        followed.held_from_s = self._solved_at_s = now_s
        followed.ends_at_s = self._first_finish_s = due_s + wait_s
        self._set_timer(followed.ends_at_s)
        return True

    def _end_followed(self, followed: LoneTransfer, record: dict[str, Any]) -> None:
        """End a transfer that is decoded."""
        now_s, transfer, cell_id = self._now_s, followed.transfer, followed.link.cell_id
        book_lone(followed, record, ledger=self._ledger, ue_power=self._ue_power, now_s=now_s)
        end = end_of(
            record,
            "delivered",
            deadline_at_s=transfer.deadline_at_s,
            latency_s=self._backhaul_flow.latency_s(cell_id, at_s=now_s),
            core_latency_s=self._core_latency_s,
            slot_left_s=self._slot_left_s,
            now_s=now_s,
        )
        row = make_row(
            record,
            end,
            participation_id=transfer.participation_id,
            cell_id=cell_id,
            handovers=0,
        )
        self._followed = self._timer = None
        self._on_end(transfer, row, row.finished_at_s - now_s)

    def _rest_after(self, now_s: float) -> None:
        """Let sites be quiet once this instant is over, unless somebody comes in it."""
        self._load = self._no_load
        if self._quiet is None:
            self._quiet = self._site_meter.radiation(
                self._wanted * self._air.downlink_fraction, serving=self.links.cell_id[:0]
            )
        self._site_meter.set_radiation_after(self._quiet, now_s=now_s)

    def _put_back(self) -> None:
        """Let a transfer that is followed stand among the active ones, as if it always had."""
        followed, self._followed = self._followed, None
        if followed is None:
            return
        transfer, at_s = followed.transfer, followed.admitted_at_s
        if not followed.is_served:
            super().admit(
                transfer,
                bearer_id=followed.bearer_id,
                deadline_at_s=transfer.deadline_at_s,
                energy_j=followed.energy_j,
            )
            return
        self._tracker.wake_up(at_s)
        slot, _ = self.links.acquire(transfer.client_id)
        self._association.reconnect([slot])
        self.active.admit(
            transfer,
            slot=slot,
            now_s=at_s,
            bearer_id=followed.bearer_id,
            deadline_at_s=transfer.deadline_at_s,
            handovers=0,
            has_company=False,
            energy_j=followed.energy_j,
        )
        self._backhaul_flow.delay(self.active, self.links, at_s=at_s)
        self.active.serve_alike(0, followed.service.values, now_s=at_s)
        if followed.record is not None:
            self.active.advance(followed.held_from_s - at_s, average_s=AVERAGE_S)
            self.active.hold(np.zeros(1, dtype=np.intp), until_s=np.array([followed.ends_at_s]))
            self.active.clear_service()
        self._solved = self._order.rows(self._solved_at_s)
        is_uplink = self.active.records["direction"][self._solved] == UPLINK
        self._rows = self._solved[is_uplink], self._solved[~is_uplink]
