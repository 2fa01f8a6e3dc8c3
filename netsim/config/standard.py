"""Default values of settings left at ``None``, and numbers of sites and cells of a layout.

Heights are those of :mod:`netsim.config.environment`. 46 dBm for macro cells is the value of ITU-R
M.2412 rural; 41 dBm for street and 24 dBm for office cells are our choice: the largest power of the
EARTH hardware of that class.
"""

from dataclasses import dataclass

from netsim.config.environment import MODEL_RANGES
from netsim.config.radio import RadioConfig, SiteClass
from netsim.config.world import (
    Antenna,
    HexagonalLayout,
    IndoorOfficeLayout,
    OmniAntenna,
    SectorAntenna,
    SingleCellLayout,
    SitesLayout,
    WorldConfig,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnvironmentDefaults:
    """Default values of one environment of TR 38.901."""

    site_power_dbm: float
    site_class: SiteClass


DEFAULTS: dict[str, EnvironmentDefaults] = {
    "uma": EnvironmentDefaults(
        site_power_dbm=46.0,
        site_class="macro",
    ),
    "umi": EnvironmentDefaults(
        site_power_dbm=41.0,
        site_class="micro",
    ),
    "rma": EnvironmentDefaults(
        site_power_dbm=46.0,
        site_class="macro",
    ),
    "inh": EnvironmentDefaults(
        site_power_dbm=24.0,
        site_class="pico",
    ),
}


def site_height_m(world: WorldConfig) -> float:
    """Return the antenna height [m] of the sites."""
    if world.site_height_m is not None:
        return world.site_height_m
    return MODEL_RANGES[world.environment].default_bs_height_m


def ue_height_m(world: WorldConfig) -> float:
    """Return the antenna height [m] of the clients."""
    if world.ue_height_m is not None:
        return world.ue_height_m
    return MODEL_RANGES[world.environment].default_ue_height_m


def antenna(world: WorldConfig) -> Antenna:
    """Return the site antenna: a column of elements where there are sectors, else 0 dBi."""
    if world.antenna is not None:
        return world.antenna
    return SectorAntenna() if has_sectors(world) else OmniAntenna()


def has_sectors(world: WorldConfig) -> bool:
    """Return whether a site has several cells with different boresights."""
    layout = world.layout
    if isinstance(layout, SitesLayout):
        return layout.has_sectors
    return isinstance(layout, HexagonalLayout)


def num_sites(world: WorldConfig) -> int:
    """Return the number of sites of the layout."""
    match world.layout:
        case HexagonalLayout(num_sites=count):
            return count
        case IndoorOfficeLayout():
            return 12
        case SitesLayout(positions_m=places):
            return len(places)
        case SingleCellLayout():
            return 1


def has_single_cell(world: WorldConfig) -> bool:
    """Return whether there is a single cell, without neighbours for handover or interference."""
    return num_sites(world) == 1 and not has_sectors(world)


def site_power_dbm(world: WorldConfig, radio: RadioConfig) -> float:
    """Return the total power of one cell over its band [dBm]."""
    if radio.site_power_dbm is not None:
        return radio.site_power_dbm
    return DEFAULTS[world.environment].site_power_dbm


def site_class(world: WorldConfig, radio: RadioConfig) -> SiteClass:
    """Return the EARTH class of the sites."""
    if radio.energy.site_class is not None:
        return radio.energy.site_class
    return DEFAULTS[world.environment].site_class
