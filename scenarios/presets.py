"""Worlds by name: the calibration cases of 3GPP RP-180524, as defaults under a scenario's own keys.

``preset: uma_mmtc_700_isd500`` at the top of a scenario fills in ``world`` and ``radio`` with what
the case fixes; every key that the scenario gives itself wins.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any

from netsim.calibration.cases import Case, cases
from netsim.calibration.drop import world_of
from netsim.problems import Problem
from scenarios.document import Document
from scenarios.errors import ScenarioError
from scenarios.messages import PRESET, nearest
from scenarios.schema import Scenario
from scenarios.unions import TAGS

CHANNEL_BANDWIDTH_HZ, SUBCARRIER_SPACING_HZ = 10e6, 15e3
"""Grid of the cases: 10 MHz; NR has no 9 MHz of 50 blocks, so 52 blocks of 15 kHz stand for it."""

_ANTENNAS = "site_rx_antennas"


def apply_preset(document: Document) -> Document:
    """Put the preset's values under those of the document and drop its key.

    Raises
    ------
    ScenarioError
        If there is no preset of this name.
    """
    if PRESET not in document.data:
        return document
    name = document.data[PRESET]
    if not isinstance(name, str) or name not in cases():
        place = document.place((PRESET,))
        raise ScenarioError(
            [f"{place}: {PRESET}: unknown {name!r}; {nearest(str(name), list(cases()))}"]
        )
    own = {key: value for key, value in document.data.items() if key != PRESET}
    return dataclasses.replace(document, data=_merge(preset_data(cases()[name]), own))


def find_problems(preset: object, scenario: Scenario) -> Iterator[Problem]:
    """Find what the calibration of a preset excludes in a variant of the study that names it.

    Parameters
    ----------
    preset
        What the key says; nothing is excluded where it is ``None``.
    scenario
        A variant: its cases and knobs are set.
    """
    antennas = 1 if scenario.radio is None else scenario.radio.site_rx_antennas
    if preset is not None and antennas != 1:
        yield Problem(
            ("radio", _ANTENNAS),
            f"must be 1 with a preset: {preset} was calibrated with one antenna, got {antennas}; "
            "leave out the one or the other",
        )


def preset_data(case: Case) -> dict[str, Any]:
    """Return the sections that a case fixes, as plain data."""
    world = dataclasses.asdict(world_of(case))
    radio = {
        "bandwidth_hz": CHANNEL_BANDWIDTH_HZ,
        "subcarrier_spacing_hz": SUBCARRIER_SPACING_HZ,
        "site_power_dbm": case.tx_power_dbm,
        "ue_noise_figure_db": case.noise_figure_db,
        _ANTENNAS: 1,
        "uplink_power": {"max_power_reduction": None},
    }
    return {"world": world, "radio": radio}


def _merge(under: Any, over: Any) -> Any:
    """Merge two values; the second wins. Mappings of the same kind are merged key by key."""
    if not isinstance(under, dict) or not isinstance(over, dict):
        return over
    if any(tag in over and over[tag] != under.get(tag) for tag in TAGS):
        return over
    keys = dict.fromkeys([*under, *over])
    return {
        key: _merge(under[key], over[key])
        if key in under and key in over
        else over.get(key, under.get(key))
        for key in keys
    }
