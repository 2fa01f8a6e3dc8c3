"""Frequency ranges 1 and 2 of NR, below and above 24.25 GHz."""

from typing import Literal

FR2_LOWEST_CARRIER_HZ = 24.25e9
"""Lowest carrier of frequency range 2, TS 38.104 Table 5.1-1 (recollected)."""

FrequencyRange = Literal["FR1", "FR2"]


def frequency_range(carrier_hz: float) -> FrequencyRange:
    """Return the frequency range a carrier belongs to."""
    return "FR2" if carrier_hz >= FR2_LOWEST_CARRIER_HZ else "FR1"
