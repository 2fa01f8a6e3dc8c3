"""The OFDM grid of NR: resource blocks of a carrier, slots, resource elements."""

from functools import cache
from pathlib import Path

from netsim.frequency_range import FrequencyRange
from netsim.problems import Problem
from netsim.standard_table import read_standard_table

SUBCARRIERS_PER_BLOCK = 12
SYMBOLS_PER_SLOT = 14
"""Normal cyclic prefix."""


@cache
def _table() -> dict[tuple[FrequencyRange, float, float], int]:
    """Read the number of resource blocks by frequency range, spacing [Hz] and bandwidth [Hz]."""
    return {
        (
            "FR2" if row["frequency_range"] == "FR2" else "FR1",
            float(row["subcarrier_spacing_khz"]) * 1e3,
            float(row["bandwidth_mhz"]) * 1e6,
        ): int(row["num_resource_blocks"])
        for row in read_standard_table(Path(__file__).with_name("resource_grid.csv"))
    }


def legal_pairs(band: FrequencyRange = "FR1") -> list[tuple[float, float]]:
    """Return the (bandwidth [Hz], subcarrier spacing [Hz]) pairs of the standard."""
    return [(wide_hz, scs_hz) for found, scs_hz, wide_hz in _table() if found == band]


def num_resource_blocks(
    bandwidth_hz: float, subcarrier_spacing_hz: float, *, band: FrequencyRange = "FR1"
) -> int:
    """Return the number of resource blocks of a carrier.

    Parameters
    ----------
    bandwidth_hz
        Channel bandwidth [Hz], guard bands included.
    subcarrier_spacing_hz
        Subcarrier spacing [Hz].
    band
        Frequency range, see :func:`netsim.frequency_range.frequency_range`.

    Raises
    ------
    ValueError
        If the standard has no such pair; the message lists the legal bandwidths.

    References
    ----------
    3GPP TS 38.101-1 and 38.101-2, Table 5.3.2-1.

    Examples
    --------
    >>> num_resource_blocks(20e6, 30e3)
    51
    """
    num_blocks = _table().get((band, float(subcarrier_spacing_hz), float(bandwidth_hz)))
    if num_blocks is None:
        place, message = _pair_rule(bandwidth_hz, subcarrier_spacing_hz, band)
        msg = f"{place}: {message}"
        raise ValueError(msg)
    return num_blocks


def find_problems(
    bandwidth_hz: float,
    subcarrier_spacing_hz: float,
    *,
    band: FrequencyRange = "FR1",
    path: tuple[str, ...] = (),
) -> list[Problem]:
    """Return what is wrong with a pair of bandwidth and spacing.

    Parameters
    ----------
    bandwidth_hz, subcarrier_spacing_hz, band
        As for :func:`num_resource_blocks`.
    path
        Section of the scenario that holds the two keys.
    """
    if (band, float(subcarrier_spacing_hz), float(bandwidth_hz)) in _table():
        return []
    place, message = _pair_rule(bandwidth_hz, subcarrier_spacing_hz, band)
    return [Problem((*path, place), message)]


def _pair_rule(
    bandwidth_hz: float, subcarrier_spacing_hz: float, band: FrequencyRange
) -> tuple[str, str]:
    """Return the key at fault and what would be right."""
    spacings_hz = sorted({scs_hz for _, scs_hz in legal_pairs(band)})
    if subcarrier_spacing_hz not in spacings_hz:
        known = ", ".join(f"{scs_hz / 1e3:g}e3" for scs_hz in spacings_hz)
        return (
            "subcarrier_spacing_hz",
            f"must be one of {known} in {band}, got {subcarrier_spacing_hz:g}",
        )
    wide = ", ".join(
        f"{wide_hz / 1e6:g}e6"
        for wide_hz, scs_hz in legal_pairs(band)
        if scs_hz == subcarrier_spacing_hz
    )
    return (
        "bandwidth_hz",
        f"must be one of {wide} with {subcarrier_spacing_hz / 1e3:g} kHz subcarriers in {band}, "
        f"got {bandwidth_hz:g}",
    )


def numerology(subcarrier_spacing_hz: float) -> int:
    """Return mu of TS 38.211 Table 4.2-1: spacing = 15 kHz x 2^mu.

    Raises
    ------
    ValueError
        If the spacing is not 15, 30, 60 or 120 kHz.
    """
    for mu in range(4):
        if subcarrier_spacing_hz == 15e3 * 2**mu:
            return mu
    msg = f"subcarrier_spacing_hz: must be 15e3, 30e3, 60e3 or 120e3, got {subcarrier_spacing_hz:g}"
    raise ValueError(msg)


def slot_duration_s(subcarrier_spacing_hz: float) -> float:
    """Return the duration of a slot of 14 symbols [s]: 1 ms / 2^mu."""
    return float(1e-3 / 2 ** numerology(subcarrier_spacing_hz))


def block_bandwidth_hz(subcarrier_spacing_hz: float) -> float:
    """Return the occupied bandwidth of one resource block [Hz]."""
    return SUBCARRIERS_PER_BLOCK * subcarrier_spacing_hz


def resource_elements_per_slot(
    num_blocks: float, *, overhead_fraction: float = 0.14, num_symbols: int = SYMBOLS_PER_SLOT
) -> float:
    """Return the number of resource elements of one slot that carry data.

    Parameters
    ----------
    num_blocks
        Resource blocks, >= 0; fractions stand for time sharing.
    overhead_fraction
        Share of reference signals and control, in [0, 1). TS 38.306 clause 4.1.2 uses 0.14 for
        downlink and 0.08 for uplink in FR1.
    num_symbols
        Symbols of the slot in use, 1 to 14.
    """
    if not 0 <= overhead_fraction < 1:
        msg = f"overhead_fraction: must be >= 0 and < 1, got {overhead_fraction}"
        raise ValueError(msg)
    return num_blocks * SUBCARRIERS_PER_BLOCK * num_symbols * (1 - overhead_fraction)


def resource_element_rate_hz(
    num_blocks: float, subcarrier_spacing_hz: float, *, overhead_fraction: float = 0.14
) -> float:
    """Return data-carrying resource elements per second; times spectral efficiency it is bit/s."""
    per_slot = resource_elements_per_slot(num_blocks, overhead_fraction=overhead_fraction)
    return per_slot / slot_duration_s(subcarrier_spacing_hz)


def blocks_left(num_blocks: int, busy_fraction: float) -> int:
    """Return the whole number of resource blocks that background traffic leaves free.

    Parameters
    ----------
    num_blocks
        Blocks of the carrier.
    busy_fraction
        Share of them that background traffic uses, in [0, 1].
    """
    return round(num_blocks * (1.0 - busy_fraction))
