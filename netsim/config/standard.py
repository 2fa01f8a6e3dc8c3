"""Default values of settings left at ``None``, and numbers of sites and cells of a layout.

Heights are those of :mod:`netsim.config.environment`. 46 dBm for macro cells is the value of ITU-R
M.2412 rural; 41 dBm for street and 24 dBm for office cells are our choice: the largest power of the
EARTH hardware of that class. They are for carriers of up to 20 MHz; the power of wider ones in FR1
is larger in proportion (our choice), so that a block has the same power and reach.

Overheads are those of TS 38.306 clause 4.1.2, noise figures those of TR 36.814 and TR 38.802 in FR1
and of ITU-R M.2412 at 30 GHz in FR2 (recollected).
"""

from dataclasses import dataclass
from math import log10

from netsim.config.environment import MODEL_RANGES
from netsim.config.radio import BackgroundShare, RadioConfig, SiteClass
from netsim.config.sites import SitesLayout
from netsim.config.world import (
    Antenna,
    HexagonalLayout,
    IndoorOfficeLayout,
    OmniAntenna,
    SectorAntenna,
    SingleCellLayout,
    WorldConfig,
)
from netsim.frequency_range import FrequencyRange, frequency_range

SCALED_FROM_HZ = 20e6
"""Bandwidth from which the power of a cell grows with it."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeDefaults:
    """Default values of one frequency range."""

    uplink_overhead_fraction: float
    downlink_overhead_fraction: float
    site_noise_figure_db: float
    ue_noise_figure_db: float


OF_RANGE: dict[FrequencyRange, RangeDefaults] = {
    "FR1": RangeDefaults(
        uplink_overhead_fraction=0.08,
        downlink_overhead_fraction=0.14,
        site_noise_figure_db=5.0,
        ue_noise_figure_db=9.0,
    ),
    "FR2": RangeDefaults(
        uplink_overhead_fraction=0.10,
        downlink_overhead_fraction=0.18,
        site_noise_figure_db=7.0,
        ue_noise_figure_db=10.0,
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
    """Return whether some cell has a boresight."""
    layout = world.layout
    if isinstance(layout, SitesLayout):
        return any(sector.azimuth_deg is not None for sector in layout.cells)
    return isinstance(layout, HexagonalLayout)


def num_sites(world: WorldConfig) -> int:
    """Return the number of sites of the layout."""
    match world.layout:
        case HexagonalLayout(num_sites=count):
            return count
        case IndoorOfficeLayout():
            return 12
        case SitesLayout():
            return len(world.layout.own)
        case SingleCellLayout():
            return 1


def has_single_cell(world: WorldConfig) -> bool:
    """Return whether there is a single cell, without neighbours for handover or interference."""
    return num_cells(world) == 1


def num_cells(world: WorldConfig) -> int:
    """Return the number of cells: own ones, else three a site where there are sectors."""
    if isinstance(world.layout, SitesLayout):
        return len(world.layout.cells)
    return num_sites(world) * (3 if has_sectors(world) else 1)


def sites_fail(radio: RadioConfig) -> bool:
    """Whether any site is ever out of service, by plan or at random."""
    return bool(radio.outages) or radio.outage_rate is not None


def background_share(radio: RadioConfig) -> BackgroundShare:
    """Return the constant share of blocks that background traffic has; none where it is users."""
    load = radio.background_load
    return load if isinstance(load, BackgroundShare) else BackgroundShare()


def bandwidth_scale(world: WorldConfig, radio: RadioConfig) -> float:
    """Return the bandwidth over 20 MHz, at least 1; 1 in FR2, where power does not scale."""
    if frequency_range(world.carrier_hz) == "FR2":
        return 1.0
    return max(radio.bandwidth_hz / SCALED_FROM_HZ, 1.0)


def site_power_dbm(world: WorldConfig, radio: RadioConfig) -> float:
    """Return the total power of one cell over its band [dBm]."""
    if radio.site_power_dbm is not None:
        return radio.site_power_dbm
    scale_db = 10.0 * log10(bandwidth_scale(world, radio))
    return DEFAULTS[world.environment].site_power_dbm + scale_db


def uplink_overhead_fraction(world: WorldConfig, radio: RadioConfig) -> float:
    """Return the share of resource elements without data in the uplink."""
    if radio.uplink_overhead_fraction is not None:
        return radio.uplink_overhead_fraction
    return _of_range(world).uplink_overhead_fraction


def downlink_overhead_fraction(world: WorldConfig, radio: RadioConfig) -> float:
    """Return the share of resource elements without data in the downlink."""
    if radio.downlink_overhead_fraction is not None:
        return radio.downlink_overhead_fraction
    return _of_range(world).downlink_overhead_fraction


def site_noise_figure_db(world: WorldConfig, radio: RadioConfig) -> float:
    """Return the noise figure of the sites [dB]."""
    if radio.site_noise_figure_db is not None:
        return radio.site_noise_figure_db
    return _of_range(world).site_noise_figure_db


def ue_noise_figure_db(world: WorldConfig, radio: RadioConfig) -> float:
    """Return the noise figure of the clients [dB]."""
    if radio.ue_noise_figure_db is not None:
        return radio.ue_noise_figure_db
    return _of_range(world).ue_noise_figure_db


def _of_range(world: WorldConfig) -> RangeDefaults:
    return OF_RANGE[frequency_range(world.carrier_hz)]


def site_class(world: WorldConfig, radio: RadioConfig) -> SiteClass:
    """Return the EARTH class of the sites."""
    if radio.energy.site_class is not None:
        return radio.energy.site_class
    return DEFAULTS[world.environment].site_class
