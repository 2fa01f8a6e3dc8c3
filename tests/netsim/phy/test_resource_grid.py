"""The OFDM grid: legal pairs, slots, resource elements."""

import pytest

from netsim.phy.resource_grid import (
    block_bandwidth_hz,
    find_problems,
    legal_pairs,
    num_resource_blocks,
    numerology,
    resource_element_rate_hz,
    resource_elements_per_slot,
    slot_duration_s,
)


@pytest.mark.parametrize(
    ("bandwidth_hz", "spacing_hz", "band", "expected"),
    [
        (10e6, 15e3, "FR1", 52),
        (20e6, 15e3, "FR1", 106),
        (20e6, 30e3, "FR1", 51),
        (40e6, 30e3, "FR1", 106),
        (100e6, 30e3, "FR1", 273),
        (100e6, 60e3, "FR1", 135),
        (100e6, 60e3, "FR2", 132),
        (400e6, 120e3, "FR2", 264),
    ],
)
def test_number_of_resource_blocks(bandwidth_hz, spacing_hz, band, expected):
    assert num_resource_blocks(bandwidth_hz, spacing_hz, band=band) == expected


@pytest.mark.parametrize("band", ["FR1", "FR2"])
def test_every_legal_pair_leaves_a_guard_band(band):
    pairs = legal_pairs(band)
    assert len(pairs) == {"FR1": 39, "FR2": 7}[band]
    for bandwidth_hz, spacing_hz in pairs:
        used = num_resource_blocks(bandwidth_hz, spacing_hz, band=band) * 12 * spacing_hz
        assert 0.75 * bandwidth_hz < used < bandwidth_hz


def test_illegal_bandwidth_lists_the_legal_ones():
    with pytest.raises(
        ValueError,
        match=r"bandwidth_hz: must be one of 5e6, 10e6, .*50e6 with 15 kHz .* got 1e\+08",
    ):
        num_resource_blocks(100e6, 15e3)


def test_illegal_spacing_lists_the_legal_ones():
    with pytest.raises(
        ValueError, match="subcarrier_spacing_hz: must be one of 15e3, 30e3, 60e3 in FR1, got 20000"
    ):
        num_resource_blocks(20e6, 20e3)


def test_problem_of_a_pair_has_its_place():
    (problem,) = find_problems(0.0, 30e3, path=("radio",))
    assert problem.path == ("radio", "bandwidth_hz")
    assert problem.message.endswith("got 0")
    assert find_problems(20e6, 30e3) == []


def test_slots_and_numerology():
    assert [numerology(hz) for hz in (15e3, 30e3, 60e3, 120e3)] == [0, 1, 2, 3]
    assert slot_duration_s(30e3) == 0.5e-3


def test_rate_of_resource_elements():
    # 51 blocks x 12 subcarriers x 28,000 symbols a second, less 14 %.
    found_hz = resource_element_rate_hz(51, 30e3)
    assert found_hz == pytest.approx(51 * 12 * 28_000 * 0.86, rel=1e-12)
    with pytest.raises(ValueError, match="overhead_fraction: must be >= 0 and < 1"):
        resource_element_rate_hz(51, 30e3, overhead_fraction=1.0)


def test_messages_name_the_right_values_of_the_frequency_range():
    (problem,) = find_problems(5e6, 60e3, band="FR2", path=("radio",))
    assert problem.path == ("radio", "bandwidth_hz")
    assert problem.message == (
        "must be one of 50e6, 100e6, 200e6 with 60 kHz subcarriers in FR2, got 5e+06"
    )
    (problem,) = find_problems(5e6, 30e3, band="FR2")
    assert problem.path == ("subcarrier_spacing_hz",)
    assert problem.message == "must be one of 60e3, 120e3 in FR2, got 30000"


def test_durations_and_widths_of_every_numerology():
    spacings_hz = (15e3, 30e3, 60e3, 120e3)
    durations_s = [slot_duration_s(hz) for hz in spacings_hz]
    assert durations_s == [1e-3, 0.5e-3, 0.25e-3, 0.125e-3]
    assert [block_bandwidth_hz(hz) for hz in spacings_hz] == [180e3, 360e3, 720e3, 1440e3]
    for spacing_hz in (7.5e3, 240e3, 20e3):
        with pytest.raises(ValueError, match="subcarrier_spacing_hz: must be 15e3, 30e3"):
            numerology(spacing_hz)


def test_elements_of_a_slot():
    assert resource_elements_per_slot(1, overhead_fraction=0.0) == 168
    assert resource_elements_per_slot(2.5, overhead_fraction=0.25, num_symbols=4) == 90
    assert resource_elements_per_slot(51) == pytest.approx(51 * 168 * 0.86)
    with pytest.raises(ValueError, match=r"overhead_fraction: must be >= 0 and < 1, got -0\.1"):
        resource_elements_per_slot(1, overhead_fraction=-0.1)
