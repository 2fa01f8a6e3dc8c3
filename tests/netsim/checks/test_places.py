"""Given places that are in another unit or have another origin are refused with the reason."""

from dataclasses import replace

import pytest

from netsim.checks.places import find_problems
from netsim.config.sites import SitesLayout
from netsim.config.world import SingleCellLayout, StaticMobility, WorldConfig

SITES_M = ((0.0, 0.0), (600.0, 0.0), (0.0, 520.0))
PLANE = SitesLayout(positions_m=SITES_M, width_m=3000.0, height_m=3000.0)
WORLD = WorldConfig(environment="uma", layout=PLANE, carrier_hz=3.5e9)


def standing(*positions_m):
    mobility = StaticMobility(positions_m=positions_m)
    return replace(WORLD, layout=SingleCellLayout(), mobility=mobility)


@pytest.mark.parametrize(
    "world",
    [
        WORLD,
        replace(WORLD, layout=replace(PLANE, positions_m=((0.0, 0.0), (3.0, 4.0)))),
        standing((100.0, 0.0)),
        standing((100.0, 0.0), (100.0, 0.0)),
        standing((100.0, 0.0), (101.0, 0.0)),
    ],
)
def test_places_in_metres_are_taken(world):
    assert list(find_problems(world)) == []


@pytest.mark.parametrize(
    ("positions_m", "index", "words"),
    [
        (((0.0, 0.0), (0.6, 0.0), (0.0, 0.52)), "1", "got (0.6, 0), 0.6 m from site 0"),
        (((13.405, 52.52), (13.41, 52.52)), "1", "got (13.41, 52.52), 0.005 m from site 0"),
        ((*SITES_M, (600.0, 4.9)), "3", "must be at least 5 m from every other site, in metres"),
        (((382e3, 5.82e6), (383e3, 5.82e6)), "0", "must lie in the plane, |x| <= 1500 m"),
        (((0.0, 0.0), (0.0, 0.0)), "1", "must be a place of its own, got (0, 0) again"),
    ],
)
def test_sites_in_another_unit_or_from_another_origin_are_refused(positions_m, index, words):
    first, *_ = find_problems(replace(WORLD, layout=replace(PLANE, positions_m=positions_m)))
    assert first.path == ("world", "layout", "positions_m", index)
    assert words in first.message


def test_sites_too_near_are_told_once():
    many = tuple((0.01 * index, 0.0) for index in range(300))
    assert len(list(find_problems(replace(WORLD, layout=replace(PLANE, positions_m=many))))) == 1


@pytest.mark.parametrize(
    ("positions_m", "path", "words"),
    [
        (((0.1, 0.0), (0.4, 0.4)), (), "got 2 places within 0.5 m"),
        (((13.405, 52.52), (13.406, 52.53), (13.404, 52.51)), (), "(not kilometres or degrees)"),
        (
            ((382e3, 5.82e6),),
            ("0",),
            "must lie within 5000 m of the origin or a site, where the path-loss",
        ),
    ],
)
def test_clients_in_another_unit_or_from_another_origin_are_refused(positions_m, path, words):
    (problem,) = find_problems(standing(*positions_m))
    assert problem.path == ("world", "mobility", "positions_m", *path)
    assert words in problem.message
