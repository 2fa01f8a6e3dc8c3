"""Flow against slot engine: handover, backhaul, ergodic rates, multi-user diversity."""

import math

import numpy as np
import pytest

from netsim.config import WorldConfig
from netsim.config.radio import (
    A3Handover,
    BackgroundShare,
    InnerLoopAdaptation,
    NoFading,
    OuterLoopAdaptation,
    RayleighFading,
    SiteOutage,
    SiteOutageRate,
    TddDuplex,
    TdlFading,
    UplinkPowerConfig,
)
from netsim.config.world import (
    HexagonalLayout,
    RandomWaypointMobility,
    SectorAntenna,
    SingleCellLayout,
    TraceMobility,
)
from tests.netsim.theory.multiuser_gain import mean_best_gain
from tests.netsim.worlds import (
    NEAR_0,
    make_network,
    plain_radio,
    ring,
    run_all,
    still_world,
    two_sites,
)

SIZE_BYTES = 1_000_000


def mean_time_s(engine, *, scheduler, fading, seed, num_clients=6, size_bytes=SIZE_BYTES, **radio):
    """Mean transfer time of uploads that start together; places depend on the seed."""
    rng = np.random.default_rng(seed)
    places = [(float(rng.uniform(40, 240)), 0.0) for _ in range(num_clients)]
    env, network = make_network(
        still_world(places),
        plain_radio(engine=engine, scheduler=scheduler, fading=fading, **radio),
        seed=seed,
    )
    rows = run_all(env, [network.send(k, "uplink", size_bytes) for k in range(num_clients)])
    assert {row.status for row in rows} == {"delivered"}
    return np.mean([row.finished_at_s for row in rows]), np.mean([row.energy_j for row in rows])


@pytest.mark.parametrize("scheduler", ["round_robin", "proportional_fair"])
def test_engines_agree_when_nothing_fades(scheduler):
    for seed in (1, 2):
        flow = mean_time_s("flow", scheduler=scheduler, fading=NoFading(), seed=seed)
        slot = mean_time_s("slot", scheduler=scheduler, fading=NoFading(), seed=seed)
        assert slot == pytest.approx(flow, rel=0.03)


def test_engines_agree_on_turns_of_near_clients_and_power_limited_ones():
    """Rates are compared at an equal split; the far ones have less than that of the whole band."""
    finish_s = {}
    for engine in ("flow", "slot"):
        env, network = make_network(
            still_world([(60.0, 0.0), (200.0, 0.0)] * 3, line_of_sight="never"),
            plain_radio(engine=engine, scheduler="proportional_fair"),
        )
        rows = run_all(env, [network.send(k, "uplink", 500_000) for k in range(6)])
        finish_s[engine] = [row.finished_at_s for row in rows]
    assert finish_s["slot"][0] < 0.8 * finish_s["slot"][1]
    assert finish_s["slot"] == pytest.approx(finish_s["flow"], rel=0.03)


def finish_at_the_limit_s(engine, *, seed, size_bytes, **radio):
    """Finish times of uploads of six clients at 300 to 700 m without line of sight."""
    rng = np.random.default_rng(seed)
    places = [(float(rng.uniform(300, 700)), 0.0) for _ in range(6)]
    env, network = make_network(
        still_world(places, line_of_sight="never"), plain_radio(engine=engine, **radio), seed=seed
    )
    rows = run_all(env, [network.send(k, "uplink", size_bytes) for k in range(6)])
    return np.array([row.finished_at_s for row in rows])


