"""Scheduling request, report and grant; alignment to slots."""

import numpy as np
import pytest

from netsim.config.access import GrantConfig
from netsim.mac.grant_time import next_slot_s, uplink_grant_s


def test_a_grant_takes_ten_milliseconds_and_the_wait_for_an_opportunity():
    waits_s = uplink_grant_s(GrantConfig(), np.array([0.0, 0.5, 1.0]))
    np.testing.assert_allclose(waits_s, [0.010, 0.015, 0.020])  # mean 15 ms


def test_periods_and_grants_are_those_of_the_section():
    config = GrantConfig(request_period_s=0.04, first_grant_s=0.004, second_grant_s=0.0)
    assert uplink_grant_s(config, 0.25) == pytest.approx(0.014)


def test_the_next_slot_begins_at_or_after():
    assert next_slot_s(0.0101, 0.0005) == pytest.approx(0.0105)
    assert next_slot_s(0.0105, 0.0005) == pytest.approx(0.0105)
    for number in range(0, 5_000_000, 12_345):  # a start of a slot, with rounding, is one
        at_s = number * 0.0005
        assert next_slot_s(at_s, 0.0005) == at_s
        assert next_slot_s(np.nextafter(at_s, np.inf), 0.0005) == at_s
