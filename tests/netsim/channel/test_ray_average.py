"""Antenna gain averaged over rays."""

import numpy as np
import pytest

from netsim.channel.antenna import sector_gain_linear
from netsim.channel.ray_average import draw_rays, link_angles, mean_gain
from netsim.config.environment import ENVIRONMENTS
from netsim.streams import Purpose, stream

BORESIGHT_RAD = np.radians([30.0, 150.0, 270.0])


def omni(azimuth_rad, zenith_rad):
    return np.ones(np.broadcast_shapes(azimuth_rad.shape, zenith_rad.shape))


def angles_of(
    num_links, *, environment="uma", distance_m=200.0, is_los=True, is_indoor=False, **ue
):
    draws = draw_rays(np.random.default_rng(3), (num_links,), num_rays=20)
    return link_angles(
        environment,
        draws,
        azimuth_rad=np.full(num_links, 0.4),
        distance_2d_m=np.full(num_links, distance_m),
        is_los=np.full(num_links, is_los),
        is_indoor=np.full(num_links, is_indoor),
        carrier_hz=ue.pop("carrier_hz", 3.5e9),
        bs_height_m=25.0,
        ue_height_m=1.5,
    )


def test_isotropic_antenna_gets_half_of_each_polarisation():
    """With G = 1: 0.5 [K + 1 + E[1/XPR]] / (K + 1), by hand from the drawn K."""
    angles = angles_of(50)
    gain = mean_gain(omni, angles, boresight_rad=BORESIGHT_RAD)
    k, cross = angles.k_factor_linear, angles.cross_polar_linear
    expected = 0.5 * (k + 1 + cross) / (k + 1)
    np.testing.assert_allclose(gain, expected[:, None].repeat(3, axis=1), rtol=1e-12)


@pytest.mark.parametrize(
    ("environment", "is_los", "is_indoor", "xpr_db", "sigma_db"),
    [
        ("uma", True, False, 8.0, 4.0),
        ("uma", False, False, 7.0, 3.0),
        ("uma", True, True, 9.0, 5.0),
        ("umi", False, False, 8.0, 3.0),
        ("rma", True, False, 12.0, 4.0),
        ("rma", True, True, 7.0, 3.0),
        ("inh", True, False, 11.0, 4.0),
    ],
)
def test_other_polarisation_gets_the_mean_over_rays(
    environment, is_los, is_indoor, xpr_db, sigma_db
):
    """TR 38.901 clause 7.5 step 9: every ray draws its XPR; here by drawing many."""
    drawn_db = xpr_db + sigma_db * np.random.default_rng(1).standard_normal(2_000_000)
    angles = angles_of(3, environment=environment, is_los=is_los, is_indoor=is_indoor)
    expected = np.mean(10 ** (-drawn_db / 10))
    np.testing.assert_allclose(angles.cross_polar_linear, expected, rtol=0.01)


@pytest.mark.parametrize(
    ("environment", "is_los", "is_indoor", "lg_asd", "lg_asd_sigma"),
    [
        ("uma", True, False, 1.06 + 0.1114 * np.log10(6), 0.28),
        ("uma", False, False, 1.5 - 0.1144 * np.log10(6), 0.28),
        ("uma", True, True, 1.25, 0.42),
        ("rma", True, False, 0.90, 0.38),
        ("rma", False, False, 0.95, 0.45),
    ],
)
def test_azimuth_spread_has_the_tables_median(environment, is_los, is_indoor, lg_asd, lg_asd_sigma):
    angles = angles_of(20_000, environment=environment, is_los=is_los, is_indoor=is_indoor)
    off_rad = angles.ray_azimuth_rad - angles.azimuth_rad[:, None]
    lg_found = np.log10(np.degrees(np.sqrt(np.mean(off_rad**2, axis=1))))
    # The root mean square of 20 normals lies 1.1 % below their deviation at the median.
    assert np.median(lg_found) == pytest.approx(lg_asd, abs=0.02)
    assert lg_found.std() == pytest.approx(lg_asd_sigma, rel=0.1)


