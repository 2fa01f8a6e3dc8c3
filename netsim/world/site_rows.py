"""Rows of sites and cells: what of a network's layout and carrier a reader of its results needs."""

from dataclasses import dataclass

from netsim.config import RadioConfig, WorldConfig, standard
from netsim.config.radio import SiteClass
from netsim.config.world import SectorAntenna
from netsim.frequency_range import frequency_range
from netsim.phy.resource_grid import num_resource_blocks
from netsim.world.layout import Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRow:
    """One row of ``sites.csv``."""

    site_id: int
    x_m: float
    y_m: float
    height_m: float
    """Of the antennas above ground."""
    site_class: SiteClass
    """Row of the EARTH power model, such as ``macro`` or ``pico``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CellRow:
    """One row of ``cells.csv``. ``None`` is an empty cell."""

    cell_id: int
    site_id: int
    boresight_deg: float | None
    """Boresight, counter-clockwise from the x axis; ``None``: omnidirectional."""
    downtilt_deg: float | None
    """Electrical tilt below the horizon; ``None``: an antenna without a main direction."""
    carrier_hz: float
    bandwidth_hz: float
    """Channel bandwidth, guard bands included."""
    num_resource_blocks: int
    """Resource blocks of the carrier."""
    tx_power_dbm: float
    """Total power over the band, antenna gain not included."""


def site_rows(world: WorldConfig, radio: RadioConfig, layout: Layout) -> list[SiteRow]:
    """Return a row for every site, in the order of ids."""
    return [
        SiteRow(
            site_id=site.site_id,
            x_m=site.x_m,
            y_m=site.y_m,
            height_m=standard.site_height_m(world),
            site_class=standard.site_class(world, radio),
        )
        for site in layout.sites
    ]


def cell_rows(world: WorldConfig, radio: RadioConfig, layout: Layout) -> list[CellRow]:
    """Return a row for every cell, in the order of ids."""
    antenna = standard.antenna(world)
    downtilt_deg = antenna.zenith_deg - 90.0 if isinstance(antenna, SectorAntenna) else None
    num_blocks = num_resource_blocks(
        radio.bandwidth_hz, radio.subcarrier_spacing_hz, band=frequency_range(world.carrier_hz)
    )
    return [
        CellRow(
            cell_id=cell.cell_id,
            site_id=cell.site_id,
            boresight_deg=cell.boresight_deg,
            downtilt_deg=downtilt_deg,
            carrier_hz=world.carrier_hz,
            bandwidth_hz=radio.bandwidth_hz,
            num_resource_blocks=num_blocks,
            tx_power_dbm=standard.site_power_dbm(world, radio),
        )
        for cell in layout.cells
    ]
