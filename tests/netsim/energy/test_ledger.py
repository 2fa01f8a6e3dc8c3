"""Conservation of joules: totals are power times time, entry by entry (step 18 of the ladder)."""

import sys
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.energy import ledger as ledger_module
from netsim.energy.entries import EntryColumns
from netsim.energy.ledger import CLIENT_ACTIVITIES, Ledger
from netsim.energy.site_energy import site_power
from netsim.energy.tr38840_power import Tr38840Power
from tests.netsim.energy.replay import clients_j, sites_j

UE = Tr38840Power(bandwidth_hz=20e6)


def make_ledger(num_sites=2, sleep_after_s=None):
    site = site_power("macro", num_cells=3, sleep_after_s=sleep_after_s)
    return Ledger(ue_power=UE, site_power=[site] * num_sites)


# Numbers with few binary digits: sums of products are then exact in double precision.
ticks = st.integers(0, 400).map(lambda n: n / 8)
charges = st.lists(
    st.tuples(
        st.integers(0, 3), st.sampled_from(CLIENT_ACTIVITIES), ticks, ticks, st.integers(0, 64)
    ),
    max_size=25,
)


@settings(max_examples=150, deadline=None)
@given(charges=charges, until=ticks)
def test_totals_are_exactly_power_times_time(charges, until):
    ledger = make_ledger()
    booked, seconds = {}, {}
    for owner, activity, one, other, power in charges:
        start, end = min(one, other), max(one, other)
        ledger.charge(owner, activity, started_at_s=start, finished_at_s=end, power_w=power / 4)
        cut = max(Fraction(0), Fraction(min(end, until)) - Fraction(start))
        key = owner, activity
        booked[key] = booked.get(key, 0) + cut * Fraction(power, 4)
        seconds[key] = seconds.get(key, 0) + cut
    entries = ledger.client_entries().until(until)
    by_hand = sum(booked.values(), Fraction(0))
    assert Fraction(float(entries.energy_j.sum())) == by_hand
    totals = [total for total in ledger.totals(until) if total.owner == "client"]
    for total in totals:
        if total.activity != "idle":  # its tails are inexact decimals; tested below
            assert Fraction(total.energy_j) == booked[total.owner_id, total.activity]
            assert Fraction(total.seconds) == seconds[total.owner_id, total.activity]
    assert ledger.total_energy_j(until) == pytest.approx(sum(t.energy_j for t in totals))


@settings(max_examples=100, deadline=None)
@given(charges=charges, until=ticks)
def test_tail_runs_exactly_where_the_radio_is_silent(charges, until):
    """Against a walk over the instants, one eighth of a second at a time."""
    ledger = make_ledger()
    active = np.zeros((4, 400), dtype=bool)
    for owner, activity, one, other, power in charges:
        start, end = min(one, other), max(one, other)
        ledger.charge(owner, activity, started_at_s=start, finished_at_s=end, power_w=float(power))
        if activity != "compute":
            active[owner, round(8 * start) : round(8 * end)] = True
    num = round(8 * until)
    expected_j = 0.0
    for line in active[:, :num]:
        gap = None
        for is_active in [*line, True]:
            if is_active:
                expected_j += UE.tail_energy_j(gap / 8) if gap else 0.0
                gap = 0
            elif gap is not None:
                gap += 1
    tail_j = ledger.total_energy_j(until) - ledger.client_entries().until(until).energy_j.sum()
    assert tail_j == pytest.approx(expected_j, abs=1e-9)


def test_a_client_that_never_takes_part_costs_nothing():
    ledger = make_ledger()
    assert ledger.total_energy_j(1e6) == 0
    assert [total.owner for total in ledger.totals(1e6)] == ["site", "site"]


def test_hand_calculation_of_one_upload_and_its_tail(ladder):
    evidence = ladder
    ledger = make_ledger()
    ledger.charge(7, "tx", started_at_s=1.0, finished_at_s=3.0, power_w=2.1)
    ledger.charge(7, "compute", started_at_s=3.0, finished_at_s=5.0, power_w=4.0)
    tail_j = 0.1 * UE.listen_w + 3.9 * UE.drx_w
    evidence.near(
        18,
        "ledger: one upload, its computation and its tail",
        source="sum of power x time by hand",
        measured=ledger.total_energy_j(7.0),
        expected=4.2 + 8.0 + tail_j,
        tolerance=1e-9,
        unit="J",
    )
    assert ledger.total_energy_j(2.0) == pytest.approx(2.1, rel=1e-12)
    idle = next(t for t in ledger.totals(7.0) if t.activity == "idle")
    assert (idle.owner_id, idle.seconds) == (7, pytest.approx(4.0))


