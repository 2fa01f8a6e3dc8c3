"""When the tracker measures, fades and looks: on a channel and cells that write down what is asked.

The tests of real channels are in ``test_link_tracker.py``.
"""

from types import SimpleNamespace

import numpy as np
import pytest

from netsim.channel.receive_antennas import DirectionGains
from netsim.rrc.link_tracker import LinkTracker
from netsim.rrc.links import Links

TICK_S = 0.25


class WrittenChannel:
    """Gains tell when they were measured, fading which instant, client and cell it is of.

    The fading of the downlink is twice that of the uplink.
    """

    def __init__(self, *, is_moving, is_fading):
        self.population = SimpleNamespace(is_moving=is_moving)
        self.is_fading = is_fading
        self.is_varying = is_moving or is_fading
        self.holds_until_s = 0.0
        self.measured, self.faded = [], []

    def gain(self, client_ids, *, at_s):
        self.measured.append((at_s, client_ids.tolist()))
        return np.full((len(client_ids), 2), 1.0 + at_s)

    def gain_holds_until_s(self, client_ids):
        del client_ids
        return self.holds_until_s

    def fading_over(self, client_ids, cell_ids, *, at_s):
        self.faded.append((at_s.tolist(), client_ids.tolist()))
        of_link = 10.0 * client_ids + 100.0 * cell_ids
        uplink = (at_s[:, None] + of_link)[:, :, None] * np.ones(3)
        return DirectionGains(uplink, 2.0 * uplink)


class WrittenCells:
    """Serves everybody by cell 0 and changes nobody's cell, unless told to."""

    def __init__(self, links):
        self._links = links
        self.calls, self.edges_s, self.change_s = [], [], np.inf
        self.is_quiet = False
        self.failing = np.zeros(0, dtype=np.intp)

    def connect(self, slots):
        self._links.serve(slots, np.zeros(len(slots), dtype=int))
        self.calls.append(("connect", slots.tolist()))

    def reconnect(self, slots):
        del slots
        return False

    def remember(self, slots):
        self.calls.append(("remember", slots.tolist()))

    def is_settled(self, slots):
        del slots
        return self.is_quiet

    def step(self, slots, *, at_s, radiated):
        del slots
        self.calls.append(("step", at_s, radiated))

    def watch(self, *, at_s, radiated):
        self.calls.append(("watch", at_s, radiated))

    may_fail = has_weak_links = True

    def fail_due(self, *, at_s):
        del at_s
        return self.failing

    def refresh_sites(self, slots, *, at_s):
        self.calls.append(("refresh", at_s))
        return slots[:0]

    def reselect(self, slots, *, at_s):
        self.calls.append(("reselect", at_s))
        return slots[:0]

    def next_edge_s(self, after_s):
        return min((edge_s for edge_s in self.edges_s if edge_s > after_s), default=np.inf)

    def next_change_s(self, after_s):
        del after_s
        return self.change_s


class Watched:
    """A tracker of clients 7, 8, ... and what it asks for."""

    def __init__(self, *, num_clients=1, is_moving=False, is_fading=False, num_instants=1):
        self.links = Links(num_cells=2, num_groups=3, num_instants=num_instants)
        self.channel = WrittenChannel(is_moving=is_moving, is_fading=is_fading)
        self.cells = WrittenCells(self.links)
        self.tracker = LinkTracker(
            self.links,
            channel=self.channel,
            association=self.cells,
            tick_s=TICK_S,
            radiated=lambda: "radiated",
        )
        self.slots = [self.add(7 + k) for k in range(num_clients)]

    def add(self, client_id):
        slot, _ = self.links.acquire(client_id)
        self.tracker.add(slot)
        return slot

    def named(self, name):
        return [call[1:] for call in self.cells.calls if call[0] == name]


