"""Coupling gain: sum of its parts, a function of position only."""

import math

import numpy as np
import pytest

from netsim.channel.link_budget import LinkBudget
from netsim.config import WorldConfig
from netsim.config.world import (
    CorrelatedShadowing,
    GaussMarkovMobility,
    HexagonalLayout,
    ManhattanMobility,
    NoShadowing,
    OmniAntenna,
    RandomWaypointMobility,
    SectorAntenna,
    SingleCellLayout,
    StaticMobility,
)
from netsim.units import linear_to_db
from netsim.world.layout import build_layout
from netsim.world.population import Population


def make(world, seed=1):
    layout = build_layout(world.layout)
    population = Population(world, layout, seed=seed)
    return LinkBudget(world, layout, population, seed=seed)


def hexagonal(**changes):
    settings = {
        "environment": "uma",
        "layout": HexagonalLayout(num_sites=7),
        "carrier_hz": 3.5e9,
        "mobility": RandomWaypointMobility(),
    }
    return WorldConfig(**(settings | changes))


def test_plain_link_is_path_loss_and_antenna():
    world = WorldConfig(
        environment="uma",
        layout=SingleCellLayout(),
        carrier_hz=3.5e9,
        mobility=StaticMobility(positions_m=((100.0, 0.0),)),
        line_of_sight="never",
        shadowing=NoShadowing(),
        antenna=OmniAntenna(gain_dbi=7.0),
    )
    gain = make(world).gain(np.array([0]), at_s=0.0)
    # 103.038 dB: TR 38.901 UMa NLOS at 100 m and 3.5 GHz.
    assert float(linear_to_db(gain[0, 0])) == pytest.approx(7.0 - 103.038, abs=1e-3)


def test_boresight_gain_of_a_bare_element():
    world = hexagonal(
        line_of_sight="always",
        shadowing=NoShadowing(),
        antenna=SectorAntenna(num_elements=1, ray_averaged=False),
        layout=HexagonalLayout(num_sites=1),
    )
    far_m = 200.0
    place = far_m * np.array([[math.cos(math.radians(30)), math.sin(math.radians(30))]])
    gain_db = linear_to_db(make(world).gain_at(place, client_ids=np.array([0])))[0]
    down_deg = math.degrees(math.atan2(23.5, far_m))
    loss_db = 28 + 22 * math.log10(math.hypot(far_m, 23.5)) + 20 * math.log10(3.5)
    assert gain_db[0] == pytest.approx(8 - 12 * (down_deg / 65) ** 2 - loss_db, abs=1e-9)
    # The other two sectors see it 120 degrees off: 30 dB down.
    assert gain_db[1] == pytest.approx(8 - 30 - loss_db, abs=1e-9)
    assert gain_db[2] == pytest.approx(8 - 30 - loss_db, abs=1e-9)


def test_gain_does_not_depend_on_who_asks_when():
    world = hexagonal(indoor_fraction=0.5, car_fraction=0.3)
    ids = np.arange(20)
    once, often = make(world), make(world)
    for at_s in np.arange(0.0, 30.0, 0.7):
        often.gain(ids[::3], at_s=float(at_s))
    often.gain(ids, at_s=11.0)
    expected = once.gain(ids, at_s=30.0)
    np.testing.assert_array_equal(often.gain(ids, at_s=30.0), expected)
    np.testing.assert_array_equal(often.gain(ids[::-1], at_s=30.0), expected[::-1])
    early = make(world).gain(ids, at_s=3.0)
    np.testing.assert_array_equal(often.gain(ids, at_s=3.0), early)


