"""Sites with heights, azimuths and tilts of their own: gains by the formulas."""

from dataclasses import replace
from math import atan2, cos, degrees, hypot, log10, pi, radians

import numpy as np
import pytest

from netsim.channel.link_budget import LinkBudget
from netsim.config import WorldConfig
from netsim.config.sites import SectorConfig, SiteConfig, SitesLayout
from netsim.config.world import HexagonalLayout, NoShadowing, SectorAntenna
from netsim.units import linear_to_db
from netsim.world.layout import build_layout
from netsim.world.population import Population

PLANE = {"width_m": 3000.0, "height_m": 3000.0}
ONE_RAY = SectorAntenna(ray_averaged=False)


def gain_db(layout, places_m, *, seed=1, **changes):
    settings = {"line_of_sight": "always", "shadowing": NoShadowing()} | changes
    world = WorldConfig(environment="uma", layout=layout, carrier_hz=3.5e9, **settings)
    built = build_layout(layout)
    budget = LinkBudget(world, built, Population(world, built, seed=seed), seed=seed)
    found = budget.gain_at(np.array(places_m, dtype=float), client_ids=np.arange(len(places_m)))
    return linear_to_db(found)


def site(x_m=0.0, y_m=0.0, *sectors, **changes):
    return SiteConfig(x_m=x_m, y_m=y_m, sectors=sectors or None, **changes)


def uma_los_db(distance_m, height_m):
    """TR 38.901 Table 7.4.1-1, UMa LOS, a client of 1.5 m, 3.5 GHz."""
    slant_m = hypot(distance_m, height_m - 1.5)
    corner_m = 4 * (height_m - 1) * 0.5 * 3.5e9 / 3e8
    if distance_m <= corner_m:
        return 28 + 22 * log10(slant_m) + 20 * log10(3.5)
    corner_m2 = corner_m**2 + (height_m - 1.5) ** 2
    return 28 + 40 * log10(slant_m) + 20 * log10(3.5) - 9 * log10(corner_m2)


def column_db(zenith_deg, steered_deg):
    """The element's vertical cut and the sum of eight elements 0.8 wavelengths apart."""
    phase = 2 * pi * 0.8 * (cos(radians(zenith_deg)) - cos(radians(steered_deg)))
    total = abs(sum(np.exp(1j * m * phase) for m in range(8))) ** 2 / 8
    return 8 - 12 * ((zenith_deg - 90) / 65) ** 2 + 10 * log10(total)


def test_a_site_twice_as_high_has_another_path_loss_and_breakpoint():
    """700 m away: beyond the breakpoint of the lower (443 m), before that of the higher (910 m)."""
    layout = SitesLayout(
        sites=(site(-700.0, 0.0, height_m=20.0), site(700.0, 0.0, height_m=40.0)),
        num_sectors=1,
        **PLANE,
    )
    (low, high) = gain_db(layout, [(0.0, 0.0)])[0]
    assert low == pytest.approx(-uma_los_db(700.0, 20.0), abs=1e-9)
    assert high == pytest.approx(-uma_los_db(700.0, 40.0), abs=1e-9)
    assert high - low > 3.0


def test_a_tilted_sector_has_the_gain_of_its_column():
    """North of the site; one sector of three looks there, each site with a tilt of its own."""
    tilts = (4.0, 12.0, None)
    layout = SitesLayout(
        sites=tuple(
            site(x_m, 0.0, *(SectorConfig(azimuth_deg=a, tilt_deg=t) for a in (0.0, 120.0, 240.0)))
            for x_m, t in zip((-900.0, 0.0, 900.0), tilts, strict=True)
        ),
        **PLANE,
    )
    for index, (x_m, tilt_deg) in enumerate(
        zip((-900.0, 0.0, 900.0), (4.0, 12.0, 9.0), strict=True)
    ):
        found = gain_db(layout, [(x_m, 300.0)], antenna=ONE_RAY)[0, 3 * index]
        zenith_deg = 90 + degrees(atan2(23.5, 300.0))
        expected = column_db(zenith_deg, 90 + tilt_deg) - uma_los_db(300.0, 25.0)
        assert found == pytest.approx(expected, abs=1e-9)


def test_sectors_of_one_site_may_have_different_tilts():
    sectors = (
        SectorConfig(azimuth_deg=0.0, tilt_deg=2.0),
        SectorConfig(azimuth_deg=90.0, tilt_deg=10.0),
    )
    layout = SitesLayout(sites=(site(0.0, 0.0, *sectors),), **PLANE)
    north, east = gain_db(layout, [(0.0, 300.0), (300.0, 0.0)], antenna=ONE_RAY)
    zenith_deg = 90 + degrees(atan2(23.5, 300.0))
    assert north[0] == pytest.approx(
        column_db(zenith_deg, 92.0) - uma_los_db(300.0, 25.0), abs=1e-9
    )
    assert east[1] == pytest.approx(
        column_db(zenith_deg, 100.0) - uma_los_db(300.0, 25.0), abs=1e-9
    )


def test_an_omnidirectional_site_beside_sectors_has_0_dbi():
    layout = SitesLayout(
        sites=(
            site(-200.0, 0.0, SectorConfig()),
            site(200.0, 0.0, SectorConfig(azimuth_deg=270.0)),
        ),
        **PLANE,
    )
    omni, sector = gain_db(layout, [(0.0, 0.0)], antenna=ONE_RAY)[0]
    assert omni == pytest.approx(-uma_los_db(200.0, 25.0), abs=1e-9)
    zenith_deg = 90 + degrees(atan2(23.5, 200.0))
    assert sector - omni == pytest.approx(column_db(zenith_deg, 99.0), abs=1e-9)


@pytest.mark.parametrize("antenna", [None, ONE_RAY])
def test_a_hexagonal_grid_of_own_sites_has_exactly_the_gains_of_the_built_in_one(antenna):
    """Line of sight, shadowing, buildings and rays are drawn; heights and tilts are told."""
    grid = HexagonalLayout(num_sites=7)
    sectors = tuple(
        SectorConfig(azimuth_deg=azimuth_deg, tilt_deg=9.0) for azimuth_deg in (60.0, 300.0, 180.0)
    )
    own = SitesLayout(
        sites=tuple(
            site(each.x_m, each.y_m, *sectors, height_m=25.0) for each in build_layout(grid).sites
        ),
        **PLANE,
    )
    places_m = np.random.default_rng(3).uniform(-600, 600, (40, 2))
    drawn = {"line_of_sight": "probability", "shadowing": WorldConfig.shadowing}
    expected, found = (
        gain_db(layout, places_m, antenna=antenna, indoor_fraction=0.5, **drawn)
        for layout in (grid, own)
    )
    np.testing.assert_array_equal(found, expected)


def test_turning_one_site_changes_only_its_cells():
    """Rays averaged: turned by 120 degrees, its sectors have the gains of one another."""
    plain = SitesLayout(sites=(site(-400.0, 0.0), site(400.0, 0.0)), **PLANE)
    turned = replace(
        plain,
        sites=(
            plain.sites[0],
            site(400.0, 0.0, *(SectorConfig(azimuth_deg=a) for a in (180.0, 60.0, 300.0))),
        ),
    )
    places_m = np.random.default_rng(4).uniform(-900, 900, (20, 2))
    before, after = (gain_db(layout, places_m) for layout in (plain, turned))
    np.testing.assert_array_equal(after[:, :3], before[:, :3])
    np.testing.assert_allclose(after[:, [4, 5, 3]], before[:, 3:], rtol=1e-12)
