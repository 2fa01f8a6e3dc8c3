"""Update of the links of connected clients: gains and fading at every tick, serving cells.

The large-scale gain is renewed on a fixed grid of multiples of the tick, so it does not depend on
what others send. Fading may change faster, so schedulers that follow it get it at several instants
of each tick.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int

from netsim.channel.channel import Channel
from netsim.channel.receive_antennas import DirectionGains
from netsim.rrc.association import Association
from netsim.rrc.links import Links

TICK_SLACK = 1e-9
"""A time less than this share of a tick before a grid point counts as on it."""

STRETCH_LINKS = 200
"""Links times instants whose fading is computed in one call; many small calls cost more."""

LONGEST_STRETCH_LINKS = 1600
"""The same at most, while the same links go on: each call is for twice as many ticks as the one
before."""

LEAST_S = 1e-12
"""Least time left to an instant [s]."""

Stretch = list[DirectionGains]
"""Fading of some ticks, one after another; axes are link, instant and group."""


class LinkTracker:
    """Updates gains, fading and serving cells of connected clients as time passes.

    Parameters
    ----------
    links
        State of connected clients; changed here.
    channel
        Gains and fading.
    association
        Decides who is served by which cell.
    tick_s
        Distance of channel ticks [s].
    radiated
        Returns the share of its power that each cell radiates in each group, as clients measure it.
    """

    def __init__(
        self,
        links: Links,
        *,
        channel: Channel,
        association: Association,
        tick_s: float,
        radiated: Callable[[], Float[np.ndarray, "cell group"]],
    ) -> None:
        self._links = links
        self._channel = channel
        self._association = association
        self._tick_s = tick_s
        self._radiated = radiated
        self.tick = 0
        """Number of the grid point whose channel holds."""
        self._new_slots: list[int] = []
        self._edge_s = -np.inf
        self._gain_holds_until_s = np.inf
        self._num_instants = links.uplink_fading.shape[1]
        self._instant_ends = (np.arange(1, self._num_instants + 1) / self._num_instants).tolist()
        self.stretch: Stretch = []
        """Fading of all that are connected, from some tick on; a new object when it is renewed."""
        self._stretch_from = 0
        self._stretch_of = b""

    # Who is connected ---------------------------------------------------------------------------

    def add(self, slot: int) -> None:
        """Add a client that has just connected; its link is measured when it is needed."""
        self._new_slots.append(slot)

    def drop(self, slot: int) -> None:
        """Remove a client that has left, if its link was not measured yet."""
        if slot in self._new_slots:
            self._new_slots.remove(slot)

    def connect_new(self) -> None:
        """Measure the links of clients that have just connected, and assign their cells."""
        if not self._new_slots:
            return
        new, self._new_slots = self._new_slots, []
        is_standing = not self._channel.is_varying
        if is_standing and self._association.reconnect(new):
            return
        slots = np.array(new, dtype=np.intp)
        self._gain_holds_until_s = min(self._gain_holds_until_s, self._measure(slots))
        self._association.connect(slots)
        if is_standing:
            self._association.remember(slots)
        self._fade(slots)

    # Time ---------------------------------------------------------------------------------------

    def grid_time_s(self, now_s: float) -> float:
        """Return the grid point whose channel holds now [s]; 0 where nothing varies."""
        return self._tick_at(now_s) * self._tick_s if self._channel.is_varying else 0.0

    def next_grid_point_s(self, now_s: float) -> float:
        """Return the first grid point after a time [s], whether or not the channel varies."""
        return (self._tick_at(now_s) + 1) * self._tick_s

    def next_tick_s(self) -> float:
        """Return when the channel changes next [s]; inf where it never does."""
        return (self.tick + 1) * self._tick_s if self._channel.is_varying else np.inf

    def instants(self, now_s: float) -> tuple[int, Float[np.ndarray, " instant"]]:
        """Return the instant of the tick that holds now, and the time left to it and later ones.

        The times are in seconds, > 0; one of inf where the channel never changes.
        """
        if self._num_instants == 1:
            return 0, np.array([max(self.next_tick_s() - now_s, LEAST_S)])
        # Lists, as arrays of so few numbers take several times as long.
        ends_s = [(self.tick + end) * self._tick_s for end in self._instant_ends]
        first = min(bisect_right(ends_s, now_s + TICK_SLACK * self._tick_s), self._num_instants - 1)
        starts_s = [now_s, *ends_s[first:-1]]
        left_s = [end_s - start_s for start_s, end_s in zip(starts_s, ends_s[first:], strict=True)]
        return first, np.maximum(left_s, LEAST_S)

    def next_change_s(self, now_s: float) -> float:
        """Return when to follow next [s]: tick, site failure or repair, handover, link failure."""
        return min(self.next_tick_s(), self._association.next_change_s(now_s))

    def wake_up(self, now_s: float) -> None:
        """Resume after a time without connected clients."""
        self.tick = self._tick_at(now_s)
        if now_s >= self._edge_s:
            self._refresh_sites(now_s)

    def follow(self, now_s: float) -> None:
        """Handle site failures and repairs, channel ticks and link failures that are due."""
        tick = self._tick_at(now_s)
        is_tick = self._channel.is_varying and tick > self.tick
        self.tick = max(self.tick, tick)
        # Who has come at this same instant must not count as having lost a cell.
        self.connect_new()
        if now_s >= self._edge_s:
            self._refresh_sites(now_s)
        if is_tick:
            self._on_tick(now_s)
        if self._association.may_fail:
            self._fade(self._association.fail_due(at_s=now_s))

    def notice_interference(self, now_s: float) -> None:
        """Let clients measure the present interference, where there are no channel ticks."""
        if not self._channel.is_varying:
            self._watch(now_s)

    def _tick_at(self, now_s: float) -> int:
        return math.floor(now_s / self._tick_s + TICK_SLACK)

    def _refresh_sites(self, now_s: float) -> None:
        """Handle failed and repaired sites, and the handovers that follow."""
        self._fade(self._association.refresh_sites(self._links.slots, at_s=now_s))
        if not self._channel.population.is_moving:
            self._fade(self._association.reselect(self._links.slots, at_s=now_s))
        self._edge_s = self._association.next_edge_s(now_s)

    def _on_tick(self, now_s: float) -> None:
        slots = self._links.slots
        if self._channel.population.is_moving:
            repeats = self.tick * self._tick_s < self._gain_holds_until_s
            if not repeats:
                self._gain_holds_until_s = self._measure(slots)
            if not (repeats and self._association.is_settled(slots)):
                self._association.step(slots, at_s=now_s, radiated=self._radiated())
        else:
            self._watch(now_s)
        self._fade_all(slots)

    def _watch(self, now_s: float) -> None:
        if self._association.has_weak_links:
            self._association.watch(at_s=now_s, radiated=self._radiated())

    # The channel --------------------------------------------------------------------------------

    def _measure(self, slots: Int[np.ndarray, " some"]) -> float:
        """Renew the gains of clients; return until when they hold [s]."""
        client_id = self._links.client_id[slots]
        gain = self._channel.gain(client_id, at_s=self.tick * self._tick_s)
        self._links.set_gain(slots, gain)
        return self._channel.gain_holds_until_s(client_id)

    def _fade(self, slots: Int[np.ndarray, " some"]) -> None:
        if not self._channel.is_fading or not len(slots):
            return
        self._set_fading(slots, self._fading_from(slots, num_ticks=1)[0])

    def _fade_all(self, slots: Int[np.ndarray, " connected"]) -> None:
        """Renew the fading of everybody, from a stretch of ticks computed at once."""
        if not self._channel.is_fading or not len(slots):
            return
        whose = self._whose(slots)
        is_other = whose != self._stretch_of
        if is_other or self.tick >= self._stretch_from + len(self.stretch):
            links = len(slots) * self._num_instants
            num_ticks = max(1, STRETCH_LINKS // links)
            if not is_other:
                longer = min(2 * len(self.stretch), LONGEST_STRETCH_LINKS // links)
                num_ticks = max(num_ticks, longer)
            self._stretch_of, self._stretch_from = whose, self.tick
            self.stretch = self._fading_from(slots, num_ticks=num_ticks)
        self._set_fading(slots, self.stretch[self.tick - self._stretch_from])

    def _whose(self, slots: Int[np.ndarray, " connected"]) -> bytes:
        """Name the links of clients."""
        return self._links.client_id[slots].tobytes() + self._links.cell_id[slots].tobytes()

    def fading_ahead(
        self, slots: Int[np.ndarray, " some"], *, is_uplink: bool, most_ticks: int
    ) -> Float[np.ndarray, "some instant group"] | None:
        """Return the fading of some links at the instants of this tick and of those that follow.

        Of as many as it is known for, while no gain changes; ``None`` where it is not known ahead.
        """
        connected, place = self._links.slots, self.tick - self._stretch_from
        ahead = self.stretch[place : place + most_ticks]
        if self.tick < self._stretch_from or self._whose(connected) != self._stretch_of:
            return None
        if self._channel.population.is_moving:
            at_s = [(self.tick + count) * self._tick_s for count in range(len(ahead))]
            ahead = ahead[: bisect_left(at_s, self._gain_holds_until_s)]
        if len(ahead) < 2:
            return None
        order = np.empty(self._links.num_slots, dtype=np.intp)
        order[connected] = np.arange(len(connected))
        of_all = [each.uplink if is_uplink else each.downlink for each in ahead]
        return np.concatenate([each.take(order[slots], axis=0) for each in of_all], axis=1)

    def _set_fading(self, slots: Int[np.ndarray, " some"], gains: DirectionGains) -> None:
        self._links.uplink_fading[slots] = gains.uplink
        self._links.downlink_fading[slots] = gains.downlink

    def _fading_from(self, slots: Int[np.ndarray, " some"], *, num_ticks: int) -> Stretch:
        """Return the fading of the ticks from this one on; axes are link, instant and group."""
        step = np.arange(num_ticks * self._num_instants) / self._num_instants
        fading = self._channel.fading_over(
            self._links.client_id[slots],
            self._links.cell_id[slots],
            at_s=(self.tick + step) * self._tick_s,
        )
        by_tick = [
            np.moveaxis(gain.reshape(num_ticks, self._num_instants, *gain.shape[1:]), 1, 2)
            for gain in fading
        ]
        return [DirectionGains(*gains) for gains in zip(*by_tick, strict=True)]