def test_only_outdoor_links_in_line_of_sight_have_a_direct_path():
    assert np.all(angles_of(100).k_factor_linear > 0)
    assert np.all(angles_of(100, is_los=False).k_factor_linear == 0)
    assert np.all(angles_of(100, is_indoor=True).k_factor_linear == 0)
    k_db = 10 * np.log10(angles_of(20_000).k_factor_linear)
    assert k_db.mean() == pytest.approx(9.0, abs=4 * 3.5 / np.sqrt(20_000))


def test_zenith_offset_of_blocked_uma_links():
    angles = angles_of(20_000, is_los=False, distance_m=100.0, carrier_hz=6e9)
    lg6 = np.log10(6)
    offset_deg = 7.66 * lg6 - 5.96 - 10 ** ((0.208 * lg6 - 0.782) * 2 - 0.13 * lg6 + 2.03)
    assert offset_deg < -0.5
    off_deg = np.degrees(angles.ray_zenith_rad - angles.zenith_rad[:, None])
    assert np.median(off_deg) == pytest.approx(offset_deg, abs=0.2)


def test_scattering_fills_the_back_and_costs_the_front():
    """Seen from boresight the average is below the pattern, from behind above it."""
    for azimuth_rad, sign in ((BORESIGHT_RAD[0], -1), (BORESIGHT_RAD[0] + np.pi, +1)):
        draws = draw_rays(np.random.default_rng(3), (2000,))
        angles = link_angles(
            "uma",
            draws,
            azimuth_rad=np.full(2000, azimuth_rad),
            distance_2d_m=np.full(2000, 150.0),
            is_los=np.zeros(2000, bool),
            is_indoor=np.zeros(2000, bool),
            carrier_hz=0.7e9,
            bs_height_m=25.0,
            ue_height_m=1.5,
        )
        averaged = mean_gain(sector_gain_linear, angles, boresight_rad=BORESIGHT_RAD[:1])
        direct = sector_gain_linear(
            angles.azimuth_rad[:1] - BORESIGHT_RAD[0], angles.zenith_rad[:1]
        )
        assert sign * np.log(np.mean(averaged[:, 0]) / (0.5 * direct)) > 0.5


@pytest.mark.parametrize("environment", ENVIRONMENTS)
@pytest.mark.parametrize("is_indoor", [False, True])
def test_every_environment_gives_finite_positive_gains(environment, is_indoor):
    for is_los in (True, False):
        for distance_m in (1.0, 50.0, 3000.0):
            angles = angles_of(
                40,
                environment=environment,
                is_los=is_los,
                is_indoor=is_indoor,
                distance_m=distance_m,
            )
            gain = mean_gain(sector_gain_linear, angles, boresight_rad=BORESIGHT_RAD)
            assert gain.shape == (40, 3)
            assert np.all((gain > 0) & (gain < 10**1.71))


def test_chunks_and_shapes_do_not_change_gains(monkeypatch):
    angles = angles_of(60)
    per_transmitter = mean_gain(sector_gain_linear, angles, boresight_rad=BORESIGHT_RAD)
    monkeypatch.setattr("netsim.channel.ray_average._CHUNK_ELEMENTS", 500)
    np.testing.assert_allclose(
        mean_gain(sector_gain_linear, angles, boresight_rad=BORESIGHT_RAD),
        per_transmitter,
        rtol=1e-12,
    )


def test_rays_of_a_ue_follow_its_address():
    one, same, other = (draw_rays(stream(1, Purpose.ANGULAR_SPREAD, ue), (19,)) for ue in (4, 4, 5))
    np.testing.assert_array_equal(one.azimuth_normal, same.azimuth_normal)
    assert not np.array_equal(one.azimuth_normal, other.azimuth_normal)