@pytest.mark.parametrize(
    "mobility",
    [RandomWaypointMobility(), GaussMarkovMobility(), ManhattanMobility()],
    ids=lambda mobility: mobility.kind,
)
def test_gains_hold_as_long_as_said(mobility):
    world, ids = hexagonal(mobility=mobility), np.arange(12)
    budget = make(world)
    before, holds_until_s, num_changed = budget.gain(ids, at_s=0.0), 0.0, 0
    for at_s in np.arange(0.0, 20.0, 0.1).tolist():
        gain = make(world).gain(ids, at_s=at_s)
        np.testing.assert_array_equal(budget.gain(ids, at_s=at_s), gain)
        if at_s < holds_until_s:
            np.testing.assert_array_equal(gain, before)
        num_changed += not np.array_equal(gain, before)
        before, holds_until_s = gain, budget.holds_until_s(ids)
    assert num_changed > 10
    assert make(hexagonal(mobility=StaticMobility())).holds_until_s(ids) == np.inf


def test_many_at_once_equal_one_by_one():
    world = hexagonal(shadowing=CorrelatedShadowing(site_correlation=0.5), ue_height_m=15.0)
    ids = np.arange(1500)
    per_transmitter = make(world).gain(ids, at_s=0.0)
    alone = make(world)
    for client_id in (0, 700, 1024, 1499):
        one = alone.gain(np.array([client_id]), at_s=0.0)[0]
        np.testing.assert_allclose(per_transmitter[client_id], one, rtol=1e-12)


@pytest.mark.parametrize("mobility", [StaticMobility(), RandomWaypointMobility()])
def test_the_same_clients_may_be_asked_about_again_and_others_after_them(mobility):
    world = hexagonal(mobility=mobility)
    asked, expected = make(world), make(world).gain(np.arange(12), at_s=0.0)
    for ids in ([3, 7], [3, 7], [7, 3], [3, 7, 11], [0], [3, 7, 11], list(range(12))):
        gain = asked.gain(np.array(ids), at_s=0.0)
        np.testing.assert_array_equal(gain, expected[ids])
        gain[:] = 0.0  # a copy: the next answer is as before


def test_walls_cost_what_their_share_says():
    outdoor = make(hexagonal()).gain(np.arange(400), at_s=0.0)
    indoor = make(hexagonal(indoor_fraction=1.0)).gain(np.arange(400), at_s=0.0)
    lost_db = np.median(linear_to_db(outdoor).max(axis=1) - linear_to_db(indoor).max(axis=1))
    assert 12.7 < lost_db < 25.0


def test_metallised_windows_cost_11_db_more_and_only_in_cars():
    ids = np.arange(400)
    plain, metallised = (
        linear_to_db(make(hexagonal(car_fraction=0.5, car_windows=windows)).gain(ids, at_s=0.0))
        for windows in ("plain", "metallised")
    )
    lost_db = plain - metallised
    is_in_car = lost_db[:, 0] > 5.5
    np.testing.assert_allclose(lost_db[is_in_car], 11.0, atol=1e-9)
    np.testing.assert_allclose(lost_db[~is_in_car], 0.0, atol=1e-9)
    assert abs(is_in_car.mean() - 0.5) < 4 * np.sqrt(0.25 / len(ids))


def test_mixed_walls_lose_on_average_what_their_share_says():
    """At one place, mean over 3,000 clients: 0.3 of the loss of high walls and 0.7 of low ones."""
    ids = np.arange(3000)
    place = np.tile([[150.0, 40.0]], (len(ids), 1))
    mean_db = {}
    for model in ("low", "high", "mixed"):
        share = {"high_loss_fraction": 0.3} if model == "mixed" else {}
        world = hexagonal(
            indoor_fraction=1.0, line_of_sight="always", shadowing=NoShadowing(),
            penetration=model, **share,
        )  # fmt: skip
        gain_db = linear_to_db(make(world).gain_at(place, client_ids=ids))
        mean_db[model] = gain_db.mean(axis=0)
    expected_db = 0.7 * mean_db["low"] + 0.3 * mean_db["high"]
    # the loss of a client deviates by about 9 dB: 4.4 to 6.5 of the walls, and which walls
    np.testing.assert_allclose(mean_db["mixed"], expected_db, atol=4 * 9 / len(ids) ** 0.5)
    assert np.all(mean_db["low"] - mean_db["high"] > 10)