def test_sites_draw_their_base_load_from_the_start():
    ledger = make_ledger(num_sites=2)
    assert ledger.site_energy_j(10.0) == pytest.approx(2 * 780 * 10)
    ledger.charge_site(1, "tx", started_at_s=2.0, finished_at_s=4.0, power_w=564.0)
    assert ledger.site_energy_j(10.0) == pytest.approx(2 * 780 * 10 + 564 * 2)


def test_sleeping_sites_wake_for_traffic():
    ledger = make_ledger(num_sites=1, sleep_after_s=1.0)
    ledger.charge_site(0, "rx", started_at_s=4.0, finished_at_s=6.0, power_w=0.0)
    awake_s, asleep_s = 1 + 2 + 1, 3 + 3
    assert ledger.site_energy_j(10.0) == pytest.approx(awake_s * 780 + asleep_s * 450)


# As a run books: mostly in order of time, now and then late, overlapping or ahead of the clock.
steps = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from(CLIENT_ACTIVITIES),
        st.floats(-3, 20, allow_subnormal=False),
        st.floats(0, 15, allow_subnormal=False),
        st.floats(0, 5, allow_subnormal=False),
    ),
    max_size=40,
)
cuts = st.lists(st.tuples(st.integers(0, 1), st.floats(0, 200), st.floats(0, 60)), max_size=3)


@settings(max_examples=200, deadline=None)
@given(steps=steps, cuts=cuts, sleep_after_s=st.sampled_from([None, 0.5]), back_s=st.floats(0, 20))
def test_running_sums_are_the_replayed_ones_to_the_bit(steps, cuts, sleep_after_s, back_s):
    site = site_power("macro", num_cells=3, sleep_after_s=sleep_after_s)
    ledger = Ledger(ue_power=UE, site_power=[site] * 2)
    cuts = [(site_id, start_s, start_s + length_s) for site_id, start_s, length_s in cuts]
    for site_id, start_s, end_s in cuts:
        ledger.cut_power(site_id, started_at_s=start_s, finished_at_s=end_s)
    now_s = 0.0
    for owner, activity, step_s, length_s, power_w in steps:
        start_s = max(0.0, now_s + step_s)
        interval = {"started_at_s": start_s, "finished_at_s": start_s + length_s}
        ledger.charge(owner, activity, **interval, power_w=power_w)
        if activity in ("tx", "rx"):
            ledger.charge_site(owner % 2, activity, **interval, power_w=power_w)
        now_s = max(now_s, start_s + length_s)
        for at_s in (now_s, now_s + back_s, max(0.0, now_s - back_s)):
            total_j = ledger.total_energy_j(at_s)
            assert total_j == clients_j(ledger, UE, at_s)
            assert ledger.site_energy_j(at_s) == sites_j(ledger, [site] * 2, cuts, at_s)
            each_j = ledger.client_energy_j(np.array([3, 0, 9, 1, 2]), at_s)
            alone_j = [clients_j(ledger, UE, at_s, client_id=each) for each in (3, 0, 9, 1, 2)]
            assert each_j.tolist() == alone_j
            assert each_j[2] == 0
            assert each_j.sum() == pytest.approx(total_j, rel=1e-12, abs=1e-12)


def book_rounds(ledger, numbers, *, num_clients=20):
    """Rounds of 10 s: every client receives, computes and sends, overlapping, at one of two sites.

    Each has a late booking between others, as a cancelled transfer makes.
    """
    for number in numbers:
        for client_id in range(num_clients):
            at_s = 10.0 * number + 0.01 * client_id
            for activity, first_s, last_s, power_w in (
                ("rx", 0.0, 0.3, 0.7), ("compute", 0.3, 1.1, 3.5), ("tx", 1.1, 1.7, 1.3),
                ("idle", 0.9, 1.0, 0.1),
            ):  # fmt: skip
                interval = {"started_at_s": at_s + first_s, "finished_at_s": at_s + last_s}
                ledger.charge(client_id, activity, **interval, power_w=power_w)
                if activity in ("tx", "rx"):
                    ledger.charge_site(client_id % 2, activity, **interval, power_w=20.0)


def lines_run(call):
    """Lines of the energy wing that a call runs, loops and comprehensions included."""
    count = 0

    def trace(frame, event, _):
        nonlocal count
        if "netsim/energy" not in frame.f_code.co_filename:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    finally:
        sys.settrace(before)
    return count


