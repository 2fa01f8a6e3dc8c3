"""Bearers sorted by cell: what is found for all of them holds for a part too."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from netsim.mac.bearer_cells import BearerCells


def cells_of(sizes, client_id):
    return BearerCells.of(np.cumsum([0, *sizes[:-1]]), client_id=np.array(client_id))


def test_cells_and_places_by_hand():
    cells = cells_of([2, 1, 3], [4, 9, 7, 1, 2, 3])
    np.testing.assert_array_equal(cells.start, [0, 2, 3])
    np.testing.assert_array_equal(cells.cell, [0, 0, 1, 2, 2, 2])
    np.testing.assert_array_equal(cells.place(), [0, 1, 0, 0, 1, 2])


def test_clients_are_told_apart_only_where_one_has_several_bearers():
    assert cells_of([2, 1], [4, 9, 7]).client is None
    np.testing.assert_array_equal(cells_of([2, 1], [4, 9, 4]).client, [0, 1, 0])


def test_repeated_cells_are_those_of_other_clients():
    again = cells_of([2, 1], [4, 9, 4]).repeated(2)
    np.testing.assert_array_equal(again.start, [0, 2, 3, 5])
    np.testing.assert_array_equal(again.cell, [0, 0, 1, 2, 2, 3])
    groups = [set(np.flatnonzero(again.client == client)) for client in again.client]
    assert groups == [{0, 2}, {1}, {0, 2}, {3, 5}, {4}, {3, 5}]


@given(
    st.lists(st.integers(1, 4), min_size=1, max_size=6),
    st.integers(0, 5),
    st.integers(0, 5),
    st.integers(1, 20),
    st.integers(0, 2**32 - 1),
)
def test_a_part_is_what_is_found_for_it_alone(sizes, one, other, num_clients, seed):
    client_id = np.random.default_rng(seed).integers(num_clients, size=sum(sizes))
    first, last = sorted((one % len(sizes), other % len(sizes)))
    sizes_before, chosen = sizes[:first], sizes[first : last + 1]
    bearers = slice(sum(sizes_before), sum(sizes_before) + sum(chosen))
    part, alone = cells_of(sizes, client_id).part(bearers), cells_of(chosen, client_id[bearers])
    np.testing.assert_array_equal(part.start, alone.start)
    np.testing.assert_array_equal(part.cell, alone.cell)
    np.testing.assert_array_equal(part.place(), alone.place())
    if alone.client is None:
        assert part.client is None
    else:
        np.testing.assert_array_equal(part.client, alone.client)
