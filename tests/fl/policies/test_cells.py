"""Clients by cell: each once, in order."""

import numpy as np

from fl.policies.cells import by_cell


def test_every_client_is_in_the_part_of_its_cell_in_order():
    cell_id = np.array([3, 1, 3, -1, 1, 3])
    assert [part.tolist() for part in by_cell(cell_id)] == [[3], [1, 4], [0, 2, 5]]


def test_nobody_has_no_cells():
    assert by_cell(np.zeros(0, dtype=np.int64)) == []


def test_ids_beyond_sixteen_bits_are_ordered_alike():
    cell_id = np.array([65_537, 1, 65_537, 40_000])
    assert [part.tolist() for part in by_cell(cell_id)] == [[1], [3], [0, 2]]
