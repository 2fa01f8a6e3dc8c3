"""Phones as they were measured (step 18 of the ladder)."""

from dataclasses import fields
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from netsim.config.ue_power import MeasuredPowerConfig, PhoneProfile
from netsim.energy import measured_power as module
from netsim.energy.measured_power import find_problems, has_screen, measured_power, values
from netsim.standard_table import read_standard_table

BINS = [
    # Profile, direction, centre of the bin or rate of the run [Mb/s], mean power of its logs [W].
    ("t_mobile_sa", "transmit", 3.0, 1.68),
    ("t_mobile_sa", "transmit", 12.5, 1.90),
    ("t_mobile_sa", "transmit", 35.0, 2.08),
    ("t_mobile_sa", "transmit", 75.0, 1.90),
    ("t_mobile_sa", "receive", 3.0, 1.16),
    ("t_mobile_sa", "receive", 12.5, 1.15),
    ("t_mobile_sa", "receive", 75.0, 1.08),
    ("t_mobile_nsa_low", "transmit", 35.0, 2.54),
    ("t_mobile_nsa_low", "transmit", 75.0, 3.17),
    ("t_mobile_nsa_low", "receive", 35.0, 2.43),
    ("t_mobile_nsa_low", "receive", 75.0, 2.66),
    ("t_mobile_nsa_low", "receive", 200.0, 2.83),
    ("verizon_lte", "transmit", 1.0, 2.91),
    ("verizon_lte", "transmit", 22.0, 4.67),
    ("verizon_lte", "receive", 1.0, 2.69),
    ("verizon_lte", "receive", 58.0, 3.85),
    ("verizon_nsa_low", "transmit", 1.0, 3.15),
    ("verizon_nsa_low", "transmit", 41.0, 4.60),
    ("verizon_nsa_low", "receive", 1.0, 2.68),
    ("verizon_nsa_low", "receive", 96.0, 4.18),
    ("verizon_mmwave", "transmit", 1.0, 5.42),
    ("verizon_mmwave", "transmit", 194.0, 7.29),
    ("verizon_mmwave", "receive", 1.0, 5.06),
    ("verizon_mmwave", "receive", 2099.0, 8.87),
]


def phone(profile, **changes):
    """The model of a profile; where it holds a screen, that is left in."""
    if has_screen(profile):
        changes = {"screen_w": 0.0} | changes
    return measured_power(MeasuredPowerConfig(profile=profile, **changes))


def power_w(profile, direction, rate_mbps):
    model = phone(profile)
    if direction == "receive":
        return model.receive_w(rate_mbps * 1e6)
    return model.transmit_w(0.2, rate_mbps * 1e6)


def test_power_is_that_of_the_logs(ladder):
    """Below 1 Mb/s the logs of T-Mobile lie far below their straight lines: no part of this."""
    ladder.near(
        18,
        "power of five measured phones, 1 Mb/s to 2 Gb/s",
        source="means of bins of rates and of runs, SIGCOMM21-5G/artifact",
        measured=[power_w(*each[:3]) for each in BINS],
        expected=[each[3] for each in BINS],
        rel=0.13,
        unit="W",
    )


def test_joules_a_megabyte_are_those_of_the_logs(ladder):
    found = [8 * power_w(*each) / each[2] for each in (
        ("verizon_lte", "transmit", 22.0),
        ("verizon_lte", "receive", 58.0),
        ("verizon_nsa_low", "transmit", 41.0),
        ("verizon_nsa_low", "receive", 96.0),
        ("verizon_mmwave", "transmit", 194.0),
        ("verizon_mmwave", "receive", 2099.0),
        ("t_mobile_sa", "transmit", 32.0),
    )]  # fmt: skip
    ladder.near(
        18,
        "energy of a megabyte at the highest mean rate, LTE, NSA, mmWave, SA",
        source="the same logs",
        measured=found,
        expected=[1.70, 0.53, 0.90, 0.35, 0.30, 0.034, 0.51],
        rel=0.07,
        unit="J",
    )


