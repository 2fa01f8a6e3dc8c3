"""Booked intervals: which are taken, what they sum to, what is left of them at an instant."""

import numpy as np
import pytest

from netsim.energy.entries import EntryColumns

TINY = float(np.finfo(float).smallest_subnormal)


def three():
    columns = EntryColumns(("tx", "rx"))
    assert columns.append(7, "tx", 0.0, 2.0, 3.0)
    assert columns.append(8, "rx", 1.0, 5.0, 0.5)
    assert columns.append(7, "rx", 4.0, 4.5, 10.0)
    return columns


def test_entries_in_the_order_of_booking():
    columns = three()
    entries = columns.entries()
    assert entries.owner_id.tolist() == [7, 8, 7]
    assert entries.activity.tolist() == [0, 1, 1]
    assert entries.seconds.tolist() == [2.0, 4.0, 0.5]
    assert entries.energy_j.tolist() == [6.0, 2.0, 5.0]
    assert columns.latest_s == 5.0
    empty = EntryColumns(("tx",))
    assert (empty.latest_s, len(empty.entries().owner_id)) == (0.0, 0)


def test_what_is_left_at_an_instant():
    entries = three().entries()
    cut = entries.until(4.0)  # the third starts then: nothing of it has been yet
    assert cut.owner_id.tolist() == [7, 8]
    assert cut.finished_at_s.tolist() == [2.0, 4.0]
    assert cut.energy_j.tolist() == [6.0, 1.5]
    assert entries.until(0.0).owner_id.tolist() == []
    assert entries.of(entries.owner_id == 7).energy_j.tolist() == [6.0, 5.0]


def test_an_empty_interval_leaves_no_entry():
    columns = EntryColumns(("tx",))
    assert not columns.append(0, "tx", 3.0, 3.0, 1.0)
    assert len(columns.entries().owner_id) == 0
    assert columns.latest_s == 0.0


@pytest.mark.parametrize(
    ("started_at_s", "finished_at_s", "power_w", "match"),
    [
        (-TINY, 1.0, 1.0, "interval: must be 0 <= start <= end"),
        (2.0, np.nextafter(2.0, 0.0), 1.0, "interval: must be 0 <= start <= end"),
        (0.0, np.inf, 1.0, "interval: must be 0 <= start <= end"),
        (0.0, np.nan, 1.0, "interval: must be 0 <= start <= end"),
        (0.0, 1.0, -TINY, "power_w: must be >= 0 and finite"),
        (0.0, 1.0, np.inf, "power_w: must be >= 0 and finite"),
        (0.0, 1.0, np.nan, "power_w: must be >= 0 and finite"),
    ],
)
def test_just_out_of_range_is_refused(started_at_s, finished_at_s, power_w, match):
    with pytest.raises(ValueError, match=match):
        EntryColumns(("tx",)).append(0, "tx", started_at_s, finished_at_s, power_w)


def test_the_ends_of_the_range_are_taken():
    columns = EntryColumns(("tx",))
    assert columns.append(0, "tx", 0.0, TINY, 0.0)
    assert columns.append(0, "tx", 0.25, 0.5, 0.5)
    assert columns.entries().energy_j.tolist() == [0.0, 0.125]


def test_entries_are_taken_out_and_the_others_stay():
    columns = three()
    assert len(columns) == 3
    taken = columns.take_out(np.array([True, False, True]))
    assert (taken.owner_id.tolist(), taken.power_w.tolist()) == ([7, 7], [3.0, 10.0])
    assert columns.append(9, "tx", 6.0, 7.0, 1.0)
    left = columns.entries()
    assert left.owner_id.tolist() == [8, 9]
    assert left.activity.tolist() == [1, 0]
    assert left.started_at_s.tolist() == [1.0, 6.0]
    assert left.finished_at_s.tolist() == [5.0, 7.0]
    assert (len(columns), columns.latest_s) == (2, 7.0)


def test_the_entry_of_each_owner_that_ends_last():
    entries = three().entries()
    assert entries.last_of_each().tolist() == [2, 1]
    assert entries.until(0.0).last_of_each().tolist() == []
