"""What both engines do alike: admit, connect, follow the channel, book energy, end, write rows.

An engine adds how time passes: :mod:`netsim.engines.flow` from event to event,
:mod:`netsim.engines.slot` slot by slot.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import simpy
from jaxtyping import Bool, Float, Int
from simpy.events import EventPriority

from netsim.channel.channel import Channel
from netsim.config.radio import Handover, LinkFailureConfig
from netsim.energy.ledger import Ledger
from netsim.energy.ue_power import UePower
from netsim.engines.client_meter import book_clients
from netsim.engines.service_order import NO_ROWS, ServiceOrder
from netsim.engines.site_meter import SiteMeter
from netsim.mac.average_rate import AVERAGE_S
from netsim.mac.sharing import Sharing
from netsim.phy.outer_loop import OuterLoop
from netsim.phy_abstraction.air_interface import AirInterface
from netsim.rrc.association import Association, strongest_cell
from netsim.rrc.handover import CLOCK_SLACK_S
from netsim.rrc.link_tracker import LinkTracker
from netsim.rrc.links import Links
from netsim.rrc.outages import Outages
from netsim.transport.active_transfers import ActiveTransfers
from netsim.transport.backhaul import Backhaul
from netsim.transport.backhaul_flow import BackhaulFlow
from netsim.transport.completion import end_of, make_row
from netsim.transport.transfers import Transfer, TransferRow
from netsim.world.layout import NO_CELL, Layout
from netsim.world.population import FIRST_BACKGROUND_USER

LAST_PRIORITY = EventPriority(2)
"""After simpy's urgent (0) and normal (1) events of the same instant: one solve for all of them."""


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
    core_latency_s: float
    """One-way latency between the backhaul and the server [s]; uploads need it after the air."""


class _EndOfInstant(simpy.Event):
    """An event after all others of this instant, triggered as ``Event.succeed()`` would."""

    def __init__(self, env: simpy.Environment) -> None:
        super().__init__(env)
        self._ok = True
        self._value = None
        env.schedule(self, priority=LAST_PRIORITY)


OnEnd = Callable[[Transfer, TransferRow, float], None]


