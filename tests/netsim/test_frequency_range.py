"""Frequency ranges of carriers."""

from netsim.frequency_range import frequency_range


def test_frequency_ranges():
    assert [frequency_range(hz) for hz in (3.5e9, 28e9)] == ["FR1", "FR2"]


def test_frequency_range_2_begins_at_24_25_ghz():
    below_hz = 24.25e9 - 1.0
    assert [frequency_range(hz) for hz in (below_hz, 24.25e9)] == ["FR1", "FR2"]
