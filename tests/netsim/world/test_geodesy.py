"""Latitude and longitude in metres: textbook lengths, chords of the ellipsoid, 180 degrees."""

import numpy as np
import pytest

from netsim.world.geodesy import ECCENTRICITY_SQUARED, EQUATOR_M, local_position_m


def on_ellipsoid_m(lat_deg, lon_deg):
    """Cartesian place of a point on WGS 84."""
    lat, lon = np.radians(lat_deg), np.radians(lon_deg)
    normal_m = EQUATOR_M / np.sqrt(1 - ECCENTRICITY_SQUARED * np.sin(lat) ** 2)
    return np.stack(
        [
            normal_m * np.cos(lat) * np.cos(lon),
            normal_m * np.cos(lat) * np.sin(lon),
            normal_m * (1 - ECCENTRICITY_SQUARED) * np.sin(lat),
        ],
        axis=-1,
    )


@pytest.mark.parametrize(
    ("latitude", "north_m", "east_m"),
    # length of a degree of latitude and of longitude, tables of WGS 84
    [(0.0, 110_574.0, 111_320.0), (45.0, 111_132.0, 78_847.0), (60.0, 111_412.0, 55_800.0)],
)
def test_a_tenth_of_a_degree_is_a_tenth_of_its_length_in_tables(latitude, north_m, east_m):
    lat_deg = latitude + np.array([-0.05, 0.05, 0.0])
    lon_deg = 10.0 + np.array([0.0, 0.0, 0.1])
    place_m = local_position_m(lat_deg, lon_deg)
    assert place_m[1, 1] - place_m[0, 1] == pytest.approx(north_m / 10, rel=1e-4)
    assert place_m[2, 0] - place_m[0, 0] == pytest.approx(east_m / 10, rel=1e-4)


@pytest.mark.parametrize(("latitude", "bound"), [(45.0, 0.004), (60.0, 0.007), (-80.0, 0.023)])
def test_lengths_within_50_km_are_right_within_the_stated_bound(latitude, bound):
    """Against chords of the ellipsoid; the bound is reached at the northern and southern ends."""
    half_deg = 25.0 / 111.2
    lat_deg = latitude + half_deg * np.array([-1, -1, 1, 1, 0, 0.0])
    east_deg = half_deg / np.cos(np.radians(latitude)) * np.array([-1, 1, -1, 1, -0.5, 0.5]) / 50
    local_m = local_position_m(lat_deg, 7.0 + east_deg)
    true_m = on_ellipsoid_m(lat_deg, 7.0 + east_deg)
    pairs = [(0, 1), (2, 3), (4, 5), (0, 2)]
    error = [
        np.linalg.norm(local_m[a] - local_m[b]) / np.linalg.norm(true_m[a] - true_m[b]) - 1
        for a, b in pairs
    ]
    assert np.abs(error).max() < bound
    assert np.abs(error).max() > 0.9 * bound
    assert abs(error[2]) < 1e-5  # in the middle
    assert abs(error[3]) < 1e-4  # along a meridian


def test_the_origin_is_the_middle_of_the_extent():
    place_m = local_position_m(np.array([50.0, 50.02, 50.005]), np.array([8.0, 8.03, 8.001]))
    assert place_m.max(axis=0) == pytest.approx(-place_m.min(axis=0), rel=1e-9)


def test_the_180th_meridian_is_no_border():
    lat_deg = np.array([-17.0, -17.0])
    over_m = local_position_m(lat_deg, np.array([179.99, -179.99]))
    same_m = local_position_m(lat_deg, np.array([20.0, 20.02]))
    np.testing.assert_allclose(over_m, same_m, atol=1e-6)
