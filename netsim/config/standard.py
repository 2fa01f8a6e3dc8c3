"""What a ``None`` in the scenario stands for: the usual value of each environment.

Heights are those of TR 38.901 Table 7.2-1 to -3. Powers and site classes are common evaluation
assumptions (46 dBm macro as in ITU-R M.2412 rural; 41 dBm and 24 dBm for street and office cells
are our choice) and so are the model ranges' carrier limits where the standard gives only 0.5 to
100 GHz.
"""

from dataclasses import dataclass
from typing import Literal

from netsim.config.radio import RadioConfig
from netsim.config.world import (
    Antenna,
    HexagonalLayout,
    OmniAntenna,
    SectorAntenna,
    WorldConfig,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentDefaults:
    """Usual values of one environment of TR 38.901."""

    site_height_m: float
    ue_height_m: float
    site_power_dbm: float
    site_class: Literal["macro", "rrh", "micro", "pico", "femto"]
    max_carrier_hz: float


DEFAULTS: dict[str, EnvironmentDefaults] = {
    "uma": EnvironmentDefaults(
        site_height_m=25.0,
        ue_height_m=1.5,
        site_power_dbm=46.0,
        site_class="macro",
        max_carrier_hz=100e9,
    ),
    "umi": EnvironmentDefaults(
        site_height_m=10.0,
        ue_height_m=1.5,
        site_power_dbm=41.0,
        site_class="micro",
        max_carrier_hz=100e9,
    ),
    "rma": EnvironmentDefaults(
        site_height_m=35.0,
        ue_height_m=1.5,
        site_power_dbm=46.0,
        site_class="macro",
        max_carrier_hz=7e9,
    ),
    "inh": EnvironmentDefaults(
        site_height_m=3.0,
        ue_height_m=1.0,
        site_power_dbm=24.0,
        site_class="pico",
        max_carrier_hz=100e9,
    ),
}

MIN_CARRIER_HZ = 0.5e9
"""Lower end of every model of TR 38.901 [Hz]."""


def site_height_m(world: WorldConfig) -> float:
    """Give the antenna height [m] of the sites."""
    if world.site_height_m is not None:
        return world.site_height_m
    return DEFAULTS[world.environment].site_height_m


def ue_height_m(world: WorldConfig) -> float:
    """Give the antenna height [m] of the clients."""
    if world.ue_height_m is not None:
        return world.ue_height_m
    return DEFAULTS[world.environment].ue_height_m


def antenna(world: WorldConfig) -> Antenna:
    """Give the site antenna: a sector column on a hexagonal layout, else 0 dBi all around."""
    if world.antenna is not None:
        return world.antenna
    return SectorAntenna() if isinstance(world.layout, HexagonalLayout) else OmniAntenna()


def site_power_dbm(world: WorldConfig, radio: RadioConfig) -> float:
    """Give the total power of one cell over its band [dBm]."""
    if radio.site_power_dbm is not None:
        return radio.site_power_dbm
    return DEFAULTS[world.environment].site_power_dbm


def site_class(
    world: WorldConfig, radio: RadioConfig
) -> Literal["macro", "rrh", "micro", "pico", "femto"]:
    """Give the EARTH class of the sites."""
    if radio.energy.site_class is not None:
        return radio.energy.site_class
    return DEFAULTS[world.environment].site_class
