"""Joules of measured phones in both engines, in closed form."""

import numpy as np
import pytest

from netsim.config.radio import RayleighFading, TddDuplex
from netsim.config.ue_power import MeasuredPowerConfig
from tests.netsim.worlds import make_network, plain_radio, ring, run_all, still_world

pytestmark = pytest.mark.usefixtures("fluid_to_the_end")

NEAR = (100.0, 0.0)
SA = MeasuredPowerConfig()


def radio(**changes):
    """10 MHz: some 20 to 40 Mb/s, as on the networks that were measured."""
    return plain_radio(
        **({"bandwidth_hz": 10e6, "ue_power": SA, "uplink_overhead_fraction": 0.3} | changes)
    )


def totals(network, at_s):
    """Seconds and joules of client 0 by activity."""
    found = [each for each in network.energy.totals(at_s) if each.owner == "client"]
    return {each.activity: (each.seconds, each.energy_j) for each in found}


def tolerance(engine):
    """The slot engine counts whole slots, and waits for the last acknowledgement."""
    return 1e-9 if engine == "flow" else 0.01


@pytest.mark.parametrize("engine", ["flow", "slot"])
def test_one_upload_and_its_tail(engine):
    env, network = make_network(still_world([NEAR]), radio(engine=engine))
    (row,) = run_all(env, [network.send(0, "uplink", 4_000_000)])
    bits, end_s = 32e6, row.finished_at_s
    assert 20e6 < bits / end_s < 34e6  # on the slope, below the largest power
    expected_j = 1.743 * end_s + 9.6e-9 * bits
    assert row.energy_j == pytest.approx(expected_j, rel=tolerance(engine))
    env.run(until=end_s + 30.0)
    total_j = network.energy.total_energy_j(env.now)
    assert total_j == pytest.approx(row.energy_j + 0.59 * 10.2, rel=1e-9)
    seconds, joules = totals(network, env.now)["idle"]
    assert seconds == pytest.approx(10.2, abs=0.02)
    assert joules == pytest.approx(0.59 * 10.2, abs=0.02)


@pytest.mark.parametrize("engine", ["flow", "slot"])
def test_one_download(engine):
    env, network = make_network(still_world([NEAR]), radio(engine=engine))
    (row,) = run_all(env, [network.send(0, "downlink", 4_000_000)])
    assert row.energy_j == pytest.approx(1.19 * row.finished_at_s, rel=tolerance(engine))


@pytest.mark.parametrize("engine", ["flow", "slot"])
def test_under_tdd_other_slots_draw_what_a_connected_phone_does(engine):
    duplex = TddDuplex(uplink_fraction=0.4)
    env, network = make_network(
        still_world([NEAR]), radio(engine=engine, duplex=duplex, uplink_overhead_fraction=0.6)
    )
    (row,) = run_all(env, [network.send(0, "uplink", 2_000_000)])
    assert 16e6 / row.finished_at_s < 0.4 * 34e6
    expected_j = (0.4 * 1.743 + 0.6 * 0.85) * row.finished_at_s + 9.6e-9 * 16e6
    assert row.energy_j == pytest.approx(expected_j, rel=tolerance(engine))


def test_both_at_once_draw_what_sending_draws_and_after_it_receiving():
    env, network = make_network(still_world([NEAR]), radio())
    (alone,) = run_all(env, [network.send(0, "uplink", 1_000_000)])
    env, network = make_network(still_world([NEAR]), radio())
    up, down = run_all(
        env, [network.send(0, "uplink", 1_000_000), network.send(0, "downlink", 9_000_000)]
    )
    assert up.energy_j == pytest.approx(alone.energy_j, rel=1e-9)
    after_s = down.finished_at_s - up.finished_at_s
    assert after_s > 0.5
    assert down.energy_j == pytest.approx(1.19 * after_s, rel=1e-9)


@pytest.mark.parametrize("engine", ["flow", "slot"])
@pytest.mark.parametrize("gap_s", [0.0, 4.0, 10.2, 25.0])
def test_a_tail_is_cut_by_the_next_transfer_and_booked_once(engine, gap_s):
    env, network = make_network(still_world([NEAR]), radio(engine=engine))
    (first,) = run_all(env, [network.send(0, "uplink", 400_000)])
    env.run(until=env.now + gap_s + 1e-9)
    begun_s = env.now
    (second,) = run_all(env, [network.send(0, "downlink", 400_000)])
    env.run(until=env.now + 3.0)
    tail_j = 0.59 * (min(begun_s - first.finished_at_s, 10.2) + env.now - second.finished_at_s)
    expected_j = first.energy_j + second.energy_j + tail_j
    assert network.energy.total_energy_j(env.now) == pytest.approx(expected_j, rel=1e-9)


def test_reading_the_meter_changes_nothing():
    joules = []
    for reads in (0, 40):
        env, network = make_network(
            still_world(ring(3, radius_m=150.0)), radio(fading=RayleighFading())
        )
        transfers = [network.send(k, "uplink", 1_000_000) for k in range(3)]
        for at_s in np.linspace(0.02, 0.8, reads):
            env.run(until=float(at_s))
            network.energy.total_energy_j(env.now)
        joules.append([row.energy_j for row in run_all(env, transfers)])
    assert joules[0] == pytest.approx(joules[1], rel=1e-9)


def test_the_engines_agree_on_joules_of_shared_time(ladder):
    joules = {}
    for engine in ("flow", "slot"):
        joules[engine] = 0.0
        for seed in (1, 2):
            env, network = make_network(
                still_world(ring(4, radius_m=200.0), line_of_sight="never"),
                radio(engine=engine, fading=RayleighFading(), scheduler="proportional_fair"),
                seed=seed,
            )
            rows = run_all(env, [network.send(k, "uplink", 1_000_000) for k in range(4)])
            joules[engine] += sum(row.energy_j for row in rows)
    ladder.near(
        24,
        "joules of four measured phones, slot engine, rayleigh",
        source="flow engine, same seeds, proportional fair",
        measured=joules["slot"],
        expected=joules["flow"],
        rel=0.03,
        unit="J",
    )