class Engine(ABC):
    """Moves transfers over the air.

    Parameters
    ----------
    env
        Clock.
    models
        Channel, band, schedulers, backhaul, power models.
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
        self._ledger = models.ledger
        self._ue_power = models.ue_power
        self._site_meter = models.site_meter
        self._settings = settings
        self._on_end = on_end
        self._core_latency_s = models.core_latency_s
        self._slot_left_s = 0.0
        """What is left of the slot of a last bit, where time does not go slot by slot [s]."""
        self._backhaul_flow = BackhaulFlow(
            models.backhaul, models.layout.cell_site_id, core_latency_s=models.core_latency_s
        )
        num_cells = len(models.layout.cells)
        num_groups = models.air.num_groups
        self.active = ActiveTransfers(is_full_duplex=models.air.is_full_duplex)
        self.links = Links(
            num_cells=num_cells, num_groups=num_groups, num_instants=self._num_instants()
        )
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
        self._tracker = LinkTracker(
            self.links,
            channel=models.channel,
            association=self._association,
            tick_s=settings.tick_s,
            radiated=lambda: self._measured_radiation,
        )
        self._order = ServiceOrder(self.active, self.links)
        self.num_solves = 0
        """Times that shares and rates were worked out."""
        self._site_meter.advance(self._advanced_to_s)
        self._meter_sites(NO_ROWS, self._advanced_to_s)

    @property
    def _now_s(self) -> float:
        """The clock; simpy starts it as a whole number."""
        return float(self._env.now)

    @abstractmethod
    def _touch(self) -> None:
        """Register an arrival or departure, to be handled at the end of this instant."""

    def _num_instants(self) -> int:
        """Return the number of instants of a tick whose fading the engine asks for."""
        return 1

    # Calls from outside -------------------------------------------------------------------------

    def admit(
        self, transfer: Transfer, *, bearer_id: int, deadline_at_s: float, energy_j: float = 0.0
    ) -> None:
        """Put a transfer on the air.

        Parameters
        ----------
        transfer
            With at least one byte.
        bearer_id
            Transfers with the same number in the same cell are served by the same blocks.
        deadline_at_s
            When it ends undelivered.
        energy_j
            What its client has spent on it before [J].
        """
        is_first = not len(self.active)
        self._advance()
        if is_first:
            self._tracker.wake_up(self._now_s)
        slot, is_new = self.links.acquire(transfer.client_id)
        if is_new:
            self._tracker.add(slot)
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
            energy_j=energy_j,
        )
        self._touch()

    def cancel(self, transfer: Transfer, status: str) -> None:
        """End a transfer that is on the air, with a status.

        What is complete by this instant is delivered before anything is cancelled.
        """
        if not self.is_on_air(transfer):
            msg = f"transfer {transfer.transfer_id} is not on the air at {self._now_s} s"
            raise ValueError(msg)
        self._advance()
        self._end_complete(self._now_s + CLOCK_SLACK_S)
        row = self.active.index(transfer)
        if row is not None:
            self.active.records["is_cancelled"][row] = True
            chosen = np.zeros(len(self.active), dtype=bool)
            chosen[row] = True
            self._end(chosen, lambda _: status)
        self._touch()

    def is_on_air(self, transfer: Transfer) -> bool:
        """Return whether the transfer is admitted and has not ended."""
        return self.active.index(transfer) is not None

    def is_client_on_air(self, client_id: int) -> bool:
        """Return whether a client has a transfer that is admitted and has not ended."""
        return self.links.slot_of(client_id) is not None

    def serving_cell(self, client_id: int) -> int:
        """Return the cell that serves a client on the air; -1 for none."""
        slot = self.links.slot_of(client_id)
        return NO_CELL if slot is None else int(self.links.cell_id[slot])

    def flush(self) -> None:
        """Advance and book everything up to now, so that the ledger is complete."""
        self._advance()
        self._book(np.ones(len(self.active), dtype=bool))
        self._site_meter.flush(self._now_s)

    def channel_time_s(self, now_s: float) -> float:
        """Return the grid point whose channel holds now [s]."""
        return self._tracker.grid_time_s(now_s)

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
    def _measured_radiation(self) -> Float[np.ndarray, "cell group"]:
        """What clients measure of it: what each cell radiates whenever it may send."""
        return self.radiated

    @property
    def _wanted(self) -> Float[np.ndarray, "cell group"]:
        """What each cell radiates as long as its site has power."""
        busy_fraction = self._air.downlink_busy_fraction
        return (1.0 - busy_fraction) * np.minimum(self._load, 1.0) + busy_fraction

    def _client_noise_w(
        self, cross_gain: Float[np.ndarray, "transfer cell"]
    ) -> Float[np.ndarray, "transfer group"] | float:
        """Return noise and interference in one block at each receiver [W]."""
        air = self._air
        if not air.is_interfering:
            return air.ue_noise_w
        return air.ue_noise_w + air.downlink_interference_w(cross_gain, self.radiated)

    # Time ---------------------------------------------------------------------------------------

    def _advance(self) -> None:
        now_s = self._now_s
        elapsed_s = now_s - self._advanced_to_s
        if elapsed_s > 0:
            self.active.advance(elapsed_s, average_s=AVERAGE_S)
            self._site_meter.advance(now_s)
            self._advanced_to_s = now_s

    def _book(self, chosen: Bool[np.ndarray, " transfer"]) -> None:
        """Book what the clients of some transfers have spent up to now; not background users."""
        book_clients(
            self.active,
            chosen & (self.active.records["client_id"] < FIRST_BACKGROUND_USER),
            ledger=self._ledger,
            ue_power=self._ue_power,
            now_s=self._now_s,
        )

    def _call_last(self, call: Callable[[], None]) -> None:
        """Call a function at the end of this instant."""
        _EndOfInstant(self._env).callbacks.append(lambda _: call())

    # Ends ---------------------------------------------------------------------------------------

    def _end(self, chosen: Bool[np.ndarray, " transfer"], reason: Callable[[int], str]) -> None:
        """End some transfers; ``reason`` gives the status for a slot."""
        if not np.count_nonzero(chosen):  # several times as fast as ``any`` for few
            return
        now_s = self._now_s
        self._book(chosen)
        for transfer, record in self.active.remove(chosen):
            slot = int(record["slot"])
            cell_id = int(self.links.cell_id[slot])
            end = end_of(
                record,
                reason(slot),
                deadline_at_s=transfer.deadline_at_s,
                latency_s=self._backhaul_flow.latency_s(cell_id, at_s=now_s),
                core_latency_s=self._core_latency_s,
                slot_left_s=self._slot_left_s,
                now_s=now_s,
            )
            handovers = int(self.links.handovers[slot])
            row = make_row(
                record,
                end,
                participation_id=transfer.participation_id,
                cell_id=cell_id,
                handovers=handovers,
            )
            if self.links.release(slot):
                self._tracker.drop(slot)
            self._on_end(transfer, row, row.finished_at_s - now_s)

    def _end_complete(self, due_s: float) -> None:
        """End the transfers that have sent their last bit by an instant."""
        self._end(self.active.records["finish_at_s"] <= due_s, lambda _: "delivered")

    def _reason_undelivered(self, slot: int) -> str:
        """Return the status of a transfer that has reached its deadline."""
        cell_id = int(self.links.cell_id[slot])
        if cell_id != NO_CELL:
            has_route = self._backhaul_flow.has_route(cell_id, at_s=self._now_s)
            return "timeout" if has_route else "outage"
        best = strongest_cell(
            self._air.at_one_power(self.links.gain[[slot]]),
            is_alive=np.ones(self.links.gain.shape[1], dtype=bool),
            min_gain=self._association.min_gain,
        )
        return "link_failure" if best[0] == NO_CELL else "outage"

    def _meter_sites(
        self,
        rows: Int[np.ndarray, " transfer"],
        now_s: float,
        *,
        downlink_fraction: float | None = None,
    ) -> None:
        """Meter what sites radiate from now on, with the transfers that are served.

        ``downlink_fraction`` is the part of the time to the next metering in which cells may send;
        ``None`` is that of the duplex mode.
        """
        if not len(rows):
            # What the last transfer was sent with must not go on after it.
            self._load = np.zeros(self._load.shape)
        serving = self.links.cell_id[self.active.records["slot"][rows]]
        if downlink_fraction is None:
            downlink_fraction = self._air.downlink_fraction
        load = self._wanted * downlink_fraction
        self._site_meter.set_load(load, serving=serving, now_s=now_s)
