"""Own sites: places, area, cells with their boresights, and what they have of their own."""

import numpy as np
import pytest

from netsim.config import RadioConfig, WorldConfig
from netsim.config.sites import SectorConfig, SiteConfig, SitesLayout
from netsim.config.world import HexagonalLayout
from netsim.world.layout import build_layout
from netsim.world.site_rows import cell_rows, site_rows

MIXED = SitesLayout(
    sites=(
        SiteConfig(x_m=0.0, y_m=0.0, height_m=30.0, power_dbm=43.0, sectors=(
            SectorConfig(azimuth_deg=0.0, tilt_deg=4.0),
            SectorConfig(azimuth_deg=90.0, power_dbm=40.0),
        )),
        SiteConfig(x_m=400.0, y_m=-300.0, sectors=(SectorConfig(),)),
        SiteConfig(x_m=-500.0, y_m=0.0),
    ),
    margin_m=100.0,
)  # fmt: skip
WORLD = WorldConfig(environment="uma", layout=MIXED, carrier_hz=3.5e9)
RADIO = RadioConfig(bandwidth_hz=20e6, subcarrier_spacing_hz=30e3)


def test_azimuths_count_clockwise_from_north_and_boresights_counter_clockwise_from_east():
    layout = build_layout(MIXED)
    assert [cell.boresight_deg for cell in layout.cells] == [90.0, 0.0, None, 30.0, 150.0, 270.0]
    assert layout.cell_site_id.tolist() == [0, 0, 1, 2, 2, 2]
    assert [site.cell_ids for site in layout.sites] == [(0, 1), (2,), (3, 4, 5)]


def test_the_area_ends_at_the_margin_where_its_extent_is_left_out():
    assert build_layout(MIXED).area.bounds_m == (-600.0, -400.0, 600.0, 400.0)


def test_rows_tell_what_each_has_of_its_own_and_what_of_the_environment():
    layout = build_layout(MIXED)
    assert [row.height_m for row in site_rows(WORLD, RADIO, layout)] == [30.0, 25.0, 25.0]
    cells = cell_rows(WORLD, RADIO, layout)
    assert [row.downtilt_deg for row in cells] == [4.0, 9.0, None, 9.0, 9.0, 9.0]
    assert [row.tx_power_dbm for row in cells] == [43.0, 40.0, 46.0, 46.0, 46.0, 46.0]


def test_a_grid_of_own_sites_is_the_built_in_one():
    grid = build_layout(HexagonalLayout(num_sites=7))
    positions_m = tuple((site.x_m, site.y_m) for site in grid.sites)
    for layout in (
        SitesLayout(positions_m=positions_m),
        SitesLayout(sites=tuple(SiteConfig(x_m=x_m, y_m=y_m) for x_m, y_m in positions_m)),
    ):
        own = build_layout(layout)
        assert own.cells == grid.cells
        assert own.sites == grid.sites


def test_latitude_and_longitude_are_metres_from_the_middle():
    """Two sites 1000 m apart on the equator's parallel: a degree is 111 319.49 m."""
    half_deg = 500.0 / 111_319.4908
    layout = build_layout(
        SitesLayout(
            sites=tuple(SiteConfig(lat_deg=0.0, lon_deg=30.0 + d) for d in (-half_deg, half_deg))
        )
    )
    np.testing.assert_allclose(layout.site_position_m, [(-500.0, 0.0), (500.0, 0.0)], atol=1e-4)
    assert layout.area.bounds_m == pytest.approx((-750.0, -250.0, 750.0, 250.0), abs=1e-3)