def test_a_straight_line_up_to_the_largest_power():
    model = phone("t_mobile_sa")
    rates_bps = np.array([0.0, 1e7, 3.5e7, 1e8, 1e9])
    found_w = model.transmit_w(np.full(5, 0.1), rates_bps)
    np.testing.assert_allclose(found_w, [1.743, 1.839, 2.079, 2.08, 2.08], rtol=1e-12)
    np.testing.assert_allclose(model.receive_w(rates_bps), 1.19)
    assert model.transmit_w(1e-6, 1e7) == model.transmit_w(0.2, 1e7) == pytest.approx(1.839)
    assert model.listen_w == 0.85


def test_the_tail_at_its_corners():
    model = phone("t_mobile_sa")
    gaps_s = np.array([0.0, 4.0, 10.2, 1e6])
    np.testing.assert_allclose(model.tail_energy_j(gaps_s), [0.0, 2.36, 6.018, 6.018])
    np.testing.assert_allclose(model.tail_s(gaps_s), [0.0, 4.0, 10.2, 10.2])


def test_the_screen_is_subtracted_from_what_holds_it():
    gross, net = phone("verizon_lte"), phone("verizon_lte", screen_w=2.35)
    for rate_bps in (0.0, 1e7, 1e9):
        assert net.transmit_w(0.1, rate_bps) == pytest.approx(
            gross.transmit_w(0.1, rate_bps) - 2.35
        )
        assert net.receive_w(rate_bps) == pytest.approx(gross.receive_w(rate_bps) - 2.35)
    assert net.listen_w == pytest.approx(0.34)
    assert net.tail_energy_j(5.0) == gross.tail_energy_j(5.0) == pytest.approx(0.6)


def test_own_values_replace_those_of_the_profile_and_hold_no_screen():
    own = {
        "transmit_w": 1.0, "transmit_j_per_bit": 1e-8, "transmit_max_w": 1.5, "receive_w": 0.5,
        "receive_j_per_bit": 2e-9, "receive_max_w": 0.7, "connected_w": 0.3, "tail_w": 0.2,
        "tail_s": 5.0,
    }  # fmt: skip
    config = MeasuredPowerConfig(profile="verizon_lte", screen_w=2.0, **own)
    assert values(config) == own
    model = measured_power(config)
    assert [model.transmit_w(0.1, rate) for rate in (0.0, 1e7, 1e8)] == pytest.approx([1, 1.1, 1.5])
    assert [model.receive_w(rate) for rate in (0.0, 5e7, 1e9)] == pytest.approx([0.5, 0.6, 0.7])
    assert (model.listen_w, model.tail_energy_j(9.0)) == (0.3, 1.0)


def test_the_settings_know_the_profiles_and_the_columns_of_the_table():
    rows = read_standard_table(Path(module.__file__).with_name("measured_phones.csv"))
    assert [row["profile"] for row in rows] == list(get_args(PhoneProfile))
    names = [each.name for each in fields(MeasuredPowerConfig)]
    assert [name for name in names if name not in ("screen_w", "kind")] == [
        name for name in rows[0] if name != "has_screen"
    ]


@pytest.mark.parametrize("profile", get_args(PhoneProfile))
def test_every_profile_is_in_order(profile):
    screen_w = 2.35 if has_screen(profile) else None
    assert find_problems(MeasuredPowerConfig(profile=profile, screen_w=screen_w), ("x",)) == []
    model = measured_power(MeasuredPowerConfig(profile=profile, screen_w=screen_w))
    assert 0 < model.listen_w <= min(model.receive_w(0.0), model.transmit_w(0.1, 0.0))
    assert 0 < model.tail_w < model.receive_w(0.0)


def test_a_screen_may_draw_all_of_a_connected_phone():
    config = MeasuredPowerConfig(profile="verizon_lte", screen_w=2.69)
    assert find_problems(config, ("x",)) == []
    assert measured_power(config).listen_w == 0.0