def test_a_query_costs_the_same_after_ten_times_as_many_entries(monkeypatch):
    """300 rounds x 20 clients, 24,000 entries: none is read for what was spent by now."""
    site = site_power("macro", num_cells=3, sleep_after_s=0.5)
    ledger, ids = Ledger(ue_power=UE, site_power=[site] * 2), np.arange(20)
    cuts = [(1, 3.0, 4.0), (0, 25.0, float("inf"))]
    for site_id, start_s, end_s in cuts:
        ledger.cut_power(site_id, started_at_s=start_s, finished_at_s=end_s)
    lines = {}
    book_rounds(ledger, range(30))
    ledger.site_energy_j(300.0)  # notes the power cuts
    for num_rounds in (30, 300):
        book_rounds(ledger, range(30, num_rounds))
        now_s = 10.0 * num_rounds
        with monkeypatch.context() as patch:
            patch.delattr(EntryColumns, "entries")
            lines[num_rounds] = [
                lines_run(lambda now_s=now_s: ledger.total_energy_j(now_s)),
                lines_run(lambda now_s=now_s: ledger.client_energy_j(ids, now_s)),
                lines_run(lambda now_s=now_s: ledger.site_energy_j(now_s)),
            ]
            total_j, each_j = ledger.total_energy_j(now_s), ledger.client_energy_j(ids, now_s)
            sites_now_j = ledger.site_energy_j(now_s)
        assert total_j == clients_j(ledger, UE, now_s)
        assert each_j.tolist() == [clients_j(ledger, UE, now_s, client_id=each) for each in ids]
        assert sites_now_j == sites_j(ledger, [site] * 2, cuts, now_s)
    assert len(ledger.client_entries().owner_id) == 24_000
    assert lines[300] == lines[30]
    # By hand, each of 300 rounds: 0.3 s x 0.7 W + 0.8 x 3.5 + 0.6 x 1.3 + 0.1 x 0.1 and three gaps.
    gaps_s = (0.6, 0.1, 8.3)
    round_j = 0.21 + 2.8 + 0.78 + 0.01 + sum(UE.tail_energy_j(gap_s) for gap_s in gaps_s)
    last_j = UE.tail_energy_j(8.3) - UE.tail_energy_j(8.3 - 0.01 * 19)
    assert each_j[0] == pytest.approx(300 * round_j, rel=1e-9)
    assert each_j[19] == pytest.approx(300 * round_j - last_j, rel=1e-9)


later = st.lists(
    st.tuples(
        st.integers(0, 3),
        st.sampled_from(CLIENT_ACTIVITIES),
        st.floats(0, 20, allow_subnormal=False),
        st.floats(0, 15, allow_subnormal=False),
        st.floats(0, 5, allow_subnormal=False),
        st.booleans(),
    ),
    max_size=30,
)