@pytest.mark.parametrize("seed", [1, 2])
def test_engines_agree_at_the_limit_of_power(ladder, seed):
    """MCS 0 to 10 on a few blocks each."""
    finish_s = {
        engine: finish_at_the_limit_s(engine, seed=seed, size_bytes=150_000)
        for engine in ("flow", "slot")
    }
    np.testing.assert_allclose(finish_s["slot"], finish_s["flow"], rtol=0.03)
    ladder.near(
        24,
        "mean transfer time, slot engine, at the limit of power, no fading",
        source="flow engine",
        measured=finish_s["slot"].mean(),
        expected=finish_s["flow"].mean(),
        rel=0.01,
        unit="s",
    )


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["round_robin", "proportional_fair"])
@pytest.mark.parametrize("fading", [RayleighFading(), TdlFading()], ids=["rayleigh", "tdl"])
def test_engines_agree_at_the_limit_of_power_under_fading(ladder, scheduler, fading):
    """Mean SINRs of -10 to 2 dB: MCS 0 in most fades, and most blocks sent more than once."""
    flow_s, slot_s = (
        np.mean(
            [
                finish_at_the_limit_s(
                    engine,
                    seed=seed,
                    size_bytes=400_000,
                    scheduler=scheduler,
                    fading=fading,
                ).mean()
                for seed in range(1, 6)
            ]
        )
        for engine in ("flow", "slot")
    )
    ladder.near(
        24,
        f"mean transfer time, slot engine, at the limit of power, {fading.kind}",
        source="flow engine, same seeds, round robin and proportional fair",
        measured=slot_s,
        expected=flow_s,
        rel=0.03,
        unit="s",
    )


def mean_time_of_crowd_s(engine, *, seed, layout, num_clients, spread_s, size_bytes, **radio):
    """Mean transfer time of uploads of clients all over the cells, who start one by one."""
    world = WorldConfig(
        environment="uma", layout=layout, carrier_hz=3.5e9, mobility=RandomWaypointMobility()
    )
    env, network = make_network(
        world, plain_radio(engine=engine, **radio), seed=seed, num_clients=num_clients
    )
    transfers = []

    def arrive():
        for client_id in range(num_clients):
            transfers.append(network.send(client_id, "uplink", size_bytes))
            yield env.timeout(spread_s / num_clients)

    env.run(until=env.process(arrive()))
    rows = run_all(env, transfers)
    return np.mean([row.finished_at_s - row.requested_at_s for row in rows])


@pytest.mark.slow
@pytest.mark.parametrize("fading", [RayleighFading(), TdlFading()], ids=["rayleigh", "tdl"])
@pytest.mark.parametrize(
    ("what", "world"),
    [
        (
            "20 contenders",
            {
                "layout": SingleCellLayout(),
                "num_clients": 20,
                "spread_s": 0.0,
                "size_bytes": 300_000,
            },
        ),
        (
            "21 cells that disturb each other",
            {
                "layout": HexagonalLayout(num_sites=7, isd_m=500.0),
                "num_clients": 30,
                "spread_s": 0.4,
                "size_bytes": 2_000_000,
            },
        ),
    ],
    ids=["crowd", "cells"],
)
def test_engines_agree_on_crowds(ladder, what, world, fading):
    """Proportional fair, at the default tick; 5 seeds."""
    flow_s, slot_s = (
        np.mean(
            [
                mean_time_of_crowd_s(
                    engine, seed=seed, scheduler="proportional_fair", fading=fading, **world
                )
                for seed in range(1, 6)
            ]
        )
        for engine in ("flow", "slot")
    )
    ladder.near(
        24,
        f"mean transfer time, slot engine, {what}, {fading.kind}",
        source="flow engine, same seeds, proportional fair",
        measured=slot_s,
        expected=flow_s,
        rel=0.03,
        unit="s",
    )


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", ["round_robin", "proportional_fair"])
@pytest.mark.parametrize("fading", [RayleighFading(), TdlFading()], ids=["rayleigh", "tdl"])
@pytest.mark.parametrize(
    "adaptation", [OuterLoopAdaptation(), InnerLoopAdaptation()], ids=["outer", "inner"]
)
def test_engines_agree_under_fading(ladder, scheduler, fading, adaptation):
    """Mean transfer time over 5 seeds within 3 %."""
    times = np.array(
        [
            [
                mean_time_s(
                    engine,
                    scheduler=scheduler,
                    fading=fading,
                    seed=seed,
                    size_bytes=4_000_000,
                    link_adaptation=adaptation,
                )[0]
                for engine in ("flow", "slot")
            ]
            for seed in range(1, 6)
        ]
    )
    flow_s, slot_s = times.mean(axis=0)
    ladder.near(
        24,
        f"mean transfer time, slot engine, {fading.kind}, {adaptation.kind}",
        source="flow engine, same seeds, round robin and proportional fair",
        measured=slot_s,
        expected=flow_s,
        rel=0.03,
        unit="s",
    )


