"""Conservation of joules: totals are power times time, entry by entry (step 18 of the ladder)."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.energy.ledger import CLIENT_ACTIVITIES, Ledger, gaps_s
from netsim.energy.site_energy import site_power
from netsim.energy.ue_energy import UePower

UE = UePower(bandwidth_hz=20e6)


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
    assert ledger.client_energy_j(until) == pytest.approx(sum(t.energy_j for t in totals))


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
    tail_j = ledger.client_energy_j(until) - ledger.client_entries().until(until).energy_j.sum()
    assert tail_j == pytest.approx(expected_j, abs=1e-9)


def test_a_client_that_never_takes_part_costs_nothing():
    ledger = make_ledger()
    assert ledger.client_energy_j(1e6) == 0
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
        measured=ledger.client_energy_j(7.0),
        expected=4.2 + 8.0 + tail_j,
        tolerance=1e-9,
        unit="J",
    )
    assert ledger.client_energy_j(2.0) == pytest.approx(2.1, rel=1e-12)
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


def test_gaps_of_overlapping_and_disordered_intervals():
    owner, gap_s = gaps_s(
        np.array([2, 1, 2, 2]),
        np.array([5.0, 1.0, 0.0, 1.0]),
        np.array([6.0, 2.0, 4.0, 2.0]),
        10.0,
    )
    np.testing.assert_array_equal(owner, [1, 2, 2])
    np.testing.assert_allclose(gap_s, [8, 1, 4])


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
