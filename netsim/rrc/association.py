"""Which cell serves a client: the strongest at first, then handover and radio-link failure."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float, Int

from netsim.config.radio import A3Handover, Handover, LinkFailureConfig
from netsim.phy.effective_sinr import mean_over_groups
from netsim.phy_abstraction.air_interface import AirInterface
from netsim.rrc.handover import NO_TARGET, A3Monitor
from netsim.rrc.link_failure import FADE_MARGIN_DB, FadeMean, LinkMonitor
from netsim.rrc.links import Links
from netsim.rrc.outages import Outages
from netsim.rrc.standing_link import MOST_KNOWN, StandingLink
from netsim.slot_arrays import SlotArrays
from netsim.units import db_to_linear, linear_to_db, w_to_dbm
from netsim.world.layout import NO_CELL


def strongest_cell(
    gain: Float[np.ndarray, "client cell"],
    *,
    is_alive: Bool[np.ndarray, " cell"],
    min_gain: float,
) -> Int[np.ndarray, " client"]:
    """Return the cell with the largest gain among those alive; -1 where it is below ``min_gain``.

    Gains are those of ``AirInterface.at_one_power``. Among equal gains it is
    the one with the lowest id.
    """
    usable = gain if is_alive.all() else np.where(is_alive, gain, 0.0)
    best = usable.argmax(axis=1)
    reached = usable[np.arange(len(best)), best] >= min_gain
    return np.where(reached, best, NO_CELL)


class _Coverage(SlotArrays):
    """What is remembered of each connected client's coverage."""

    may_fail: Bool[np.ndarray, " slot"]
    """Whether the link is out of sync if all other cells transmit, in a deep fade."""
    has_had_cell: Bool[np.ndarray, " slot"]

    def __init__(self) -> None:
        super().__init__(may_fail=False, has_had_cell=False)


