"""Own sites that cannot be meant, and settings that they leave without effect, are one line."""

from dataclasses import replace

import pytest

from netsim.checks.rules import find_problems
from netsim.config import RadioConfig, WorldConfig
from netsim.config.sites import SectorConfig, SiteConfig, SitesLayout
from netsim.config.world import OmniAntenna, SectorAntenna

SECTORS = tuple(SectorConfig(azimuth_deg=azimuth_deg) for azimuth_deg in (0.0, 120.0, 240.0))
SITE = SiteConfig(x_m=0.0, y_m=0.0)
OTHER = SiteConfig(x_m=600.0, y_m=0.0)
RADIO = RadioConfig(bandwidth_hz=20e6, subcarrier_spacing_hz=30e3)


def world(*sites, antenna=None, site_height_m=None, **layout):
    return WorldConfig(
        environment="uma",
        layout=SitesLayout(**({"sites": sites} if sites else {}) | layout),
        carrier_hz=3.5e9,
        antenna=antenna,
        site_height_m=site_height_m,
    )


def with_sectors(*sectors, **changes):
    return replace(SITE, sectors=sectors, **changes)


@pytest.mark.parametrize(
    "layout",
    [
        world(SITE),
        world(SITE, OTHER, width_m=2000.0, height_m=1000.0),
        world(with_sectors(*SECTORS, height_m=30.0, power_dbm=43.0), OTHER, site_height_m=20.0),
        world(with_sectors(SectorConfig(azimuth_deg=-90.0, tilt_deg=3.0, power_dbm=40.0)), OTHER),
        world(with_sectors(SectorConfig()), OTHER),
        world(SiteConfig(lat_deg=48.1, lon_deg=11.5), SiteConfig(lat_deg=48.11, lon_deg=11.51)),
        world(SITE, OTHER, margin_m=400.0, num_sectors=1),
    ],
)
def test_own_sites_are_taken(layout):
    assert find_problems(layout, RADIO) == []


@pytest.mark.parametrize(
    ("layout", "path", "words"),
    [
        (world(), "world.layout", "must have one of positions_m, sites and path, got none of them"),
        (world(SITE, positions_m=((0.0, 0.0),)), "world.layout", "got positions_m and sites"),
        (world(path="a.csv"), "world.layout.path", "must be read before"),
        (world(replace(SITE, y_m=None)), "world.layout.sites.0.y_m", "missing; a site needs x_m"),
        (
            world(SITE, SiteConfig(lat_deg=48.1, lon_deg=11.5)),
            "world.layout.sites.1.lat_deg",
            "has no place beside x_m and y_m: all sites are told alike",
        ),
        (world(SITE, replace(OTHER, x_m=0.003)), "world.layout.sites.1", "(not kilometres or deg"),
        (world(SITE, SITE), "world.layout.sites.1", "must be a place of its own"),
        (
            world(SITE, replace(OTHER, x_m=2000.0), width_m=900.0, height_m=900.0),
            "world.layout.sites.1",
            "must lie in the plane, |x| <= 450 m",
        ),
        (
            world(SiteConfig(lat_deg=10.0, lon_deg=60.0), SiteConfig(lat_deg=60.0, lon_deg=100.0)),
            "world.layout.sites.0",
            "must lie within 50 km of all other sites, in degrees (not metres",
        ),
        (
            world(
                SiteConfig(lat_deg=48.1, lon_deg=11.5), SiteConfig(lat_deg=48.1, lon_deg=11.50001)
            ),
            "world.layout.sites.1",
            "must be at least 5 m from every other site, got",
        ),
        (world(replace(SITE, height_m=60.0)), "world.layout.sites.0.height_m", "within 15 and 50"),
        (
            world(with_sectors(*SECTORS, power_dbm=49.0)),
            "world.layout.sites.0.power_dbm",
            "must be <= 46.02 dBm, the most that a cell of energy.site_class macro radiates",
        ),
        (
            world(with_sectors(SectorConfig(azimuth_deg=1.0, power_dbm=60.0))),
            "world.layout.sites.0.sectors.0.power_dbm",
            "must be <= 46.02 dBm",
        ),
        (
            world(with_sectors(SectorConfig(), SectorConfig(azimuth_deg=1.0))),
            "world.layout.sites.0.sectors.0.azimuth_deg",
            "missing; each of the 2 sectors of a site needs it",
        ),
        (
            world(with_sectors(SectorConfig(azimuth_deg=0.0), SectorConfig(azimuth_deg=360.0))),
            "world.layout.sites.0.sectors.1.azimuth_deg",
            "must differ from those of the site's other sectors, got 0 again",
        ),
    ],
)
def test_what_cannot_be_meant_is_one_line(layout, path, words):
    (problem,) = find_problems(layout, RADIO)
    assert ".".join(problem.path) == path
    assert words in problem.message


TILTED = SectorConfig(azimuth_deg=0.0, tilt_deg=5.0)


@pytest.mark.parametrize(
    ("layout", "radio", "path"),
    [
        (world(SITE, width_m=900.0, height_m=900.0, margin_m=99.0), {}, "world.layout.margin_m"),
        (world(with_sectors(*SECTORS), num_sectors=1), {}, "world.layout.num_sectors"),
        (world(replace(SITE, height_m=20.0), site_height_m=30.0), {}, "world.site_height_m"),
        (
            world(replace(SITE, power_dbm=40.0)),
            {"site_power_dbm": 43.0},
            "radio.site_power_dbm",
        ),
        (
            world(with_sectors(SectorConfig(azimuth_deg=0.0, power_dbm=40.0), power_dbm=43.0)),
            {},
            "world.layout.sites.0.power_dbm",
        ),
        (
            world(with_sectors(SectorConfig(tilt_deg=5.0)), OTHER),
            {},
            "world.layout.sites.0.sectors.0.tilt_deg",
        ),
        (
            world(with_sectors(TILTED), antenna=SectorAntenna(zenith_deg=95.0)),
            {},
            "world.antenna.zenith_deg",
        ),
        (
            world(with_sectors(TILTED), antenna=SectorAntenna(num_elements=1)),
            {},
            "world.layout.sites.0.sectors.0.tilt_deg",
        ),
        (
            world(with_sectors(SECTORS[0]), antenna=OmniAntenna(gain_dbi=2.0)),
            {},
            "world.antenna.kind",
        ),
    ],
)
def test_what_has_no_effect_is_refused(layout, radio, path):
    (problem,) = find_problems(layout, replace(RADIO, **radio))
    assert ".".join(problem.path) == path
    if path != "world.antenna.kind":
        assert "no effect" in problem.message
