"""Slots of connected clients, and the gains to the serving cell and to the others."""

import numpy as np

from netsim.rrc.links import INITIAL_CAPACITY, Links
from netsim.world.layout import NO_CELL


def make_links():
    return Links(num_cells=3, num_groups=2, num_instants=4)


def test_a_client_has_one_slot_for_all_its_transfers():
    links = make_links()
    slot, is_new = links.acquire(9)
    assert is_new
    assert links.acquire(9) == (slot, False)
    assert links.acquire(9) == (slot, False)
    assert (len(links), links.slot_of(9), links.slot_of(8)) == (1, slot, None)
    assert links.client_id[slot] == 9
    assert [links.release(slot) for _ in range(3)] == [False, False, True]
    assert (len(links), links.slot_of(9), links.client_id[slot]) == (0, None, -1)


def test_slots_are_listed_in_the_order_of_connection_and_reused_as_new():
    links = make_links()
    slots = [links.acquire(client)[0] for client in (5, 2, 7)]
    assert links.slots.tolist() == slots
    assert len(set(slots)) == 3
    links.handovers[slots[1]], links.resume_at_s[slots[1]] = 4, 3.0
    links.set_gain(np.array(slots), np.ones((3, 3)))
    links.serve(np.array(slots), np.array([0, 1, 2]))
    links.release(slots[1])
    assert links.slots.tolist() == [slots[0], slots[2]]
    again, is_new = links.acquire(1)
    assert (again, is_new) == (slots[1], True)
    assert links.slots.tolist() == [slots[0], slots[2], again]
    assert (links.handovers[again], links.resume_at_s[again]) == (0, 0.0)
    assert links.cell_id[again] == NO_CELL
    assert links.serving_gain(np.array([again])).tolist() == [0.0]
    assert (links.uplink_fading[again] == 1.0).all()
    assert (links.downlink_fading[again] == 1.0).all()


def test_more_clients_than_the_first_slots():
    links = make_links()
    num = 2 * INITIAL_CAPACITY + 1
    slots = [links.acquire(client)[0] for client in range(num)]
    assert sorted(slots) == list(range(num))
    assert links.num_slots == 4 * INITIAL_CAPACITY  # twice as many each time
    assert [links.slot_of(client) for client in range(num)] == slots
    assert links.client_id[slots].tolist() == list(range(num))


def test_the_gain_to_the_serving_cell_is_not_among_the_others():
    links = make_links()
    slots = np.array([links.acquire(client)[0] for client in range(3)])
    links.serve(slots, np.array([2, NO_CELL, 0]))
    links.set_gain(slots, np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]))
    assert links.serving_gain(slots).tolist() == [3.0, 0.0, 7.0]
    assert links.cross_gain[slots].tolist() == [[1, 2, 0], [4, 5, 6], [0, 8, 9]]
    links.serve(slots[:2], np.array([1, 0]))
    assert links.serving_gain(slots).tolist() == [2.0, 4.0, 7.0]
    assert links.cross_gain[slots].tolist() == [[1, 0, 3], [0, 5, 6], [0, 8, 9]]
    assert links.gain[slots].tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


def test_who_has_a_cell_and_no_pause_is_served():
    links = make_links()
    slots = np.array([links.acquire(client)[0] for client in range(4)])
    links.serve(slots, np.array([0, NO_CELL, 1, 2]))
    links.resume_at_s[slots] = [1.0, 0.0, 2.0, np.nextafter(1.0, 2.0)]
    assert links.is_served(slots, now_s=1.0).tolist() == [True, False, False, False]
    assert links.is_served(slots, now_s=2.0).tolist() == [True, False, True, True]


def test_who_changes_its_cell_is_told_once_and_who_has_just_connected_as_well():
    links = make_links()
    told = []
    links.on_change = lambda clients, cells: told.append((clients.tolist(), cells.tolist()))
    slots = np.array([links.acquire(client)[0] for client in (5, 6, 7)])
    links.serve(slots, np.array([0, NO_CELL, 2]))
    assert told.pop() == ([5, 6, 7], [0, NO_CELL, 2])  # 6 as well: it knows now that it has none
    links.serve(slots, np.array([0, 1, 1]))
    assert told.pop() == ([6, 7], [1, 1])
    links.serve(slots[:1], np.array([NO_CELL]))
    assert told.pop() == ([5], [NO_CELL])
    links.serve(slots, np.array([NO_CELL, 1, 1]))
    assert told == []
