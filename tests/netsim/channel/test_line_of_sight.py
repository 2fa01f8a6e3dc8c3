"""Ladder step 3: line-of-sight probability and its spatially consistent state."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.channel.line_of_sight import LineOfSightMap, los_probability
from netsim.config.environment import ENVIRONMENTS

# (environment, UE height, office): distance -> probability, from an independent script.
SPOTS = {
    ("uma", 1.5, "mixed"): {10: 1, 35: 0.79297, 50: 0.64940, 100: 0.34767, 200: 0.12805}
    | {500: 0.03634, 1000: 0.01800},
    ("uma", 22.5, "mixed"): {10: 1, 35: 0.82413, 50: 0.71672, 100: 0.55427, 200: 0.44058}
    | {500: 0.22393, 1000: 0.04451},
    ("umi", 1.5, "mixed"): {10: 1, 35: 0.69800, 50: 0.51959, 100: 0.23098, 200: 0.09352}
    | {500: 0.03600, 1000: 0.01800},
    ("rma", 1.5, "mixed"): {10: 1, 35: 0.97531, 50: 0.96079, 100: 0.91393, 200: 0.82696}
    | {500: 0.61263, 1000: 0.37158},
    ("inh", 1.0, "mixed"): {10: 0.28742, 20: 0.21150, 50: 0.08426, 100: 0.01818},
    ("inh", 1.0, "open"): {10: 0.93181, 20: 0.80907, 50: 0.53746, 100: 0.42439},
}


@pytest.mark.parametrize(("environment", "ue_height_m", "office"), SPOTS)
def test_spot_values(ladder, environment, ue_height_m, office):
    spots = SPOTS[environment, ue_height_m, office]
    found = los_probability(environment, list(spots), ue_height_m=ue_height_m, office=office)
    ladder.near(
        3,
        "probability of line of sight",
        source="TR 38.901 Table 7.4.2-1, independent script",
        measured=found,
        expected=list(spots.values()),
        tolerance=1e-5,
    )


@given(
    environment=st.sampled_from(ENVIRONMENTS),
    office=st.sampled_from(["mixed", "open"]),
    distance_m=st.floats(0, 20e3),
    height_m=st.floats(1.5, 22.5),
)
def test_probability_is_one(environment, office, distance_m, height_m):
    found = los_probability(environment, distance_m, ue_height_m=height_m, office=office)
    assert 0 <= found <= 1


@pytest.mark.parametrize("environment", ["uma", "umi", "rma"])
def test_share_of_states_over_seeds_matches_the_probability(ladder, environment):
    # 250 worlds x 50 sites x 8 places 2 km apart give 1e5 independent draws of a state at 100 m.
    num_worlds, num_sites = 250, 50
    position_m = np.stack([np.arange(8) * 2000.0, np.full(8, -45.0)], axis=1)
    distance_m = np.full((8, num_sites), 100.0)
    states = [
        LineOfSightMap(seed, environment, num_sites=num_sites).is_los(
            position_m, distance_2d_m=distance_m, ue_height_m=1.5
        )
        for seed in range(num_worlds)
    ]
    p = float(los_probability(environment, 100.0, ue_height_m=1.5))
    sigma = np.sqrt(p * (1 - p) / 1e5)
    ladder.near(
        3,
        "share of 100,000 links in line of sight",
        source="the probability; 4 sigma",
        measured=np.mean(states),
        expected=p,
        tolerance=4 * sigma,
    )


def test_state_is_a_function_of_position_alone():
    world = LineOfSightMap(3, "umi", num_sites=4)
    rng = np.random.default_rng(0)
    position_m = rng.uniform(-500, 500, (60, 2))
    distance_m = rng.uniform(20, 200, (60, 4))
    per_transmitter = world.is_los(position_m, distance_2d_m=distance_m, ue_height_m=1.5)
    order = rng.permutation(60)
    again = LineOfSightMap(3, "umi", num_sites=4)
    for row in order:
        alone = again.is_los(position_m[[row]], distance_2d_m=distance_m[[row]], ue_height_m=1.5)
        np.testing.assert_array_equal(alone[0], per_transmitter[row])


def test_slow_walk_rarely_changes_state():
    # Redrawn at every step, 35 % LOS links would flip 45 times in 100 steps of 10 cm.
    steps_m = np.stack([np.arange(0, 10, 0.1) + 77.0, np.zeros(100)], axis=1)
    world = LineOfSightMap(1, "uma", num_sites=200)
    states = world.is_los(steps_m, distance_2d_m=np.full((100, 200), 100.0), ue_height_m=1.5)
    flips_per_link = np.abs(np.diff(states.astype(int), axis=0)).sum(axis=0).mean()
    assert 0.02 < flips_per_link < 3


def test_negative_distance_is_refused():
    with pytest.raises(ValueError, match="distance_2d_m: must be >= 0"):
        los_probability("uma", -1.0, ue_height_m=1.5)