def test_the_channel_holds_from_a_multiple_of_the_tick_to_the_next():
    seen = Watched(is_moving=True)
    times_s = [0.0, 0.2499, 0.25 * (1 - 1e-10), 0.25, 0.3, 0.5]
    grid_s = [seen.tracker.grid_time_s(at_s) for at_s in times_s]
    assert grid_s == [0.0, 0.0, 0.25, 0.25, 0.25, 0.5]
    assert seen.tracker.next_tick_s() == 0.25
    seen.tracker.follow(0.6)
    assert seen.tracker.next_tick_s() == 0.75
    still = Watched()
    assert (still.tracker.grid_time_s(0.6), still.tracker.next_tick_s()) == (0.0, np.inf)


@pytest.mark.parametrize(
    ("before_s", "first", "left_s"),
    [(1e-9, 0, 1e-9), (1e-10, 1, 0.0625), (0.0, 1, 0.0625), (-0.01, 1, 0.0525)],
)
def test_a_billionth_of_a_tick_before_an_instant_is_at_it(before_s, first, left_s):
    """Of 0.25 s: what is short by more than 0.25 ns is before it."""
    seen = Watched(is_fading=True, num_instants=4)
    found, duration_s = seen.tracker.instants(0.0625 - before_s)
    assert (found, len(duration_s)) == (first, 4 - first)
    assert duration_s[0] == pytest.approx(left_s, rel=1e-6, abs=1e-9 * (first > 0))
    assert seen.tracker.instants(0.25)[0] == 3  # of the tick that has not been followed yet


def test_new_clients_are_measured_at_once_where_the_channel_stands():
    seen = Watched(num_clients=2, is_moving=True)
    seen.tracker.wake_up(0.6)
    assert seen.channel.measured == []
    seen.tracker.connect_new()
    seen.tracker.connect_new()
    assert seen.channel.measured == [(0.5, [7, 8])]
    assert seen.named("connect") == [(seen.slots,)]
    assert seen.links.serving_gain(np.array(seen.slots)).tolist() == [1.5, 1.5]


def test_who_leaves_before_it_is_measured_is_forgotten():
    seen = Watched(num_clients=2)
    seen.tracker.drop(seen.slots[0])
    seen.tracker.connect_new()
    assert seen.named("connect") == seen.named("remember") == [([seen.slots[1]],)]
    seen.tracker.drop(seen.slots[1])  # measured already: nothing to forget
    seen.tracker.connect_new()
    assert len(seen.named("connect")) == 1


def test_gains_that_hold_are_not_measured_again():
    seen = Watched(is_moving=True)
    seen.channel.holds_until_s = 0.75
    for at_s in (0.0, 0.1, 0.25, 0.3, 0.5, 0.75, 1.0):
        seen.tracker.follow(at_s)
    # Ticks 1 and 2 repeat; the gains hold to just before tick 3, and no longer.
    assert [at_s for at_s, _ in seen.channel.measured] == [0.0, 0.75, 1.0]
    assert seen.named("step") == [(at_s, "radiated") for at_s in (0.25, 0.5, 0.75, 1.0)]


def test_gains_hold_as_long_as_those_of_the_client_whose_end_first():
    seen = Watched(is_moving=True)
    seen.channel.holds_until_s = 0.5
    seen.tracker.follow(0.0)
    seen.channel.holds_until_s = 9.0
    seen.add(8)
    seen.tracker.follow(0.25)
    seen.tracker.follow(0.5)
    assert seen.channel.measured == [(0.0, [7]), (0.25, [8]), (0.5, [7, 8])]


@pytest.mark.parametrize(("is_quiet", "steps_s"), [(True, [0.5]), (False, [0.25, 0.5])])
def test_a_repeated_measurement_counts_where_it_can_change_something(is_quiet, steps_s):
    seen = Watched(is_moving=True)
    seen.channel.holds_until_s, seen.cells.is_quiet = 0.5, is_quiet
    for at_s in (0.0, 0.25, 0.5):
        seen.tracker.follow(at_s)
    assert [at_s for at_s, _ in seen.named("step")] == steps_s


def test_clients_that_stand_still_listen_once_a_tick_where_it_fades():
    seen = Watched(is_fading=True)
    for at_s in (0.0, 0.1, 0.25, 0.3, 0.8):
        seen.tracker.follow(at_s)
    assert [at_s for at_s, _ in seen.named("watch")] == [0.25, 0.8]
    assert seen.named("step") == []
    assert len(seen.channel.measured) == 1
    seen.tracker.notice_interference(0.9)
    assert len(seen.named("watch")) == 2


