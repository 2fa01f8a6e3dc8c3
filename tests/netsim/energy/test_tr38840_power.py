"""Radio power of clients by TR 38.840 (step 18 of the ladder)."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.energy.tr38840_power import Tr38840Power
from netsim.units import dbm_to_w

ONE_WATT_PER_UNIT = Tr38840Power(bandwidth_hz=100e6, watt_per_pu=1.0)


def test_transmit_power_interpolates_linearly_in_milliwatts(ladder):
    ladder.near(
        18,
        "transmit power of a UE at 0 to 23 dBm",
        source="TR 38.840, linear in milliwatts between 250 and 700 units",
        measured=ONE_WATT_PER_UNIT.transmit_w(
            dbm_to_w(np.array([0.0, 10.0, 15.0, 20.0, 23.0])), np.full(5, 1e7)
        ),
        expected=[250, 270.4, 319.4, 474.4, 700],
        tolerance=0.05,
        unit="units",
    )


def test_default_scale_is_2_1_watt_at_full_power():
    assert Tr38840Power(bandwidth_hz=20e6).transmit_w(dbm_to_w(23.0), 1e7) == pytest.approx(2.1)


def test_receive_power_scales_with_bandwidth():
    scale = [Tr38840Power(bandwidth_hz=mhz * 1e6).bandwidth_scale for mhz in (5, 20, 60, 100, 200)]
    np.testing.assert_allclose(scale, [0.4, 0.4, 0.7, 1.0, 1.0])
    assert ONE_WATT_PER_UNIT.receive_w(1e7) == pytest.approx(300)
    assert Tr38840Power(bandwidth_hz=20e6, watt_per_pu=1.0).receive_w(1e7) == pytest.approx(120)
    assert Tr38840Power(bandwidth_hz=20e6, watt_per_pu=1.0).listen_w == pytest.approx(50)


def test_amplifier_efficiency_is_the_slope():
    power = Tr38840Power(bandwidth_hz=20e6, amplifier_efficiency=0.4)
    rise_w = power.transmit_w(0.101, 1e7) - power.transmit_w(0.001, 1e7)
    assert rise_w == pytest.approx(0.1 / 0.4)


@pytest.mark.parametrize("watt_per_pu", [0.002, 0.5])
@pytest.mark.parametrize("bandwidth_hz", [20e6, 100e6])
def test_every_power_is_so_many_units(watt_per_pu, bandwidth_hz):
    unit = Tr38840Power(bandwidth_hz=bandwidth_hz, watt_per_pu=1.0)
    power = Tr38840Power(bandwidth_hz=bandwidth_hz, watt_per_pu=watt_per_pu)
    for radiated_w in (0.0, 0.001, 0.1):
        expected_w = unit.transmit_w(radiated_w, 1e7) * watt_per_pu
        assert power.transmit_w(radiated_w, 1e7) == pytest.approx(expected_w)
    assert power.receive_w(1e7) == pytest.approx(unit.receive_w(1e7) * watt_per_pu)
    assert power.listen_w == pytest.approx(unit.listen_w * watt_per_pu)
    assert power.drx_w == pytest.approx(unit.drx_w * watt_per_pu)
    assert power.tail_energy_j(3.0) == pytest.approx(unit.tail_energy_j(3.0) * watt_per_pu)


def test_listening_has_a_floor_of_50_units():
    listen_w = [
        Tr38840Power(bandwidth_hz=mhz * 1e6, watt_per_pu=1.0).listen_w for mhz in (20, 40, 60, 100)
    ]
    assert listen_w == pytest.approx([50, 55, 70, 100])


def test_the_amplifier_scales_what_is_beyond_0_dbm():
    """At 0 dBm 250 units whatever the amplifier; above it 1 / efficiency watts a watt."""
    power = Tr38840Power(bandwidth_hz=20e6, watt_per_pu=0.002, amplifier_efficiency=0.25)
    assert power.transmit_w(0.001, 1e7) == pytest.approx(0.5)
    assert power.transmit_w(0.201, 1e7) == pytest.approx(0.5 + 0.8)


def test_drx_sleeps_deeply_in_long_pauses_and_lightly_in_short_ones():
    long = ONE_WATT_PER_UNIT
    assert long.drx_w == pytest.approx((100 * 0.010 + 0.450 + 1.0 * 0.290) / 0.32)
    short = Tr38840Power(bandwidth_hz=100e6, watt_per_pu=1.0, drx_cycle_s=0.018)
    assert short.drx_w == pytest.approx((100 * 0.010 + 0.100 + 20 * 0.002) / 0.018)
    micro = Tr38840Power(bandwidth_hz=100e6, watt_per_pu=1.0, drx_cycle_s=0.014)
    assert micro.drx_w == pytest.approx((100 * 0.010 + 45 * 0.004) / 0.014)


def test_tail_at_its_corners():
    power = ONE_WATT_PER_UNIT
    assert power.tail_energy_j(0.0) == 0
    assert power.tail_energy_j(0.05) == pytest.approx(5.0)
    assert power.tail_energy_j(0.1) == pytest.approx(10.0)
    full_j = 10.0 + 9.9 * power.drx_w
    assert power.tail_energy_j(10.0) == pytest.approx(full_j)
    assert power.tail_energy_j(1e6) == pytest.approx(full_j)


@given(short_s=st.floats(0, 100), longer_s=st.floats(0, 100))
def test_tail_never_shrinks(short_s, longer_s):
    power = ONE_WATT_PER_UNIT
    assert power.tail_energy_j(short_s + longer_s) >= power.tail_energy_j(short_s) - 1e-9


@pytest.mark.parametrize(
    ("setting", "match"),
    [({"drx_on_s": 1.0}, "drx_on_s: must be <="), ({"release_s": 0.01}, "release_s: must be >=")],
)
def test_timers_that_contradict_each_other(setting, match):
    with pytest.raises(ValueError, match=match):
        Tr38840Power(bandwidth_hz=20e6, **setting)


def test_timers_may_just_meet():
    power = Tr38840Power(bandwidth_hz=100e6, watt_per_pu=1.0, drx_cycle_s=0.01, drx_on_s=0.01)
    assert power.drx_w == pytest.approx(100)  # always awake
    at_once = Tr38840Power(bandwidth_hz=100e6, watt_per_pu=1.0, inactivity_s=0.1, release_s=0.1)
    assert at_once.tail_energy_j(5.0) == pytest.approx(10.0)


def test_a_sleep_state_is_open_when_its_transition_just_fits():
    fits = Tr38840Power(bandwidth_hz=100e6, watt_per_pu=1.0, drx_cycle_s=0.014, drx_on_s=0.008)
    assert fits.drx_cycle_s - fits.drx_on_s == 0.006
    assert fits.drx_w == pytest.approx((100 * 0.008 + 0.100) / 0.014)  # micro sleep costs 0.270
