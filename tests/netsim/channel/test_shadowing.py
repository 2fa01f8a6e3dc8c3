"""Ladder step 5: spread and correlation of shadow fading."""

import numpy as np
import pytest

from netsim.channel.shadowing import ShadowingMap, shadow_sigma_db

NUM_WORLDS = 1000
SIDE = 10
PLACES_M = 5000.0 * np.stack(np.meshgrid(*2 * [np.arange(SIDE)]), axis=-1).reshape(-1, 2)
"""So far apart (41 correlation distances and more) that each is a sample of its own."""

NUM_SAMPLES = NUM_WORLDS * SIDE**2
STANDARD_ERROR = (2 / NUM_SAMPLES) ** 0.5
"""Of a variance of unit normals, and the most that a correlation has: 0.0045."""

TOLERANCE = 0.03


def worlds_db(positions_m, *, num_sites=2, state="los", environment="uma", correlation=0.0):
    """Shadowing over worlds: (world, point, site)."""
    num_points = len(positions_m)
    is_los = np.full((num_points, num_sites), state == "los")
    is_indoor = np.full(num_points, state == "indoor")
    return np.stack(
        [
            ShadowingMap(
                seed, environment, num_sites=num_sites, inter_site_correlation=correlation
            ).value_db(positions_m, is_los=is_los, is_indoor=is_indoor)
            for seed in range(NUM_WORLDS)
        ]
    )


@pytest.mark.parametrize(
    ("environment", "state", "sigma_db", "correlation_m"),
    [("uma", "los", 4.0, 37.0), ("umi", "nlos", 7.82, 13.0), ("uma", "indoor", 7.0, 7.0)],
)
def test_variance_and_correlation_in_space(ladder, environment, state, sigma_db, correlation_m):
    lags_m = np.array([0.0, 10.0, 37.0, 50.0])
    steps_m = np.stack([lags_m, np.zeros(4)], axis=1)
    positions_m = (PLACES_M[:, None] + steps_m).reshape(-1, 2)
    value_db = worlds_db(positions_m, num_sites=1, state=state, environment=environment)
    values = value_db.reshape(-1, 4) / sigma_db
    assert len(values) == NUM_SAMPLES
    found = values[:, 0] @ values / len(values)
    ladder.near(
        5,
        f"shadowing: covariance at 0, 10, 37, 50 m, {environment} {state}",
        source="exp(-d / d_cor), TR 38.901 Table 7.5-6; standard error 0.0045",
        measured=found,
        expected=np.exp(-lags_m / correlation_m),
        tolerance=TOLERANCE,
    )


def test_tolerance_is_far_above_the_sampling_error():
    assert TOLERANCE > 6 * STANDARD_ERROR


@pytest.mark.parametrize("correlation", [0.0, 0.5])
def test_correlation_between_sites(ladder, correlation):
    values = worlds_db(PLACES_M, num_sites=3, correlation=correlation).reshape(-1, 3) / 4.0
    found = np.corrcoef(values.T)
    expected = np.where(np.eye(3, dtype=bool), 1.0, correlation)
    ladder.near(
        5,
        f"shadowing: correlation between sites, {correlation:g} asked",
        source="0 after TR 38.901, 0.5 after TR 36.814",
        measured=found[~np.eye(3, dtype=bool)],
        expected=expected[~np.eye(3, dtype=bool)],
        tolerance=TOLERANCE,
    )
    ladder.near(
        5,
        "shadowing: variance over sigma squared",
        source="TR 38.901 Table 7.4.1-1; standard error 0.0045",
        measured=values.var(axis=0),
        expected=1.0,
        tolerance=TOLERANCE,
    )


def test_each_state_has_its_own_field():
    world = ShadowingMap(1, "uma", num_sites=1)
    here_m = np.array([[10.0, 20.0]])
    outdoors = np.array([False])
    los = world.standard_value(here_m, is_los=np.array([[True]]), is_indoor=outdoors)
    nlos = world.standard_value(here_m, is_los=np.array([[False]]), is_indoor=outdoors)
    indoor = world.standard_value(here_m, is_los=np.array([[True]]), is_indoor=~outdoors)
    assert len({los[0, 0], nlos[0, 0], indoor[0, 0]}) == 3


def test_value_depends_on_nothing_but_the_link():
    rng = np.random.default_rng(5)
    position_m = rng.uniform(-300, 300, (40, 2))
    is_los = rng.random((40, 5)) < 0.5
    is_indoor = rng.random(40) < 0.5
    world = ShadowingMap(9, "rma", num_sites=5, inter_site_correlation=0.5)
    per_transmitter = world.value_db(position_m, is_los=is_los, is_indoor=is_indoor)
    alone = np.concatenate(
        [
            world.value_db(position_m[[row]], is_los=is_los[[row]], is_indoor=is_indoor[[row]])
            for row in reversed(range(40))
        ]
    )[::-1]
    np.testing.assert_allclose(alone, per_transmitter, rtol=1e-9)


def test_added_sites_leave_the_others_alone():
    here_m = np.array([[1.0, 2.0]])
    few = ShadowingMap(4, "uma", num_sites=2)
    many = ShadowingMap(4, "uma", num_sites=7)
    np.testing.assert_array_equal(
        few.value_db(here_m, is_los=np.ones((1, 2), bool), is_indoor=np.zeros(1, bool)),
        many.value_db(here_m, is_los=np.ones((1, 7), bool), is_indoor=np.zeros(1, bool))[:, :2],
    )


def test_sigma_of_every_state():
    assert shadow_sigma_db("rma", is_los=True) == 4.0
    assert shadow_sigma_db("rma", is_los=True, is_beyond_breakpoint=True) == 6.0
    assert shadow_sigma_db("rma", is_los=False, is_beyond_breakpoint=True) == 8.0
    assert shadow_sigma_db("uma", is_los=True, is_beyond_breakpoint=True) == 4.0
    assert shadow_sigma_db("uma", is_los=True, is_indoor=True) == 7.0
    assert shadow_sigma_db("inh", is_los=False) == 8.03


def test_impossible_correlation_is_refused():
    with pytest.raises(ValueError, match="inter_site_correlation: must be within 0 and 1"):
        ShadowingMap(1, "uma", num_sites=1, inter_site_correlation=1.5)