@settings(max_examples=150, deadline=None)
@given(steps=later, cuts=cuts, most=st.integers(0, 6))
def test_what_is_summed_up_is_told_as_if_it_were_kept(steps, cuts, most):
    """A ledger that keeps few entries, and one that keeps all, asked at the same instants."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger_module, "MOST_ENTRIES", most)
        site = site_power("macro", num_cells=3, sleep_after_s=0.5)
        few, kept = (Ledger(ue_power=UE, site_power=[site] * 2) for _ in range(2))
        for ledger in (few, kept):
            for site_id, start_s, length_s in cuts:
                ledger.cut_power(site_id, started_at_s=start_s, finished_at_s=start_s + length_s)
        now_s, settled_s = 0.0, 0.0
        for owner, activity, step_s, length_s, power_w, is_asked in steps:
            # radios are booked in order of time up to now, computing when it has ended
            start_s = now_s + step_s if activity != "compute" else max(0.0, settled_s - step_s)
            interval = {"started_at_s": start_s, "finished_at_s": start_s + length_s}
            now_s = max(now_s, start_s + length_s)
            for ledger in (few, kept):
                ledger.charge(owner, activity, **interval, power_w=power_w)
                if activity in ("tx", "rx"):
                    ledger.charge_site(owner % 2, activity, **interval, power_w=power_w)
            if not is_asked:
                continue
            few.settle()
            settled_s = now_s
            assert few.total_energy_j(now_s) == kept.total_energy_j(now_s)
            ids = np.arange(4)
            each_j = [ledger.client_energy_j(ids, now_s).tolist() for ledger in (few, kept)]
            assert each_j[0] == each_j[1]
            assert few.site_energy_j(now_s) == kept.site_energy_j(now_s)
            for one, other in zip(few.totals(now_s), kept.totals(now_s), strict=True):
                assert (one.owner, one.owner_id, one.activity) == (
                    other.owner, other.owner_id, other.activity
                )  # fmt: skip
                assert one.seconds == pytest.approx(other.seconds, rel=1e-12, abs=1e-12)
                assert one.energy_j == pytest.approx(other.energy_j, rel=1e-12, abs=1e-12)


def test_entries_do_not_add_up_in_memory(monkeypatch):
    """Of 24,000 entries no more than those of one round are kept, and one of each radio."""
    monkeypatch.setattr(ledger_module, "MOST_ENTRIES", 100)
    ledger = make_ledger()
    for number in range(300):
        book_rounds(ledger, [number])
        ledger.settle()
    assert len(ledger.client_entries().owner_id) == 20
    assert len(ledger.site_entries().owner_id) == 0
    assert sum(len(each.starts_s) for each in ledger._radio._unions.values()) == 20
    every = make_ledger()
    book_rounds(every, range(300))
    assert ledger.total_energy_j(3000.0) == every.total_energy_j(3000.0)


def test_what_is_summed_up_is_neither_told_nor_changed(monkeypatch):
    monkeypatch.setattr(ledger_module, "MOST_ENTRIES", 0)
    ledger = make_ledger()
    ledger.charge(0, "tx", started_at_s=1.0, finished_at_s=2.0, power_w=1.0)
    ledger.charge_site(0, "rx", started_at_s=1.0, finished_at_s=3.0, power_w=1.0)
    ledger.charge(0, "tx", started_at_s=4.0, finished_at_s=5.0, power_w=1.0)
    ledger.settle()
    for ask in (ledger.total_energy_j, ledger.totals):
        with pytest.raises(ValueError, match=r"^at_s: must be 5\.0 or later, got 4\.5: earlier"):
            ask(4.5)
    with pytest.raises(ValueError, match=r"^at_s: must be 5\.0 or later, got 2\.0"):
        ledger.site_energy_j(2.0)
    with pytest.raises(ValueError, match=r"^started_at_s: must be 5\.0 or later, got 3\.0"):
        ledger.charge(0, "rx", started_at_s=3.0, finished_at_s=6.0, power_w=1.0)


def test_a_cut_just_out_of_range_is_refused_and_an_empty_one_cuts_nothing():
    ledger = make_ledger(num_sites=1)
    with pytest.raises(ValueError, match="0 <= start <= end"):
        ledger.cut_power(0, started_at_s=-1e-300, finished_at_s=1.0)
    with pytest.raises(ValueError, match="0 <= start <= end"):
        ledger.cut_power(0, started_at_s=float("nan"), finished_at_s=1.0)
    ledger.cut_power(0, started_at_s=0.0, finished_at_s=0.0)
    ledger.cut_power(0, started_at_s=2.0, finished_at_s=2.0)
    assert ledger.site_energy_j(10.0) == pytest.approx(780 * 10)
    ledger.cut_power(0, started_at_s=0.0, finished_at_s=0.5)
    assert ledger.site_energy_j(10.0) == pytest.approx(780 * 9.5)


def test_a_cut_that_goes_on_counts_up_to_the_instant():
    """Asked for before, within and after it, then within it again."""
    ledger = make_ledger(num_sites=1, sleep_after_s=1.0)
    ledger.cut_power(0, started_at_s=4.0, finished_at_s=8.0)
    awake_j = 780 + 3 * 450
    after_j = 2 * awake_j - 2 * 450  # 1 s awake and 1 s asleep once it is back
    for at_s, expected_j in ((2.0, 780 + 450), (6.0, awake_j), (10.0, after_j), (6.0, awake_j)):
        assert ledger.site_energy_j(at_s) == pytest.approx(expected_j)


def test_joules_of_nobody_and_before_anything_began():
    ledger = make_ledger()
    nobody = np.zeros(0, dtype=int)
    assert ledger.client_energy_j(nobody, 1.0).tolist() == []
    ledger.charge(3, "tx", started_at_s=5.0, finished_at_s=6.0, power_w=2.0)
    for at_s in (1.0, 5.0, 8.0):
        assert ledger.client_energy_j(nobody, at_s).tolist() == []
    assert ledger.client_energy_j(np.array([9, 3]), 1.0).tolist() == [0.0, 0.0]
    assert ledger.client_energy_j(np.array([9, 3]), 5.5).tolist() == [0.0, 1.0]
    assert ledger.total_energy_j(1.0) == 0.0


@pytest.mark.parametrize(
    ("charge", "match"),
    [
        ({"activity": "think"}, "activity: must be one of tx"),
        ({"finished_at_s": 0.5}, "0 <= start <= end"),
        ({"started_at_s": float("nan")}, "0 <= start <= end"),
        ({"power_w": -1.0}, "power_w: must be >= 0"),
        ({"power_w": float("inf")}, "power_w: must be >= 0"),
    ],
)
def test_impossible_charges_are_named(charge, match):
    fine = {"activity": "tx", "started_at_s": 1.0, "finished_at_s": 2.0, "power_w": 1.0}
    merged = {**fine, **charge}
    with pytest.raises(ValueError, match=match):
        make_ledger().charge(0, merged.pop("activity"), **merged)
    with pytest.raises(ValueError, match="site_id: must be 0 to 1"):
        make_ledger().charge_site(2, "tx", started_at_s=0.0, finished_at_s=1.0, power_w=1.0)
