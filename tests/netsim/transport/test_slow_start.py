"""Slow start against a sender that goes window by window."""

import numpy as np
import pytest

from netsim.transport.slow_start import slow_start_s

WINDOW = 14_600


def window_by_window(size_bytes, rate_bps, rtt_s):
    """When the last byte has left, less the time on the link alone [s]."""
    window, left, at_s = WINDOW, size_bytes, 0.0
    while left > window:
        sent_s = 8 * window / rate_bps
        if sent_s >= rtt_s:  # acknowledgements keep up: the link is never empty again
            break
        at_s += rtt_s
        left -= window
        window *= 2
    return at_s + 8 * left / rate_bps - 8 * size_bytes / rate_bps


@pytest.mark.parametrize("rtt_s", [0.02, 0.05, 0.1])
@pytest.mark.parametrize("rate_bps", [1e5, 2e6, 2.336e6, 20e6, 100e6, 3e9])
def test_slow_start_is_that_of_a_sender_window_by_window(rate_bps, rtt_s, ladder):
    sizes = (1, 14_599, 14_600, 14_601, 43_800, 43_801, 60_000, 10**6, 3 * 10**6, 10**8)
    found_s = [
        slow_start_s(size, rate_bps, rtt_s=rtt_s, initial_window_bytes=WINDOW) for size in sizes
    ]
    expected_s = [window_by_window(size, rate_bps, rtt_s) for size in sizes]
    ladder.near(
        27,
        "time lost to slow start, 1 B to 100 MB, 0.1 Mb/s to 3 Gb/s",
        source="a sender that goes window by window",
        measured=np.array(found_s),
        expected=expected_s,
        tolerance=1e-9,
        unit="s",
    )


def test_three_megabytes_at_twenty_megabits_lose_112_ms():
    lost_s = slow_start_s(3_000_000, 20e6, rtt_s=0.05, initial_window_bytes=WINDOW)
    assert lost_s == pytest.approx(4 * 0.05 - 15 * 14_600 * 8 / 20e6)
    assert lost_s == pytest.approx(0.112, abs=0.001)


def test_what_fits_into_the_first_window_loses_nothing():
    assert slow_start_s(WINDOW, 1e9, rtt_s=0.05, initial_window_bytes=WINDOW) == 0.0


def test_a_link_without_rate_has_no_pauses():
    assert slow_start_s(10**6, 0.0, rtt_s=0.05, initial_window_bytes=WINDOW) == 0.0
