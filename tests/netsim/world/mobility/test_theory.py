"""Mobility against closed forms (step 19 of the ladder)."""

from itertools import product

import numpy as np
import pytest
from scipy.stats import chisquare, kstest

from netsim.config.world import (
    GaussMarkovMobility,
    HexagonalLayout,
    ManhattanMobility,
    RandomDirectionMobility,
    RandomWaypointMobility,
    StaticMobility,
)
from netsim.world.area import Disc, Hexagons, Rectangle
from netsim.world.layout import build_layout
from netsim.world.mobility import make_trajectory
from netsim.world.mobility.manhattan import streets

SQUARE = Rectangle(1000.0, 1000.0)


def paths(config, area, num, *, seed=5):
    start_m = area.place(np.random.default_rng(seed).random((num, 3)))
    return [
        make_trajectory(config, area=area, seed=seed, client_id=k, start_m=start_m[k])
        for k in range(num)
    ]


class TestRandomWaypoint:
    config = RandomWaypointMobility(min_speed_mps=1.0, max_speed_mps=20.0, pause_s=30.0)

    @pytest.mark.parametrize("at_s", [0.0, 150.0])
    def test_speed_and_pauses_are_stationary(self, ladder, at_s):
        """Mean (20 - 1) / ln 20 while moving, P(pause) 0.26736; now and later."""
        num = 30_000
        speed_mps = np.array([path.speed_mps(at_s) for path in paths(self.config, SQUARE, num)])
        moving = speed_mps > 0
        expected_mps = 19 / np.log(20)
        assert expected_mps == pytest.approx(6.3424, abs=5e-5)
        ladder.near(
            19,
            "random waypoint: mean speed of who moves, at 0 and 150 s",
            source="(b - a) / ln(b / a), steady state",
            measured=speed_mps[moving].mean(),
            expected=6.3424,
            rel=0.02,
            unit="m/s",
        )
        ladder.near(
            19,
            "random waypoint: share that rests, at 0 and 150 s",
            source="mean pause over mean pause and leg",
            measured=1 - moving.mean(),
            expected=0.26736,
            rel=0.02,
        )
        # The whole distribution: density 1 / (v ln 20).
        assert kstest(speed_mps[moving], lambda v: np.log(v) / np.log(20)).pvalue > 0.001

    def test_mean_leg_of_a_square(self):
        """E[leg] = 0.521405 a, seen as the mean length over leg ends of long paths."""
        lengths_m = []
        config = RandomWaypointMobility(min_speed_mps=10.0, max_speed_mps=10.0)
        for path in paths(config, SQUARE, 60):
            path.position_m(10_000.0)
            corner_m = np.array(path._start_m[1:])
            lengths_m.append(np.hypot(*np.diff(corner_m, axis=0).T))
        assert np.concatenate(lengths_m).mean() == pytest.approx(521.405, rel=0.02)

    def test_density_in_a_disc_is_highest_in_the_middle(self):
        """About 2 (1 - r^2 / R^2) / (pi R^2), an approximation: mean r^2 / R^2 near 1/3."""
        config = RandomWaypointMobility(min_speed_mps=1.0, max_speed_mps=1.0)
        place_m = np.array([path.position_m(0.0) for path in paths(config, Disc(1.0), 4000)])
        relative = (place_m**2).sum(axis=1)
        assert relative.mean() == pytest.approx(1 / 3, abs=0.03)

    def test_legs_do_not_cross_the_notches_of_a_cluster(self):
        area = build_layout(HexagonalLayout(num_sites=7, isd_m=100.0)).area
        for path in paths(self.config, area, 10):
            place_m = np.array([path.position_m(at_s) for at_s in np.linspace(0, 400, 500)])
            assert area.contains(place_m).all()

    def test_speed_zero_is_refused(self):
        config = RandomWaypointMobility(min_speed_mps=0.0)
        with pytest.raises(ValueError, match="min_speed_mps: must be > 0"):
            paths(config, SQUARE, 1)


@pytest.mark.parametrize(
    "config",
    [
        RandomDirectionMobility(speed_mps=7.0),
        GaussMarkovMobility(mean_speed_mps=7.0, speed_std_mps=3.0, step_s=5.0),
    ],
    ids=lambda config: config.kind,
)
def test_reflecting_models_stay_uniform(ladder, config):
    area = Rectangle(200.0, 100.0)
    place_m = np.array([path.position_m(120.0) for path in paths(config, area, 4000)])
    counts = np.histogram2d(*place_m.T, bins=(8, 4), range=((-100, 100), (-50, 50)))[0]
    ladder.above(
        19,
        f"{config.kind} stays uniform, chi-square p-value",
        source="reflection keeps the uniform distribution",
        measured=chisquare(counts.ravel()).pvalue,
        limit=0.001,
        expected="uniform",
    )