def test_where_nothing_varies_they_listen_when_something_is_sent():
    seen = Watched()
    for at_s in (0.0, 0.25, 0.8):
        seen.tracker.follow(at_s)
    assert seen.named("watch") == []
    seen.tracker.notice_interference(0.9)
    assert seen.named("watch") == [(0.9, "radiated")]


@pytest.mark.parametrize("is_moving", [False, True])
def test_sites_are_looked_at_when_one_fails_or_is_back(is_moving):
    seen = Watched(is_moving=is_moving)
    seen.cells.edges_s = [0.4, 0.6]
    for at_s in (0.0, 0.3, 0.4, 0.5, 0.61, 0.7):
        seen.tracker.follow(at_s)
    assert seen.named("refresh") == [(0.0,), (0.4,), (0.61,)]
    # Who moves measures at ticks anyway.
    assert seen.named("reselect") == ([] if is_moving else [(0.0,), (0.4,), (0.61,)])


def test_the_next_change_is_the_first_of_tick_and_cells():
    seen = Watched(is_moving=True)
    seen.tracker.follow(0.0)
    seen.cells.change_s = 0.2
    assert seen.tracker.next_change_s(0.1) == 0.2
    seen.cells.change_s = 0.3
    assert seen.tracker.next_change_s(0.1) == 0.25


@pytest.mark.parametrize(
    ("num_clients", "num_instants", "stretches"),
    [
        (1, 1, [200]),
        (1, 4, [50, 100]),
        (3, 1, [66, 132]),
        (3, 4, [16, 32, 64, 128]),
        (300, 1, [1, 2, 4] + 23 * [5]),
        (300, 4, 120 * [1]),
    ],
)
def test_fading_is_that_of_every_instant_from_stretches_computed_at_once(
    num_clients, num_instants, stretches
):
    """At first of 200 links and instants, then of twice as many ticks each, up to 1600."""
    seen = Watched(num_clients=num_clients, is_fading=True, num_instants=num_instants)
    seen.tracker.follow(0.0)
    seen.channel.faded.clear()
    slots, num_ticks = np.array(seen.slots), 120
    for tick in range(1, num_ticks + 1):
        seen.tracker.follow(tick * TICK_S)
        at_s = (tick + np.arange(num_instants) / num_instants) * TICK_S
        expected = at_s + 10.0 * seen.links.client_id[slots, None]
        for group in range(3):
            links = seen.links
            np.testing.assert_allclose(links.uplink_fading[slots, :, group], expected, rtol=1e-12)
            found = links.downlink_fading[slots, :, group]
            np.testing.assert_allclose(found, 2.0 * expected, rtol=1e-12)
    computed = [len(at_s) for at_s, _ in seen.channel.faded]
    assert computed == [ticks * num_instants for ticks in stretches]


def test_fading_follows_a_change_of_clients_or_cells_at_once():
    seen = Watched(num_clients=2, is_fading=True)
    seen.tracker.follow(0.0)
    seen.tracker.follow(0.25)
    slots = np.array(seen.slots)
    assert seen.links.uplink_fading[slots, 0, 0].tolist() == [70.25, 80.25]
    seen.links.serve(slots[:1], np.array([1]))
    seen.tracker.follow(0.5)
    assert seen.links.uplink_fading[slots, 0, 0].tolist() == [170.5, 80.5]
    seen.add(9)
    seen.tracker.follow(0.75)
    assert seen.links.uplink_fading[seen.links.slots, 0, 0].tolist() == [170.75, 80.75, 90.75]


def test_a_link_that_fails_between_ticks_fades_as_its_new_cell():
    seen = Watched(num_clients=2, is_fading=True)
    seen.tracker.follow(0.25)
    slots = np.array(seen.slots)
    seen.links.serve(slots[1:], np.array([1]))
    seen.cells.failing = slots[1:]
    seen.tracker.follow(0.3)
    assert seen.links.uplink_fading[slots, 0, 0].tolist() == [70.25, 180.25]