@pytest.mark.parametrize(
    ("scheduler", "size_bytes"), [("round_robin", 300_000), ("proportional_fair", 1_500_000)]
)
def test_first_transmissions_fail_as_often_as_the_outer_loop_wants(ladder, scheduler, size_bytes):
    """Counted in the slot engine, between the ends of the MCS table; mean SINR 0 to 4 dB."""
    env, network = make_network(
        still_world([(x_m, 0.0) for x_m in (60.0, 90.0, 120.0, 150.0, 180.0, 210.0)]),
        plain_radio(
            engine="slot",
            fading=RayleighFading(),
            scheduler=scheduler,
            uplink_power=UplinkPowerConfig(p0_dbm=-95.0, max_power_reduction=None),
        ),
    )
    bank = network._engine._exchange._harq
    settle, is_error = bank.settle, []

    def watch(attempt, **settings):
        bits = settle(attempt, **settings)
        counted = ~attempt.is_retransmission & (attempt.mcs > 0) & (attempt.mcs < 28)
        is_error.extend(bits[counted] == 0)
        return bits

    bank.settle = watch
    run_all(env, [network.send(k, "uplink", size_bytes) for k in range(6)])
    settled = is_error[len(is_error) // 10 :]
    assert len(settled) > 4000
    ladder.near(
        14,
        "first transmissions in error in the slot engine",
        source="its target",
        measured=np.mean(settled),
        expected=0.1,
        tolerance=0.01,
    )


def test_only_the_weakest_member_of_a_broadcast_meets_block_errors():
    """Its MCS fails in a tenth of the blocks; those who hear better receive all of them.

    The flow engine has its blocks retransmitted and combined as others are; those of a broadcast
    are sent anew, which takes 2 to 3 % longer.
    """
    finish_s = {}
    for engine in ("flow", "slot"):
        env, network = make_network(
            still_world([(60.0, 0.0), (90.0, 0.0), (240.0, 0.0)], line_of_sight="never"),
            plain_radio(engine=engine, site_power_dbm=20.0),
        )
        rows = run_all(env, network.broadcast([0, 1, 2], 1_000_000))
        finish_s[engine] = np.array([row.finished_at_s for row in rows])
    assert finish_s["slot"][:2] == pytest.approx(finish_s["flow"][:2], rel=0.01)
    assert finish_s["slot"][2] == pytest.approx(finish_s["flow"][2], rel=0.04)
    assert finish_s["flow"][:2] / finish_s["flow"][2] == pytest.approx(0.9, abs=0.01)


def test_slot_engine_keeps_bytes_joules_and_reasons():
    outage = SiteOutage(site_id=0, started_at_s=0.05, finished_at_s=0.15)
    env, network = make_network(
        still_world(
            [*ring(3, radius_m=120.0), (4900.0, 0.0)], layout=SingleCellLayout(radius_m=5e3)
        ),
        plain_radio(
            engine="slot",
            fading=RayleighFading(),
            site_power_dbm=20.0,
            outages=(outage,),
            duplex=TddDuplex(uplink_fraction=0.4),
        ),
    )
    transfers = [network.send(k, "uplink", 200_000) for k in range(3)]
    transfers += network.broadcast([0, 1, 2], 200_000)
    transfers.append(network.send(3, "uplink", 1000, timeout_s=0.2))
    late = network.send(0, "uplink", 50_000_000, timeout_s=0.5)
    cancelled = network.send(1, "downlink", 50_000_000)
    env.run(until=0.3)
    cancelled.cancel()
    rows = run_all(env, [*transfers, late, cancelled])
    assert [row.status for row in rows[:6]] == ["delivered"] * 6
    assert [row.status for row in rows[6:]] == ["link_failure", "timeout", "cancelled"]
    for row in rows:
        assert (row.status == "delivered") == (row.delivered_bytes == row.size_bytes)
        assert 0 <= row.delivered_bytes <= row.size_bytes
    entries = network.energy.ledger.client_entries()
    assert entries.energy_j.sum() == pytest.approx(sum(row.energy_j for row in rows), rel=1e-9)
    assert not len(network._engine.active)


def test_both_engines_pass_the_same_outages_at_random():
    """Two sites that fail every 0.3 s: clients change cell, or wait when both are down."""
    found = {}
    for engine in ("flow", "slot"):
        env, network = two_sites(
            [NEAR_0, (-150.0, 0.0), (350.0, 0.0)],
            engine=engine,
            interference=False,
            outage_rate=SiteOutageRate(mean_up_s=0.3, mean_down_s=0.2),
        )
        transfers = [network.send(k, "uplink", size) for k, size in ((0, 300_000), (1, 250_000))]
        transfers += [network.send(2, "downlink", 400_000)]
        transfers += [network.send(1, "downlink", 10**8, timeout_s=2.0)]
        rows = run_all(env, transfers)
        env.run()  # nothing is left to happen, although sites go on failing
        assert env.now < 60.0
        found[engine] = rows
    for one, other in zip(found["flow"], found["slot"], strict=True):
        assert (one.status, one.handovers, one.cell_id) == (
            other.status, other.handovers, other.cell_id,
        )  # fmt: skip
        assert one.finished_at_s == pytest.approx(other.finished_at_s, rel=0.02)
        assert one.delivered_bytes == pytest.approx(other.delivered_bytes, rel=0.02)
    assert sum(row.handovers for row in found["flow"]) >= 3
    assert {row.status for row in found["flow"]} == {"delivered", "timeout"}


def test_slot_engine_is_deterministic():
    def rows():
        env, network = make_network(
            still_world(ring(3, radius_m=150.0)),
            plain_radio(engine="slot", fading=RayleighFading(), scheduler="proportional_fair"),
        )
        return run_all(env, [network.send(k, "uplink", 200_000) for k in range(3)])

    assert rows() == rows()


def drive_past_a_border(tmp_path, *, handover, speed_mps=20.0):
    """One client drives from one site towards the next while it uploads."""
    path = tmp_path / "drive.csv"
    seconds = 400.0 / speed_mps
    path.write_text(f"client_id,at_s,x_m,y_m\n0,0,50,10\n0,{seconds},450,10\n")
    world = still_world(
        [(0.0, 0.0)],
        layout=HexagonalLayout(num_sites=7, isd_m=500.0),
        antenna=SectorAntenna(ray_averaged=False),
        mobility=TraceMobility(path=str(path)),
    )
    env, network = make_network(world, plain_radio(handover=handover), num_clients=1)
    transfer = network.send(0, "uplink", 400_000_000, timeout_s=seconds)
    cells = []

    def watch():
        while not transfer.event.triggered:
            links = network.link_table([0])
            cells.append((float(network.positions_m([0])[0, 0]), int(links.cell_id[0])))
            yield env.timeout(0.05)

    env.process(watch())
    (row,) = run_all(env, [transfer])
    return row, cells, network


def test_handover_on_a_line_happens_once_after_the_border(tmp_path):
    row, cells, network = drive_past_a_border(tmp_path, handover=A3Handover(hysteresis_db=3.0))
    served = [cell for _, cell in cells]
    changes = [k for k in range(1, len(served)) if served[k] != served[k - 1]]
    assert len(changes) == row.handovers == 1
    site_before, site_after = (
        network.layout.cells[served[changes[0] - 1]].site_id,
        network.layout.cells[served[changes[0]]].site_id,
    )
    assert site_before != site_after
    # Where the neighbour is better by the hysteresis; then time to trigger and filter lag.
    along_m = np.arange(200.0, 400.0, 0.5)
    places = np.stack([along_m, np.full(len(along_m), 10.0)], axis=1)
    gain = network._channel.link_budget.gain_at(places, client_ids=np.zeros(len(places), int))
    better_db = 10 * np.log10(gain[:, served[changes[0]]] / gain[:, served[changes[0] - 1]])
    crossing_m = along_m[np.argmax(better_db > 3.0)]
    place_m = cells[changes[0]][0]
    square_m, tick_s = network._channel.link_budget.square_m, 0.05
    earliest_m = crossing_m + 20.0 * 0.256 - square_m
    assert earliest_m < place_m < earliest_m + 2 * square_m + 20.0 * (0.3 + 3 * tick_s)
    assert row.delivered_bytes + (row.size_bytes - row.delivered_bytes) == row.size_bytes
    assert row.status == "timeout"


def test_handover_costs_its_interruption_and_no_bytes(tmp_path):
    rows = {
        pause_s: drive_past_a_border(
            tmp_path, handover=A3Handover(hysteresis_db=3.0, interruption_s=pause_s)
        )[0]
        for pause_s in (0.0, 2.0)
    }
    lost_s = 2.0 * rows[2.0].delivered_bytes / rows[0.0].delivered_bytes
    assert rows[2.0].delivered_bytes < rows[0.0].delivered_bytes
    assert lost_s > 1.5


def test_ergodic_mode_is_the_mean_of_long_block_fading_transfers():
    times = {
        mode: mean_time_s(
            "flow",
            scheduler="round_robin",
            fading=RayleighFading(mode=mode),
            seed=4,
            num_clients=12,
            size_bytes=6_000_000,
        )[0]
        for mode in ("block", "ergodic")
    }
    assert times["ergodic"] == pytest.approx(times["block"], rel=0.02)


def test_opportunism_pays_downlink():
    """Scheduled at good fades: faster than round robin, not faster than the best of K always."""
    times = {
        scheduler: _downlink_time_s(scheduler) for scheduler in ("round_robin", "proportional_fair")
    }
    gain = times["round_robin"] / times["proportional_fair"]
    assert 1.1 < gain < mean_best_gain(6)


def _downlink_time_s(scheduler):
    env, network = make_network(
        still_world(ring(6, radius_m=150.0), line_of_sight="never"),
        plain_radio(fading=RayleighFading(), scheduler=scheduler, site_power_dbm=17.0),
    )
    run_all(env, [network.send(k, "downlink", SIZE_BYTES) for k in range(6)])
    return env.now


def test_background_load_slows_the_downlink_and_heats_the_site():
    world = still_world(
        [(100.0, 60.0)],
        layout=HexagonalLayout(num_sites=7),
        antenna=SectorAntenna(ray_averaged=False),
    )
    times, joules = [], []
    for fraction in (0.0, 0.9):
        env, network = make_network(
            world,
            plain_radio(background_load=BackgroundShare(downlink_fraction=fraction)),
        )
        (row,) = run_all(env, [network.send(0, "downlink", SIZE_BYTES)])
        times.append(row.finished_at_s)
        joules.append(network.energy.site_energy_j(env.now) / env.now)
    assert times[1] > times[0]
    assert joules[1] > joules[0]


def test_neighbours_upload_disturbs():
    world = still_world(
        [(120.0, 60.0), (380.0, 60.0)],
        layout=HexagonalLayout(num_sites=7),
        antenna=SectorAntenna(ray_averaged=False),
    )
    finish_s = {}
    for interference in (True, False):
        env, network = make_network(world, plain_radio(interference=interference))
        rows = run_all(env, [network.send(k, "uplink", 20_000_000) for k in range(2)])
        assert rows[0].cell_id != rows[1].cell_id
        finish_s[interference] = rows[0].finished_at_s
    assert finish_s[True] > 1.05 * finish_s[False]


def test_a_million_clients_cost_nothing_until_touched():
    world = still_world(
        [(0.0, 0.0)], mobility=RandomWaypointMobility(), line_of_sight="probability"
    )
    env, network = make_network(world, plain_radio(), num_clients=1_000_000)
    rows = run_all(env, [network.send(k, "uplink", 10_000) for k in (0, 500_000, 999_999)])
    assert {row.status for row in rows} == {"delivered"}
    assert math.isfinite(network.energy.total_energy_j(env.now))


def test_slot_engine_forgets_the_interference_of_traffic_that_has_ended():
    world = WorldConfig(
        environment="uma",
        layout=HexagonalLayout(num_sites=7, isd_m=500.0),
        carrier_hz=3.5e9,
        mobility=RandomWaypointMobility(),
    )
    env, network = make_network(world, plain_radio(engine="slot"), num_clients=12)
    run_all(env, [network.send(client_id, "uplink", 20_000) for client_id in range(12)])
    assert not network._engine._measured.mean_w.any()
    assert network._engine._measured._num_measured == 0
