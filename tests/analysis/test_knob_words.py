"""Words of knobs: values with units, names of folders short."""

import pytest

from analysis.knob_words import knob_words, setting_words, short_value, value_words


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("radio.bandwidth_hz", 12_500_000.0, "12.5 MHz"),
        ("radio.carrier_hz", 3.5e9, "3.5 GHz"),
        ("server.deadline_s", 30, "30 s"),
        ("radio.power_dbm", -3.5, "-3.5 dBm"),
        ("clients.num_clients", 12000, "12000"),
        ("server.redistribute", True, "true"),
        ("world.s", 3, "3"),
        ("server.policy", "random", "random"),
    ],
)
def test_values_have_the_unit_that_their_key_names(key, value, words):
    assert value_words(key, value) == words


def test_words_of_a_key_leave_its_unit_and_sections_out():
    assert knob_words("radio.bandwidth_hz") == "bandwidth"
    assert knob_words("world.s") == "s"
    knobs = {"case": "urban", "server.deadline_s": 30.0, "num_clients": 5}
    assert setting_words(knobs, case="case") == "urban, deadline 30 s, clients 5"


@pytest.mark.parametrize("value", [1e7, 12_345_678.0, 1e4, 99_999.0, 0.1, 1e-7, 1e300, -5e6, 123.0])
def test_short_values_are_the_same_numbers(value):
    assert float(short_value(value)) == value
    assert len(short_value(value)) <= len(repr(value))
