"""Layouts, areas and wrap-around (step 21 of the ladder)."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare, ks_2samp

from netsim.config.sites import SitesLayout
from netsim.config.world import (
    HexagonalLayout,
    IndoorOfficeLayout,
    SingleCellLayout,
)
from netsim.world.area import Disc, Hexagons, Rectangle
from netsim.world.layout import build_layout, copy_shifts_m

LAYOUTS = [
    SingleCellLayout(radius_m=100.0),
    HexagonalLayout(num_sites=1),
    HexagonalLayout(num_sites=7, wraparound=True),
    HexagonalLayout(num_sites=19, wraparound=True),
    IndoorOfficeLayout(),
]
every_layout = pytest.mark.parametrize("config", LAYOUTS, ids=lambda c: f"{c.kind}")


def test_counts():
    assert [len(build_layout(config).sites) for config in LAYOUTS] == [1, 1, 7, 19, 12]
    assert [len(build_layout(config).cells) for config in LAYOUTS] == [1, 3, 21, 57, 12]


def test_hexagonal_distances_and_boresights():
    layout = build_layout(HexagonalLayout(num_sites=19, isd_m=500.0))
    gap_m = layout.site_position_m[:, None] - layout.site_position_m[None]
    distance_m = np.hypot(gap_m[..., 0], gap_m[..., 1]) + np.eye(19) * 1e9
    np.testing.assert_allclose(distance_m.min(axis=1), 500.0)
    assert layout.site_position_m[0].tolist() == [0.0, 0.0]
    assert (np.hypot(*layout.site_position_m[1:7].T)).tolist() == pytest.approx([500.0] * 6)
    np.testing.assert_allclose(np.degrees(layout.cell_boresight_rad[:3]), [30, 150, 270])
    np.testing.assert_array_equal(layout.cell_site_id[:6], [0, 0, 0, 1, 1, 1])
    assert layout.sites[1].cell_ids == (3, 4, 5)


def test_office_stands_in_the_hall():
    layout = build_layout(IndoorOfficeLayout())
    assert layout.area.contains(layout.site_position_m).all()
    assert np.ptp(layout.site_position_m, axis=0).tolist() == [100.0, 20.0]
    assert np.isnan(layout.cell_boresight_rad).all()


@every_layout
def test_placed_points_are_inside_and_uniform(config):
    """Chi-square over the quadrants of half the area's bounds, against the area's own share."""
    area = build_layout(config).area
    rng = np.random.default_rng(8)
    point_m = area.place(rng.random((20_000, 3)))
    assert area.contains(point_m).all()
    x0, y0, x1, y1 = area.bounds_m
    uniform_m = rng.uniform((x0, y0), (x1, y1), (400_000, 2))
    uniform_m = uniform_m[area.contains(uniform_m)]

    def histogram(position_m):
        return np.histogram2d(*position_m.T, bins=6, range=((x0, x1), (y0, y1)))[0].ravel()

    expected = histogram(uniform_m)
    seen = expected > 400
    observed = histogram(point_m)[seen]
    share = expected[seen] * observed.sum() / expected[seen].sum()
    assert chisquare(observed, share).pvalue > 0.001


@pytest.mark.parametrize(
    "area",
    [
        Disc(50.0),
        Rectangle(120.0, 50.0),
        Hexagons(((0.0, 0.0),), 100.0),
        build_layout(HexagonalLayout(num_sites=19)).area,
    ],
    ids=lambda area: f"{type(area).__name__}-{len(getattr(area, 'centre_m', ()))}",
)
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_line_leaves_where_inside_ends(area, seed):
    rng = np.random.default_rng(seed)
    position_m = area.place(rng.random((1, 3)))[0]
    angle_rad = rng.uniform(0, 2 * np.pi)
    direction = np.array([np.cos(angle_rad), np.sin(angle_rad)])
    length_m, normal = area.leave(position_m, direction)
    along_m = length_m * np.linspace(0, 1, 50)[:, None] * direction
    assert area.contains(position_m + along_m).all()
    beyond_m = position_m + (length_m + 1e-4 * area.diameter_m) * direction
    if direction @ normal > 0.1:  # a grazing line may touch a corner and stay inside
        assert not area.contains(beyond_m[None])[0]
    assert np.hypot(*normal) == pytest.approx(1)
    assert direction @ normal >= -1e-12


@pytest.mark.parametrize("num_sites", [1, 7, 19])
def test_copies_tile_the_plane(num_sites):
    """Every point of a large square lies in exactly one copy of the cluster."""
    isd_m = 100.0
    rings = {1: 0, 7: 1, 19: 2}[num_sites]
    area = build_layout(HexagonalLayout(num_sites=num_sites, isd_m=isd_m)).area
    shift_m = np.array(((0.0, 0.0), *copy_shifts_m(num_sites, isd_m)))
    point_m = np.random.default_rng(1).uniform(-1, 1, (4000, 2)) * isd_m * (rings + 0.8)
    covered = np.sum([area.contains(point_m - shift) for shift in shift_m], axis=0)
    assert (covered == 1).mean() > 0.999  # points on a common side are in two


def test_wraparound_displacement_is_the_nearest_of_seven():
    layout = build_layout(HexagonalLayout(num_sites=19, wraparound=True))
    point_m = layout.area.place(np.random.default_rng(2).random((200, 3)))
    every_m = np.stack(
        [
            point_m[:, None] - layout.site_position_m[None] - np.array(shift)
            for shift in layout.copy_shift_m
        ]
    )
    expected_m = np.hypot(every_m[..., 0], every_m[..., 1]).min(axis=0)
    np.testing.assert_allclose(layout.distance_m(point_m), expected_m)
    site_id = np.arange(len(point_m)) % len(layout.sites)
    np.testing.assert_allclose(
        layout.distance_to_m(point_m, site_id), expected_m[np.arange(len(point_m)), site_id]
    )
    plain = build_layout(HexagonalLayout(num_sites=19)).distance_m(point_m)
    assert (expected_m <= plain + 1e-9).all()
    assert (expected_m < plain - 1).any()


def geometry_db(layout, point_m, rng):
    """Wide-band SINR of TR 36.814 case 1: all cells on, 2D sector pattern, shadowing by site."""
    displacement_m = layout.displacement_m(point_m)
    distance_m = np.maximum(np.hypot(displacement_m[..., 0], displacement_m[..., 1]), 35.0)
    shadow_db = 8 * rng.standard_normal(distance_m.shape)
    gain_db = -(128.1 + 37.6 * np.log10(distance_m / 1000)) + shadow_db - 20 + 14
    azimuth = np.arctan2(displacement_m[..., 1], displacement_m[..., 0])
    cell = layout.cell_site_id
    off = (azimuth[:, cell] - layout.cell_boresight_rad + np.pi) % (2 * np.pi) - np.pi
    pattern_db = -np.minimum(12 * (np.degrees(off) / 70) ** 2, 25)
    received = 10 ** ((46 + gain_db[:, cell] + pattern_db) / 10)
    noise = 10 ** ((-174 + 70 + 9) / 10)
    best = received.max(axis=1)
    return 10 * np.log10(best / (received.sum(axis=1) - best + noise))


def ring_geometries_db(*, wraparound):
    layout = build_layout(HexagonalLayout(num_sites=19, isd_m=500.0, wraparound=wraparound))
    rng = np.random.default_rng(21)
    point_m = layout.area.place(rng.random((24_000, 3)))
    home = np.hypot(*np.moveaxis(point_m[:, None] - layout.site_position_m, -1, 0)).argmin(axis=1)
    sinr_db = geometry_db(layout, point_m, rng)
    return sinr_db[home == 0], sinr_db[home >= 7]


def test_with_wraparound_the_outer_ring_is_like_the_centre(ladder):
    centre_db, outer_db = ring_geometries_db(wraparound=True)
    assert len(centre_db) > 1000
    ladder.above(
        21,
        "wrap-around: centre and outer ring alike, KS p-value",
        source="symmetry",
        measured=ks_2samp(centre_db, outer_db).pvalue,
        limit=0.01,
        expected="one distribution",
    )


def test_without_wraparound_the_outer_ring_is_better(ladder):
    centre_db, outer_db = ring_geometries_db(wraparound=False)
    ladder.above(
        21,
        "without it: outer ring over centre",
        source="fewer interferers",
        measured=np.mean(outer_db) - np.mean(centre_db),
        limit=1.0,
        expected="better",
        unit="dB",
    )
    assert ks_2samp(centre_db, outer_db).pvalue < 1e-6


def test_given_sites_stand_where_they_were_put():
    config = SitesLayout(
        positions_m=((-100.0, 0.0), (150.0, 50.0)), width_m=400.0, height_m=200.0, num_sectors=3
    )
    layout = build_layout(config)
    np.testing.assert_array_equal(layout.site_position_m, config.positions_m)
    assert [cell.boresight_deg for cell in layout.cells] == [30.0, 150.0, 270.0] * 2
    assert layout.area.bounds_m == (-200.0, -100.0, 200.0, 100.0)
    np.testing.assert_allclose(
        layout.distance_m(np.array([[150.0, 0.0]])), [[250.0, 50.0]], rtol=1e-12
    )
