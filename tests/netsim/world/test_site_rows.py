"""Rows of sites and cells against the settings and TR 38.901."""

from netsim.config.world import HexagonalLayout, OmniAntenna, SectorAntenna
from netsim.world.layout import build_layout
from netsim.world.site_rows import CellRow, SiteRow, cell_rows, site_rows
from tests.netsim.worlds import TWO_SITES, plain_radio, still_world


def test_sites_and_cells_of_given_sites():
    world = still_world([(0.0, 0.0)], layout=TWO_SITES, site_height_m=30.0)
    radio = plain_radio(site_power_dbm=43.0)
    layout = build_layout(world.layout)
    assert site_rows(world, radio, layout) == [
        SiteRow(site_id=k, x_m=x_m, y_m=0.0, height_m=30.0, site_class="macro")
        for k, x_m in enumerate((0.0, 600.0))
    ]
    assert cell_rows(world, radio, layout) == [
        CellRow(
            cell_id=k,
            site_id=k,
            boresight_deg=None,
            downtilt_deg=None,
            carrier_hz=3.5e9,
            bandwidth_hz=20e6,
            num_resource_blocks=51,
            tx_power_dbm=43.0,
        )
        for k in (0, 1)
    ]


def test_sectors_have_boresight_and_tilt_and_defaults_are_those_of_the_standard():
    world = still_world([(0.0, 0.0)], layout=HexagonalLayout(num_sites=7), environment="umi")
    layout = build_layout(world.layout)
    sites, cells = (make(world, plain_radio(), layout) for make in (site_rows, cell_rows))
    assert {(row.height_m, row.site_class) for row in sites} == {(10.0, "micro")}
    assert [row.site_id for row in cells] == [k // 3 for k in range(21)]
    assert [row.boresight_deg for row in cells] == [30.0, 150.0, 270.0] * 7
    assert {(row.downtilt_deg, row.tx_power_dbm) for row in cells} == {(9.0, 41.0)}
    for antenna, downtilt_deg in ((SectorAntenna(zenith_deg=96.0), 6.0), (OmniAntenna(), None)):
        changed = still_world([(0.0, 0.0)], layout=HexagonalLayout(), antenna=antenna)
        rows = cell_rows(changed, plain_radio(), build_layout(changed.layout))
        assert {row.downtilt_deg for row in rows} == {downtilt_deg}