def test_gauss_markov_velocity_is_stationary_and_forgets():
    """Each component N(mean, std^2), autocorrelation memory^k, far from any border."""
    config = GaussMarkovMobility(mean_speed_mps=2.0, speed_std_mps=0.5, memory=0.8, step_s=1.0)
    everyone = paths(config, Rectangle(1e6, 1e6), 3000)
    velocity = np.empty((3000, 4, 2))
    for row, path in zip(velocity, everyone, strict=True):
        path.position_m(10.0)
        row[:] = np.array(path._velocity_mps)[[0, 1, 3, 9]] - path._mean_mps
    assert velocity.std() == pytest.approx(0.5, rel=0.03)
    scaled = velocity / 0.5
    for column, lag in ((1, 1), (2, 3), (3, 9)):
        correlation = (scaled[:, 0] * scaled[:, column]).mean()
        assert correlation == pytest.approx(0.8**lag, abs=4 / np.sqrt(6000))


class TestManhattan:
    config = ManhattanMobility(block_m=50.0, speed_mps=3.0)
    area = Rectangle(320.0, 220.0)

    def test_walks_on_streets(self):
        for path in paths(self.config, self.area, 20):
            for at_s in np.linspace(0, 200, 60):
                offset_m = np.abs((path.position_m(at_s) + 25.0) % 50.0 - 25.0)
                assert offset_m.min() < 1e-6

    def test_stays_uniform_along_the_streets(self):
        every, _ = streets(self.area, 50.0)
        middle = {}
        for one, other in every:
            middle.setdefault(((one[0] + other[0]) / 2, (one[1] + other[1]) / 2), 0)
        for path in paths(self.config, self.area, 5000):
            x, y = path.position_m(300.0) / 50.0
            if abs(x - round(x)) > abs(y - round(y)):
                key = (np.floor(x) + 0.5, float(round(y)))
            else:
                key = (float(round(x)), np.floor(y) + 0.5)
            middle[key] += 1
        assert len(middle) == 6 * 5 + 7 * 4
        assert chisquare(list(middle.values())).pvalue > 0.001

    def test_speed_has_the_deviation_of_a_tenth(self):
        speed = np.array([path.speed_mps(50.0) for path in paths(self.config, self.area, 3000)])
        # Seen at an instant, slow streets last longer: E[v] of the time average is 1 / E[1 / v].
        assert speed.mean() == pytest.approx(3.0 * (1 - 0.01), rel=0.01)
        assert speed.std() == pytest.approx(0.3, rel=0.1)

    def test_blocks_that_do_not_fit_are_named(self):
        with pytest.raises(ValueError, match="block_m: must leave room for a street"):
            paths(ManhattanMobility(block_m=500.0), Disc(50.0), 1)

    def test_more_crossings_than_can_be_listed_are_refused_at_once(self):
        with pytest.raises(ValueError, match=r"block_m: must leave at most 100000 crossings"):
            streets(Disc(5e3), 10.0)

    def test_streets_are_those_found_one_by_one(self):
        """Against a loop over single crossings, in an area that is not convex."""
        area, block_m = Hexagons(((0.0, 0.0), (100.0, 0.0), (50.0, 86.6025403784)), 100.0), 15.0
        along = np.linspace(0.0, 1.0, 9)[:, np.newaxis]
        expected = set()
        for i, j, (east, north) in product(range(-12, 13), range(-12, 13), ((1, 0), (0, 1))):
            points_m = block_m * (np.array([i, j]) + along * np.array([east, north]))
            if area.contains(points_m).all():
                far = (i + east, j + north)
                expected |= {((i, j), far), (far, (i, j))}
        every, lookup = streets(area, block_m)
        assert every == tuple(sorted(expected))
        assert lookup == expected


def test_static_takes_the_listed_places():
    config = StaticMobility(positions_m=((1.0, 2.0), (3.0, 4.0)))
    one, other = paths(config, SQUARE, 2)
    assert one.position_m(5.0).tolist() == [1.0, 2.0]
    assert other.position_m(99.0).tolist() == [3.0, 4.0]
    with pytest.raises(ValueError, match="place for client 2"):
        paths(config, SQUARE, 3)
