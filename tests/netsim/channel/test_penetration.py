"""Ladder step 4: outdoor-to-indoor and car loss."""

import numpy as np
import pytest

from netsim.channel.penetration import (
    draw_building_entry,
    draw_car_loss_db,
    drawn_model,
    find_problems,
    wall_loss_db,
)

NUM = 200_000


@pytest.mark.parametrize(
    ("model", "expected_db"),
    [
        ("low", [10.237, 11.825, 12.698, 13.402, 17.829]),
        ("high", [17.747, 22.425, 26.850, 30.693, 37.949]),
        ("legacy", [20.0, 20.0, 20.0, 20.0, 20.0]),
    ],
)
def test_wall_loss(ladder, model, expected_db):
    found_db = [
        wall_loss_db(model, environment="uma", carrier_hz=ghz * 1e9)
        for ghz in (0.7, 2.0, 3.5, 6.0, 28.0)
    ]
    ladder.near(
        4,
        "wall loss, 0.7 to 28 GHz",
        source="TR 38.901 clause 7.4.3",
        measured=found_db,
        expected=expected_db,
        tolerance=0.001,
        unit="dB",
    )


def test_rural_walls_are_as_thin_at_all_carriers():
    """Channel model A of ITU-R M.2412: 10 dB and half a decibel a metre over up to 10 m."""
    assert wall_loss_db("legacy", environment="rma", carrier_hz=0.7e9) == 10.0
    entry = draw("legacy", "rma")
    assert entry.loss_db.min() >= 10.0
    assert entry.loss_db.max() <= 15.0
    assert abs(entry.loss_db.mean() - 12.5) < 4 * 5 / np.sqrt(12 * NUM)
    with pytest.raises(ValueError, match="environment: must be uma, umi or rma"):
        wall_loss_db("legacy", environment="inh", carrier_hz=0.7e9)


def draw(model, environment="uma"):
    rng = np.random.default_rng(3)
    return draw_building_entry(rng, NUM, environment=environment, model=model, carrier_hz=3.5e9)


@pytest.mark.parametrize(
    ("model", "environment", "mean_m", "deviation_m"),
    [
        ("low", "uma", 25 / 3, 25 / 18**0.5),
        ("low", "rma", 10 / 3, 10 / 18**0.5),
        ("legacy", "uma", 25 / 2, 25 / 12**0.5),
    ],
)
def test_indoor_distance(ladder, model, environment, mean_m, deviation_m):
    found_m = draw(model, environment).indoor_distance_m
    ladder.near(
        4,
        "mean way indoors, UMa and RMa",
        source="the same; smaller of two uniforms, legacy one; 4 sigma",
        measured=found_m.mean(),
        expected=mean_m,
        tolerance=4 * deviation_m / np.sqrt(NUM),
        unit="m",
    )
    assert found_m.std() == pytest.approx(deviation_m, rel=0.02)


@pytest.mark.parametrize(("model", "spread_db"), [("low", 4.4), ("high", 6.5), ("legacy", 0.0)])
def test_spread_of_the_wall(model, spread_db):
    entry = draw(model)
    wall_db = entry.loss_db - 0.5 * entry.indoor_distance_m
    expected_db = wall_loss_db(model, environment="uma", carrier_hz=3.5e9)
    assert abs(wall_db.mean() - expected_db) <= 4 * spread_db / np.sqrt(NUM) + 1e-9
    # Standard error of a deviation: sigma / sqrt(2 n).
    assert abs(wall_db.std() - spread_db) <= 4 * spread_db / np.sqrt(2 * NUM) + 1e-9


@pytest.mark.parametrize(("windows", "mean_db"), [("plain", 9.0), ("metallised", 20.0)])
def test_car_loss(windows, mean_db):
    found_db = draw_car_loss_db(np.random.default_rng(5), NUM, windows=windows)
    assert abs(found_db.mean() - mean_db) < 4 * 5 / np.sqrt(NUM)
    assert abs(found_db.std() - 5) < 4 * 5 / np.sqrt(2 * NUM)


def test_models_that_do_not_fit_are_reported():
    fit = {"environment": "uma", "carrier_hz": 3.5e9}
    assert find_problems("legacy", **fit) == []
    (problem,) = find_problems("legacy", environment="uma", carrier_hz=28e9, path=("world", "p"))
    assert problem.path == ("world", "p")
    assert "from 6e9 Hz on" in problem.message
    assert "low or legacy" in find_problems("high", environment="rma", carrier_hz=2e9)[0].message
    assert "no effect" in find_problems("low", environment="inh", carrier_hz=2e9)[0].message


def test_walls_are_mixed_in_the_share_that_is_asked_for():
    """Within 4 standard errors of a share of 0.2; one model alone draws nothing."""
    rng = np.random.default_rng(3)
    drawn = [drawn_model(rng, "mixed", high_loss_fraction=0.2) for _ in range(10_000)]
    assert set(drawn) == {"high", "low"}
    assert drawn.count("high") / len(drawn) == pytest.approx(0.2, abs=4 * (0.16 / 1e4) ** 0.5)
    before = rng.bit_generator.state
    assert drawn_model(rng, "legacy", high_loss_fraction=0.2) == "legacy"
    assert rng.bit_generator.state == before


def test_mixed_walls_follow_the_rules_of_high_ones():
    (problem,) = find_problems("mixed", environment="rma", carrier_hz=2e9)
    assert problem.message == "must be low or legacy in environment rma, got mixed"
    assert not find_problems("mixed", environment="uma", carrier_hz=28e9)
