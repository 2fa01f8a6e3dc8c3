"""Rows of sites and cells: what of a network's layout and carrier a reader of its results needs."""

from dataclasses import dataclass

from netsim.config import RadioConfig, WorldConfig, standard
from netsim.config.radio import SiteClass
from netsim.frequency_range import frequency_range
from netsim.phy.resource_grid import num_resource_blocks
from netsim.world.cell_values import cell_powers_dbm, cell_zeniths_deg, site_heights_m
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
            height_m=height_m,
            site_class=standard.site_class(world, radio),
        )
        for site, height_m in zip(layout.sites, site_heights_m(world, layout).tolist(), strict=True)
    ]


def cell_rows(world: WorldConfig, radio: RadioConfig, layout: Layout) -> list[CellRow]:
    """Return a row for every cell, in the order of ids."""
    num_blocks = num_resource_blocks(
        radio.bandwidth_hz, radio.subcarrier_spacing_hz, band=frequency_range(world.carrier_hz)
    )
    return [
        CellRow(
            cell_id=cell.cell_id,
            site_id=cell.site_id,
            boresight_deg=cell.boresight_deg,
            downtilt_deg=None if zenith_deg is None else zenith_deg - 90.0,
            carrier_hz=world.carrier_hz,
            bandwidth_hz=radio.bandwidth_hz,
            num_resource_blocks=num_blocks,
            tx_power_dbm=power_dbm,
        )
        for cell, zenith_deg, power_dbm in zip(
            layout.cells,
            cell_zeniths_deg(world, layout),
            cell_powers_dbm(world, radio, layout).tolist(),
            strict=True,
        )
    ]