class Association:
    """Serving cells of connected clients: first attachment, handover, failure, recovery.

    Parameters
    ----------
    links
        State of connected clients; serving cells, interruptions and counts are changed here.
    handover, link_failure
        Settings.
    outages
        When sites are out of service.
    air
        Power and noise of the band.
    is_fading
        Whether the links' fading follows the channel.
    """

    def __init__(
        self,
        links: Links,
        *,
        handover: Handover,
        link_failure: LinkFailureConfig,
        outages: Outages,
        air: AirInterface,
        is_fading: bool,
    ) -> None:
        self._links = links
        # In a single cell there is no target of a handover.
        num_cells = links.gain.shape[1]
        self._a3: A3Monitor | None = None
        if isinstance(handover, A3Handover) and num_cells > 1:
            self._a3 = A3Monitor(handover, num_cells=num_cells)
        self._link_failure = link_failure
        self._outages = outages
        self._air = air
        self.min_gain = edge_gain(link_failure, air)
        """Coupling gain at the edge of coverage of a cell without power of its own."""
        self._is_alive = outages.is_alive(0.0)
        self._sync = LinkMonitor(link_failure)
        self._fade = FadeMean() if is_fading else None
        self._coverage = _Coverage()
        self._looks_s: list[float] = []
        self._standing: dict[int, StandingLink] = {}

    @property
    def is_alive(self) -> Bool[np.ndarray, " cell"]:
        """Which cells are in service."""
        return self._is_alive

    @property
    def may_fail(self) -> bool:
        """Whether some link-failure timer may run."""
        return self._sync.may_run

    @property
    def has_weak_links(self) -> bool:
        """Whether some client may fall out of sync while it stands still."""
        return bool(np.count_nonzero(self._coverage.may_fail))

    def is_settled(self, slots: Int[np.ndarray, " connected"]) -> bool:
        """Whether a measurement equal to the last one cannot change anything.

        That is so in a single cell, without neighbours and interference, while everybody is served,
        in sync, and with so high a SINR that no fade puts the link out of sync.
        """
        return (
            self._links.gain.shape[1] == 1
            and not self._sync.may_run
            and not np.count_nonzero(self._links.cell_id[slots] == NO_CELL)
            and not np.count_nonzero(self._coverage.may_fail[slots])
        )

    def connect(self, slots: Int[np.ndarray, " new"]) -> None:
        """Serve newly connected clients by their strongest cells, at no cost in time."""
        self._coverage.renew(slots)
        self._attach(slots)

    def remember(self, slots: Int[np.ndarray, " new"]) -> None:
        """Keep the links of clients that stand still, just connected, for :meth:`reconnect`."""
        if len(self._standing) + len(slots) > MOST_KNOWN:
            self._standing.clear()
        for slot in slots.tolist():
            self._standing[int(self._links.client_id[slot])] = self._links.standing(
                slot, may_fail=bool(self._coverage.may_fail[slot])
            )

    def standing_link(self, client_id: int) -> StandingLink | None:
        """Return the link of a client that stands still; ``None`` where it is not known."""
        return self._standing.get(client_id)

    def reconnect(self, slots: Sequence[int]) -> bool:
        """Serve clients that stand still as at their last connection; tell if all are known.

        If not, nothing is done. Links are known until a site fails or is repaired.
        """
        found = [self._standing.get(int(self._links.client_id[slot])) for slot in slots]
        known = [link for link in found if link is not None]
        if len(known) < len(slots):
            return False
        for slot, link in zip(slots, known, strict=True):
            self._coverage.renew(slot)
            self._sync.start(slot)
            self._links.restore(slot, link)
            self._coverage.may_fail[slot] = link.may_fail
            self._coverage.has_had_cell[slot] = link.cell_id != NO_CELL
            if self._a3 is not None:
                self._a3.start(slot)
        return True

    def step(
        self,
        slots: Int[np.ndarray, " connected"],
        *,
        at_s: float,
        radiated: Float[np.ndarray, "cell group"],
    ) -> Int[np.ndarray, " changed"]:
        """Take a measurement of clients that may move; return those whose cell has changed.

        Parameters
        ----------
        slots
            All that are connected.
        at_s
            Simulated time.
        radiated
            Share of its power that each cell radiates in each group.
        """
        before = self._links.cell_id[slots].copy()
        self._recover(slots[before == NO_CELL], at_s=at_s)
        served = slots[self._links.is_served(slots, now_s=at_s)]
        self._assess(served)
        self._observe(served, at_s=at_s, radiated=radiated)
        has_failed = self._sync.expire(served, at_s=at_s)
        self._recover(served[has_failed], at_s=at_s)
        self._hand_over(served[~has_failed], at_s=at_s)
        return slots[self._links.cell_id[slots] != before]

    def watch(self, *, at_s: float, radiated: Float[np.ndarray, "cell group"]) -> None:
        """Start and stop link-failure timers of clients that stand still.

        Their own gains do not change, interference and fading may. Clients that stay in sync
        whatever other cells transmit are left out: see :attr:`has_weak_links`.

        Parameters
        ----------
        at_s
            Simulated time.
        radiated
            Share of its power that each cell radiates in each group, from now on.
        """
        slots = self._links.slots
        slots = slots[self._coverage.may_fail[slots]]
        served = slots[self._links.is_served(slots, now_s=at_s)]
        self._observe(served, at_s=at_s, radiated=radiated)

    def fail_due(self, *, at_s: float) -> Int[np.ndarray, " changed"]:
        """Fail the links whose timers have expired; return those whose cell has changed."""
        slots = self._running()
        slots = slots[self._sync.expire(slots, at_s=at_s)]
        before = self._links.cell_id[slots]
        self._recover(slots, at_s=at_s)
        return slots[self._links.cell_id[slots] != before]

    def refresh_sites(
        self, slots: Int[np.ndarray, " connected"], *, at_s: float
    ) -> Int[np.ndarray, " changed"]:
        """Move clients of cells that are out of service; return those whose cell has changed.

        An outage is noticed at once; joining another cell takes the recovery time.
        """
        is_alive = self._outages.is_alive(at_s)
        if is_alive.tobytes() == self._is_alive.tobytes():
            return slots[:0]
        self._is_alive = is_alive
        self._standing.clear()
        cell = self._links.cell_id[slots]
        stranded = (cell == NO_CELL) | ~is_alive[np.maximum(cell, 0)]
        self._recover(slots[stranded], at_s=at_s)
        return slots[self._links.cell_id[slots] != cell]

    def reselect(
        self, slots: Int[np.ndarray, " connected"], *, at_s: float
    ) -> Int[np.ndarray, " changed"]:
        """Reselect cells for clients that stand still; return those whose cell has changed.

        They take no measurements at ticks, as their gains do not change. What can change is which
        cells are in service, so event A3 runs when that changes, and again when the time to trigger
        has passed.

        Parameters
        ----------
        slots
            All that are connected.
        at_s
            Simulated time.
        """
        self._looks_s = [look_s for look_s in self._looks_s if look_s > at_s]
        if self._a3 is None:
            return slots[:0]
        handover = self._a3.config
        before = self._links.cell_id[slots].copy()
        beaten = slots[self._is_beaten(slots, handover)]
        if len(beaten):
            is_served = self._links.is_served(beaten, now_s=at_s)
            self._hand_over(beaten[is_served], at_s=at_s)
            left = beaten[self._is_beaten(beaten, handover)]
            # A client that is still joining a cell measures when that is done.
            look_s = np.maximum(at_s + handover.time_to_trigger_s, self._links.resume_at_s[left])
            self._looks_s = sorted({*self._looks_s, *look_s.tolist()})
        return slots[self._links.cell_id[slots] != before]

    def next_edge_s(self, after_s: float) -> float:
        """Return when to look next: a site fails or is back, or a handover is due; else inf."""
        looks_s = (look_s for look_s in self._looks_s if look_s > after_s)
        return min(self._outages.next_edge_s(after_s), next(looks_s, np.inf))

    def next_change_s(self, after_s: float) -> float:
        """Return when the next site failure, repair, handover or link failure is due; else inf."""
        edge_s = self.next_edge_s(after_s)
        if not self._sync.may_run:
            return edge_s
        return min(edge_s, float(self._sync.expires_at_s(self._running()).min(initial=np.inf)))

    def _running(self) -> Int[np.ndarray, " some"]:
        """Return the connected clients whose link-failure timers run."""
        slots = self._sync.running()
        is_connected = self._links.client_id[slots] >= 0
        self._sync.start(slots[~is_connected])
        return slots[is_connected]

    def _attach(self, slots: Int[np.ndarray, " some"]) -> None:
        cell_id = strongest_cell(
            self._air.at_one_power(self._links.gain[slots]),
            is_alive=self._is_alive,
            min_gain=self.min_gain,
        )
        self._coverage.has_had_cell[slots] |= cell_id != NO_CELL
        self._serve(slots, cell_id)
        if self._a3 is not None:
            self._a3.start(slots)

    def _serve(self, slots: Int[np.ndarray, " some"], cell_id: Int[np.ndarray, " some"]) -> None:
        self._links.serve(slots, cell_id)
        self._sync.start(slots)
        if self._fade is not None:
            self._fade.start(slots)
        self._assess(slots)

    def _recover(self, slots: Int[np.ndarray, " some"], *, at_s: float) -> None:
        """Join the strongest cell after a loss; a first connection costs no time."""
        if not len(slots):
            return
        is_back = self._coverage.has_had_cell[slots]
        self._attach(slots)
        slots = slots[is_back]
        found = slots[self._links.cell_id[slots] != NO_CELL]
        self._links.resume_at_s[found] = at_s + self._link_failure.recovery_s
        self._links.handovers[found] += 1

    def _assess(self, slots: Int[np.ndarray, " some"]) -> None:
        """Find out whose link may fail: out of sync if all others transmit, in a deep fade."""
        signal_w = self._signal_w(slots)
        disturbed_w = self._air.ue_noise_w
        if self._air.is_interfering:
            others = self._air.at_one_power(self._links.cross_gain[slots])
            disturbed_w += self._air.site_block_w * others.sum(axis=1)
        margin_db = FADE_MARGIN_DB if self._fade is not None else 0.0
        least = db_to_linear(self._link_failure.out_of_sync_db + margin_db)
        self._coverage.may_fail[slots] = signal_w < least * disturbed_w

    def _observe(
        self,
        slots: Int[np.ndarray, " served"],
        *,
        at_s: float,
        radiated: Float[np.ndarray, "cell group"],
    ) -> None:
        """Update the link-failure timers with the SINR of clients that are served."""
        if not len(slots):
            return
        signal_w = self._signal_w(slots)
        if self._fade is not None:
            fade = mean_over_groups(self._links.downlink_fading[slots, 0])
            signal_w = signal_w * self._fade.step(slots, fade, at_s=at_s)
        disturbed_w = self._air.ue_noise_w + mean_over_groups(
            self._air.downlink_interference_w(self._links.cross_gain[slots], radiated)
        )
        self._sync.observe(slots, linear_to_db(signal_w / disturbed_w), at_s=at_s)

    def _signal_w(self, slots: Int[np.ndarray, " some"]) -> Float[np.ndarray, " some"]:
        """Return the mean power received from the serving cell in one block [W]."""
        # nothing is received out of coverage
        cell_w = self._air.cell_block_w[self._links.cell_id[slots]]
        return cell_w * self._links.serving_gain(slots)

    def _power_dbm(self, slots: Int[np.ndarray, " some"]) -> Float[np.ndarray, "some cell"]:
        usable = np.where(self._is_alive, self._links.gain[slots], 0.0)
        return w_to_dbm(self._air.cell_block_w * usable)

    def _is_beaten(
        self, slots: Int[np.ndarray, " some"], handover: A3Handover
    ) -> Bool[np.ndarray, " some"]:
        """Return whose strongest cell in service meets the entering condition of event A3."""
        power_dbm = self._power_dbm(slots)
        cell_id = self._links.cell_id[slots]
        served_dbm = power_dbm[np.arange(len(slots)), np.maximum(cell_id, 0)]
        best_dbm = power_dbm.max(axis=1)
        enters = best_dbm > served_dbm + handover.offset_db + handover.hysteresis_db
        return (cell_id != NO_CELL) & (best_dbm > served_dbm) & enters

    def _hand_over(self, slots: Int[np.ndarray, " served"], *, at_s: float) -> None:
        """Run event A3 of clients that are served."""
        if self._a3 is None or not len(slots):
            return
        target = self._a3.step(
            slots,
            self._power_dbm(slots),
            serving_cell=self._links.cell_id[slots],
            at_s=at_s,
        )
        moves = target != NO_TARGET
        self._serve(slots[moves], target[moves])
        self._links.resume_at_s[slots[moves]] = at_s + self._a3.config.interruption_s
        self._links.handovers[slots[moves]] += 1


def edge_gain(link_failure: LinkFailureConfig, air: AirInterface) -> float:
    """Return the coupling gain at which the downlink without interference is just out of sync.

    That of a cell without power of its own.
    """
    return db_to_linear(link_failure.out_of_sync_db) * air.ue_noise_w / air.site_block_w
