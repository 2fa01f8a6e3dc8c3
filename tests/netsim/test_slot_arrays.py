"""Arrays that grow together: new rows, dropped rows, rows made anew."""

import numpy as np

from netsim.slot_arrays import SlotArrays


def columns():
    return SlotArrays(count=3, level=np.array([-np.inf, 1.0]))


def test_new_rows_have_the_value_type_and_shape_declared():
    table = columns()
    assert (table.num_slots, table.count.shape, table.level.shape) == (0, (0,), (0, 2))
    table.add()
    table.count[0], table.level[0] = 9, 0.0
    table.add(2)
    assert table.num_slots == 3
    assert table.count.dtype == np.int64
    assert table.count.tolist() == [9, 3, 3]
    assert table.level.tolist() == [[0.0, 0.0], [-np.inf, 1.0], [-np.inf, 1.0]]


def test_rows_that_are_kept_close_up_in_order():
    table = columns()
    table.add(4)
    table.count[:] = [0, 1, 2, 3]
    table.keep(np.array([False, True, False, True]))
    assert table.num_slots == 2
    assert table.count.tolist() == [1, 3]
    assert table.level.shape == (2, 2)


def test_renewing_makes_what_is_missing_and_leaves_the_others():
    table = columns()
    table.renew(np.array([2]))
    assert table.num_slots == 3
    table.count[:] = [5, 6, 7]
    table.renew(np.array([0, 2]))
    assert table.num_slots == 3
    assert table.count.tolist() == [3, 6, 3]
    table.renew(np.zeros(0, dtype=np.intp))
    assert table.num_slots == 3
