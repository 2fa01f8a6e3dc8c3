"""Instants of a tick: which one holds now, how long each lasts, and what fades at them."""

import numpy as np
import pytest

from netsim.config.radio import NoFading, RayleighFading
from tests.netsim.worlds import make_network, plain_radio, run_all, still_world


def engine_of(**radio):
    """The engine after an upload, which leaves its clock within a tick."""
    env, network = make_network(still_world([(100.0, 0.0)]), plain_radio(**radio))
    engine = network._engine
    network.send(0, "uplink", 10_000_000)
    return env, engine


@pytest.mark.parametrize(
    ("now_s", "first", "left_s"),
    [(0.0, 0, 0.00625), (0.001, 0, 0.00525), (0.00625, 1, 0.00625), (0.0499, 7, 0.0001)],
)
def test_the_rest_of_a_tick_is_divided_at_its_instants(now_s, first, left_s):
    env, engine = engine_of(fading=RayleighFading(), scheduler="proportional_fair")
    env.run(until=1e-6)
    found, duration_s = engine._tracker.instants(now_s)
    assert found == first
    assert len(duration_s) == 8 - first
    assert duration_s[0] == pytest.approx(left_s)
    assert duration_s.sum() == pytest.approx(0.05 - now_s)


@pytest.mark.parametrize(
    ("tick_s", "expected_s"), [(0.05, [0.005, 0.025]), (0.025, [0.005])], ids=["two", "one"]
)
def test_few_instants_where_nobody_follows_the_fades(tick_s, expected_s):
    """Half a Doppler cycle at walking speed is two instants, a quarter is one."""
    env, engine = engine_of(fading=RayleighFading(), scheduler="round_robin", channel_tick_s=tick_s)
    env.run(until=0.02)
    first, duration_s = engine._tracker.instants(0.02)
    assert (first, duration_s.tolist()) == (0, pytest.approx(expected_s))


def test_one_instant_for_ever_where_nothing_varies():
    env, engine = engine_of(fading=NoFading(), scheduler="proportional_fair")
    env.run(until=0.02)
    first, duration_s = engine._tracker.instants(0.02)
    assert (first, duration_s.tolist()) == (0, [np.inf])


def test_fades_of_instants_are_those_of_their_times():
    env, engine = engine_of(fading=RayleighFading(), scheduler="proportional_fair")
    env.run(until=0.06)
    slots = engine.links.slots
    at_s = 0.05 + np.arange(8) * 0.00625
    expected = engine._channel.fading_over(
        engine.links.client_id[slots], engine.links.cell_id[slots], at_s=at_s
    )
    for found, gains in zip(
        (engine.links.uplink_fading, engine.links.downlink_fading), expected, strict=True
    ):
        np.testing.assert_allclose(found[slots], np.moveaxis(gains, 0, 1))


def test_ticks_need_not_be_short_for_proportional_fair():
    """Three uploads of half a second each, 8 seeds: 50 ms against 5 ms within 1.5 %."""
    mean_s = []
    for tick_s in (0.05, 0.005):
        finish_s = []
        for seed in range(8):
            places = [(60.0 + 40.0 * k, 0.0) for k in range(3)]
            env, network = make_network(
                still_world(places),
                plain_radio(
                    fading=RayleighFading(), scheduler="proportional_fair", channel_tick_s=tick_s
                ),
                seed=seed,
            )
            rows = run_all(env, [network.send(k, "uplink", 1_500_000) for k in range(3)])
            finish_s.append(np.mean([row.finished_at_s for row in rows]))
        mean_s.append(np.mean(finish_s))
    assert mean_s[0] == pytest.approx(mean_s[1], rel=0.015)
