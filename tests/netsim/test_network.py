"""The facade and the flow engine against hand calculation, conservation and queueing theory."""

import math

import numpy as np
import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.config.radio import (
    A3Handover,
    InnerLoopAdaptation,
    RayleighFading,
    SiteOutage,
    TddDuplex,
    TdlFading,
    UplinkPowerConfig,
)
from netsim.config.world import CorrelatedShadowing, RandomWaypointMobility, SingleCellLayout
from netsim.phy.link_adaptation import RateTable
from netsim.phy.transport_block import transport_block_size_bits
from netsim.streams import Purpose, stream
from tests.netsim.worlds import (
    NEAR_0,
    ignore_block_sizes,
    make_network,
    plain_radio,
    ring,
    run_all,
    still_world,
)

pytestmark = pytest.mark.usefixtures("fluid_to_the_end")
SIZE_BYTES = 2_000_000


def hand_calculation(distance_m, *, blocks, total_blocks=51):
    """Rate and powers of an uplink from the formulas of the standards, written out here."""
    d3_m = math.hypot(distance_m, 23.5)
    loss_db = 28.0 + 22 * math.log10(d3_m) + 20 * math.log10(3.5)
    power_dbm = min(23.0, -80 + 10 * math.log10(2 * blocks) + 0.8 * loss_db)
    noise_dbm = -174 + 10 * math.log10(12 * 30e3) + 5
    sinr_db = power_dbm - 10 * math.log10(blocks) - loss_db - noise_dbm
    table, sinr = RateTable(), np.array(10 ** (sinr_db / 10))
    efficiency = float(table.spectral_efficiency(sinr))
    mcs = int(table.mcs_index(sinr))
    nominal = float(table.mcs.spectral_efficiency[mcs])
    size_bits = transport_block_size_bits(
        blocks,
        code_rate_x1024=round(2048 * float(table.mcs.code_rate[mcs])) / 2,
        modulation_order=int(table.mcs.modulation_order[mcs]),
        num_symbols=14,
        dmrs_elements_per_block=13,
    )
    rate_bps = efficiency / nominal * size_bits / 0.5e-3
    radiated_mw = 10 ** (power_dbm / 10)
    drawn_w = 3e-3 * (250 + 450 / (10**2.3 - 1) * (radiated_mw - 1))
    return rate_bps, drawn_w, sinr_db


@pytest.mark.parametrize("distance_m", [60.0, 100.0, 250.0])
def test_one_upload_equals_the_hand_calculation(distance_m):
    radio = plain_radio(link_adaptation=InnerLoopAdaptation())
    env, network = make_network(still_world([(distance_m, 0.0)]), radio)
    (row,) = run_all(env, [network.send(0, "uplink", SIZE_BYTES)])
    rate_bps, drawn_w, sinr_db = hand_calculation(distance_m, blocks=51)
    expected_s = 8 * SIZE_BYTES / rate_bps
    # The engine works out the MCS from two columns read between the points of a grid.
    assert row.finished_at_s == pytest.approx(expected_s, rel=1e-8)
    assert row.energy_j == pytest.approx(expected_s * drawn_w, rel=1e-8)
    assert row.mean_sinr_db == pytest.approx(sinr_db, abs=1e-9)
    assert row.num_resource_blocks == pytest.approx(51)
    assert network.energy.total_energy_j(env.now) == pytest.approx(row.energy_j, rel=1e-12)


def test_finish_is_exact_to_rounding():
    env, network = make_network(still_world([(100.0, 0.0)]), plain_radio())
    rate_bps = network.link_table([0]).uplink_rate_bps[0]
    env.run(until=12345.678)
    (row,) = run_all(env, [network.send(0, "uplink", SIZE_BYTES)])
    assert row.finished_at_s == pytest.approx(12345.678 + 8 * SIZE_BYTES / rate_bps, rel=1e-12)


def test_tail_follows_the_last_data():
    env, network = make_network(still_world([(100.0, 0.0)]), plain_radio())
    (row,) = run_all(env, [network.send(0, "uplink", SIZE_BYTES)])
    env.run(until=env.now + 0.05)
    listening_w = 0.4 * 100 * 3e-3
    floor_w = 50 * 3e-3
    tail_j = network.energy.total_energy_j(env.now) - row.energy_j
    assert tail_j == pytest.approx(0.05 * max(listening_w, floor_w), rel=1e-9)


def test_site_energy_of_a_download_is_earth():
    env, network = make_network(still_world([(100.0, 0.0)]), plain_radio(site_power_dbm=43.0))
    (row,) = run_all(env, [network.send(0, "downlink", SIZE_BYTES)])
    radiated_w = 10**1.3
    expected_w = 2 * 130 + 4.7 * radiated_w
    assert network.energy.site_energy_j(env.now) == pytest.approx(
        expected_w * row.finished_at_s, rel=1e-9
    )


def test_power_limited_clients_gain_little_from_blocks():
    world = still_world(
        [(400.0, 0.0)], line_of_sight="never", layout=SingleCellLayout(radius_m=2e3)
    )
    rates = []
    for bandwidth_hz in (5e6, 20e6, 100e6):
        _, network = make_network(
            world, plain_radio(bandwidth_hz=bandwidth_hz, uplink_power=UplinkPowerConfig(alpha=1.0))
        )
        rates.append(network.link_table([0]).uplink_rate_bps[0])
    assert rates[1] < 2 * rates[0]
    assert rates[2] < 1.5 * rates[1]


@pytest.mark.parametrize("direction", ["uplink", "downlink"])
def test_more_bandwidth_is_never_slower_alone_in_the_cell(direction):
    for distance_m in (30.0, 120.0, 240.0):
        last_s = math.inf
        for bandwidth_hz in (5e6, 10e6, 20e6, 50e6, 100e6):
            env, network = make_network(
                still_world([(distance_m, 0.0)]), plain_radio(bandwidth_hz=bandwidth_hz)
            )
            (row,) = run_all(env, [network.send(0, direction, SIZE_BYTES)])
            assert row.finished_at_s <= last_s
            last_s = row.finished_at_s


def test_round_robin_gives_equal_blocks():
    env, network = make_network(still_world(ring(4, radius_m=100.0)), plain_radio())
    rows = run_all(env, [network.send(k, "uplink", SIZE_BYTES) for k in range(4)])
    assert [row.num_resource_blocks for row in rows] == pytest.approx([51 / 4] * 4)
    assert len({row.finished_at_s for row in rows}) == 1


def test_proportional_fair_equals_round_robin_when_nothing_fades():
    finish = {}
    for scheduler in ("round_robin", "proportional_fair"):
        places = [(40.0, 0.0), (0.0, 120.0), (200.0, 0.0)]
        env, network = make_network(still_world(places), plain_radio(scheduler=scheduler))
        rows = run_all(env, [network.send(k, "downlink", SIZE_BYTES) for k in range(3)])
        finish[scheduler] = [row.finished_at_s for row in rows]
    assert finish["proportional_fair"] == pytest.approx(finish["round_robin"], rel=0.01)


def test_tdd_scales_rate_and_airtime():
    rows = {}
    for name, duplex in (("fdd", {}), ("tdd", {"duplex": TddDuplex(uplink_fraction=0.25)})):
        env, network = make_network(still_world([(100.0, 0.0)]), plain_radio(**duplex))
        (rows[name],) = run_all(env, [network.send(0, "uplink", SIZE_BYTES)])
        totals = {t.activity: t for t in network.energy.totals(env.now) if t.owner == "client"}
        assert totals["tx"].seconds == pytest.approx(rows["fdd"].finished_at_s, rel=1e-9)
    assert rows["tdd"].finished_at_s == pytest.approx(4 * rows["fdd"].finished_at_s, rel=1e-9)
    waiting_j = 50 * 3e-3 * 3 * rows["fdd"].finished_at_s
    assert rows["tdd"].energy_j == pytest.approx(rows["fdd"].energy_j + waiting_j, rel=1e-9)


def test_broadcast_runs_at_the_weakest_members_rate_on_one_set_of_blocks():
    places = [(40.0, 0.0), (0.0, 120.0), (180.0, 0.0)]
    world = still_world(places, layout=SingleCellLayout(radius_m=1e3), line_of_sight="never")
    env, network = make_network(world, plain_radio(site_power_dbm=20.0))
    slowest_bps = network.link_table([0, 1, 2]).downlink_rate_bps.min()
    rows = run_all(env, network.broadcast([0, 1, 2], SIZE_BYTES))
    assert {row.status for row in rows} == {"delivered"}
    slowest_s = 8 * SIZE_BYTES / slowest_bps
    assert rows[2].finished_at_s == pytest.approx(slowest_s, rel=1e-9)
    for row in rows[:2]:  # without the errors of the weakest, a tenth of its blocks
        assert row.finished_at_s == pytest.approx(slowest_s / 1.1, rel=0.005)
    for row in rows:
        assert row.num_resource_blocks == pytest.approx(51)


def test_rows_carry_the_numbers_of_transfer_and_participation():
    """Transfers count in the order of requests; a participation's number is the sender's."""
    env, network = make_network(still_world([NEAR_0] * 3), plain_radio())
    large = network.send(0, "uplink", 900_000, participation_id=7)
    small = network.send(1, "uplink", 9_000)
    cast = network.broadcast([2, 0], 5_000, participation_ids=[9, 7])
    rows = run_all(env, [large, small, *cast])
    assert [(r.transfer_id, r.participation_id) for r in rows] == [
        (0, 7),
        (1, None),
        (2, 9),
        (3, 7),
    ]
    assert {r.transfer_id for r in network.transfers()} == {0, 1, 2, 3}
    with pytest.raises(ValueError, match="participation_ids: must be 2, one a client, got 1"):
        network.broadcast([0, 1], 1, participation_ids=[1])


def test_no_coverage_ends_by_timeout_with_its_reason():
    world = still_world(
        [(50.0, 0.0), (4900.0, 0.0)], layout=SingleCellLayout(radius_m=5e3), line_of_sight="never"
    )
    env, network = make_network(world, plain_radio(site_power_dbm=20.0))
    far = network.send(1, "uplink", SIZE_BYTES, timeout_s=3.0)
    near = network.send(0, "uplink", SIZE_BYTES)
    rows = run_all(env, [near, far])
    assert [row.status for row in rows] == ["delivered", "link_failure"]
    assert rows[1].delivered_bytes == 0
    assert rows[1].finished_at_s == 3.0
    assert rows[1].mean_sinr_db is None
    links = network.link_table([1])
    assert (links.cell_id[0], links.site_id[0]) == (-1, -1)
    assert links.uplink_rate_bps[0] == 0
    assert links.snr_db[0] == -math.inf


def test_site_outage_pauses_and_names_itself():
    outage = SiteOutage(site_id=0, started_at_s=0.1, finished_at_s=1.1)
    clear_s, recovery_s = [], plain_radio().link_failure.recovery_s
    for outages in ((), (outage,)):
        env, network = make_network(still_world([(100.0, 0.0)]), plain_radio(outages=outages))
        (row,) = run_all(env, [network.send(0, "uplink", SIZE_BYTES)])
        clear_s.append(row.finished_at_s)
        assert row.status == "delivered"
    assert clear_s[1] == pytest.approx(clear_s[0] + 1.0 + recovery_s, rel=1e-9)
    env, network = make_network(still_world([(100.0, 0.0)]), plain_radio(outages=(outage,)))
    (row,) = run_all(env, [network.send(0, "uplink", 100 * SIZE_BYTES, timeout_s=0.5)])
    assert row.status == "outage"
    assert 0 < row.delivered_bytes < row.size_bytes


def test_cancel_keeps_what_was_delivered():
    env, network = make_network(still_world([(100.0, 0.0)]), plain_radio())
    rate_bps = network.link_table([0]).uplink_rate_bps[0]
    transfer = network.send(0, "uplink", SIZE_BYTES)
    env.run(until=0.1)
    transfer.cancel()
    (row,) = run_all(env, [transfer])
    assert row.status == "cancelled"
    assert row.finished_at_s == 0.1
    assert row.delivered_bytes == int(0.1 * rate_bps / 8)
    transfer.cancel()
    env.run(until=1.0)
    assert network.transfers() == [row]
    assert network.transfers() == []


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    scheduler=st.sampled_from(["round_robin", "proportional_fair", "max_ci", "earliest_deadline"]),
    fades=st.sampled_from(["none", "flat", "tdl"]),
    moves=st.booleans(),
)
def test_bytes_and_joules_are_conserved(seed, scheduler, fades, moves):
    """Any mix of arrivals, cancellations, deadlines and outages: every transfer ends with a row."""
    check_conservation(seed, scheduler, fades, moves=moves)


def check_conservation(seed, scheduler, fades, *, moves):
    rng = np.random.default_rng(seed)
    changes = {
        "scheduler": scheduler,
        "outages": (SiteOutage(site_id=0, started_at_s=0.4, finished_at_s=0.9),),
        "handover": A3Handover(),
    }
    if fades == "flat":
        changes["fading"] = RayleighFading()
    if fades == "tdl":
        changes["fading"] = TdlFading()
    world = still_world(ring(6, radius_m=200.0), shadowing=CorrelatedShadowing())
    if moves:
        world = still_world(
            ring(1, radius_m=1.0),
            mobility=RandomWaypointMobility(),
            shadowing=CorrelatedShadowing(),
            line_of_sight="probability",
        )
    env, network = make_network(world, plain_radio(**changes), num_clients=6, seed=seed % 1000)
    transfers = []

    def traffic():
        for _ in range(12):
            yield env.timeout(float(rng.exponential(0.1)))
            direction = "uplink" if rng.random() < 0.6 else "downlink"
            size = int(rng.integers(1, 3_000_000))
            timeout_s = float(rng.uniform(0.05, 2.0)) if rng.random() < 0.4 else None
            client = int(rng.integers(6))
            if rng.random() < 0.2:
                transfers.extend(network.broadcast([0, 2, 5], size, timeout_s=timeout_s))
            else:
                transfers.append(network.send(client, direction, size, timeout_s=timeout_s))
            if rng.random() < 0.25:
                transfers[int(rng.integers(len(transfers)))].cancel()

    env.run(until=env.process(traffic()))
    mid_j = network.energy.total_energy_j(env.now)
    assert network.energy.total_energy_j(env.now) == pytest.approx(mid_j, rel=1e-12)
    rows = run_all(env, transfers)
    assert sorted(map(id, network.transfers())) == sorted(map(id, rows))
    assert not len(network._engine.active)
    for row in rows:
        assert 0 <= row.delivered_bytes <= row.size_bytes
        assert (row.status == "delivered") == (row.delivered_bytes == row.size_bytes)
        assert row.requested_at_s <= row.started_at_s <= row.finished_at_s
        assert 0 <= row.num_resource_blocks <= 51 * (1 + 1e-9)
    entries = network.energy.ledger.client_entries()
    assert entries.energy_j.sum() == pytest.approx(sum(row.energy_j for row in rows), rel=1e-9)
    totals = network.energy.totals(env.now)
    clients_j = sum(total.energy_j for total in totals if total.owner == "client")
    sites_j = sum(total.energy_j for total in totals if total.owner == "site")
    assert network.energy.total_energy_j(env.now) == pytest.approx(clients_j, rel=1e-9)
    assert network.energy.site_energy_j(env.now) == pytest.approx(sites_j, rel=1e-9)
    assert clients_j >= sum(row.energy_j for row in rows) * (1 - 1e-9)
    return network, rows


@pytest.mark.parametrize("fades", ["none", "flat", "tdl"])
@pytest.mark.parametrize("moves", [False, True])
def test_conservation_in_numbers(ladder, fades, moves):
    network, rows = check_conservation(7, "proportional_fair", fades, moves=moves)
    done = [row for row in rows if row.status == "delivered"]
    assert 0 < len(done) < len(rows)
    ladder.near(
        23,
        "bytes of delivered transfers, any mix of events",
        source="bytes offered in them",
        measured=sum(row.delivered_bytes for row in done),
        expected=sum(row.size_bytes for row in done),
        tolerance=0,
        unit="B",
    )
    ladder.near(
        23,
        "joules of all transfers, any mix of events",
        source="sum of power x time in the ledger",
        measured=sum(row.energy_j for row in rows),
        expected=network.energy.ledger.client_entries().energy_j.sum(),
        rel=1e-9,
        unit="J",
    )


def run_trace(seed):
    world = still_world(
        [(0.0, 0.0)],
        mobility=RandomWaypointMobility(),
        shadowing=CorrelatedShadowing(),
        line_of_sight="probability",
    )
    radio = plain_radio(fading=RayleighFading(), scheduler="proportional_fair")
    env, network = make_network(world, radio, num_clients=8, seed=seed)
    run_all(env, [network.send(k, "uplink", 500_000) for k in range(8)])
    return network


def test_same_seed_gives_identical_rows_and_another_seed_does_not():
    assert run_trace(3).transfers() == run_trace(3).transfers()
    assert run_trace(3).transfers() != run_trace(4).transfers()


def test_world_does_not_depend_on_what_is_sent():
    """Common random numbers: another client's traffic moves nobody and fades nobody."""
    quiet, busy = run_trace(3), run_trace(3)
    quiet._env.run(until=20.0)
    other = busy.send(7, "downlink", 1000)
    busy._env.run(until=other.event)
    busy._env.run(until=20.0)
    one, other = quiet.link_table(range(8)), busy.link_table(range(8))
    assert all(np.array_equal(getattr(one, name), getattr(other, name)) for name in one.__slots__)
    np.testing.assert_array_equal(quiet.positions_m(range(8)), busy.positions_m(range(8)))


def poisson_downloads(size_law, *, load, num_transfers, run):
    """Poisson downloads in one cell: arrival times, service times alone, measured times."""
    env, network = make_network(still_world(ring(64, radius_m=100.0)), plain_radio())
    mean_bytes = 1_000_000
    rate_bps = network.link_table([0]).downlink_rate_bps[0]
    rng = stream(11, Purpose.COHORT, run)
    transfers = []

    def arrivals():
        for _ in range(num_transfers):
            yield env.timeout(float(rng.exponential(8 * mean_bytes / rate_bps / load)))
            size = mean_bytes if size_law == "constant" else rng.exponential(mean_bytes)
            transfers.append(network.send(int(rng.integers(64)), "downlink", int(size) + 1))

    env.run(until=env.process(arrivals()))
    rows = run_all(env, transfers)
    arrival_s = np.array([row.requested_at_s for row in rows])
    service_s = np.array([8 * row.size_bytes / rate_bps for row in rows])
    return arrival_s, service_s, np.array([row.finished_at_s for row in rows]) - arrival_s


def ideal_processor_sharing(arrival_s, service_s):
    """Times in system of an egalitarian processor-sharing queue, by its definition."""
    finish_s = np.empty(len(arrival_s))
    left: dict[int, float] = {}
    now_s, upcoming = 0.0, 0
    while upcoming < len(arrival_s) or left:
        next_s = arrival_s[upcoming] if upcoming < len(arrival_s) else math.inf
        done_s = now_s + min(left.values()) * len(left) if left else math.inf
        served = (min(next_s, done_s) - now_s) / len(left) if left else 0.0
        now_s = min(next_s, done_s)
        left = {job: work - served for job, work in left.items()}
        if done_s <= next_s:
            job = min(left, key=left.__getitem__)
            del left[job]
            finish_s[job] = now_s
        else:
            left[upcoming] = service_s[upcoming]
            upcoming += 1
    return finish_s - arrival_s


@pytest.mark.parametrize("size_law", ["constant", "exponential"])
def test_round_robin_is_processor_sharing_path_by_path(monkeypatch, size_law):
    ignore_block_sizes(monkeypatch)
    arrival_s, service_s, measured_s = poisson_downloads(
        size_law, load=0.7, num_transfers=400, run=0
    )
    expected_s = ideal_processor_sharing(arrival_s, service_s)
    np.testing.assert_allclose(measured_s, expected_s, rtol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize("size_law", ["constant", "exponential"])
def test_mean_time_in_system_is_that_of_m_g_1_ps(monkeypatch, size_law):
    """E[S] / (1 - rho) for any distribution of sizes; within 2 % or the interval, the wider."""
    ignore_block_sizes(monkeypatch)
    load, num_runs = 0.5, 12
    means = []
    for run in range(num_runs):
        _, service_s, measured_s = poisson_downloads(
            size_law, load=load, num_transfers=4000, run=run
        )
        means.append(measured_s[200:].mean() / service_s.mean())
    # Student t, two-sided 99 % with 11 degrees of freedom.
    half = 3.106 * np.std(means, ddof=1) / math.sqrt(num_runs)
    assert half < 0.1 / (1 - load)
    assert abs(np.mean(means) * (1 - load) - 1) < max(half * (1 - load), 0.02)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda n: n.send(9, "uplink", 10), "client_id: must be 0 to 0, got 9"),
        (lambda n: n.send(0, "uplink", 0), "size_bytes: must be a whole number >= 1, got 0"),
        (lambda n: n.send(0, "uplink", 10, timeout_s=0.0), "timeout_s: must be > 0 and finite"),
        (lambda n: n.send(0, "uplink", 10, timeout_s=math.inf), "timeout_s: .* got inf"),
        (lambda n: n.send(0, "uplink", math.nan), "size_bytes: must be a whole number"),
        (lambda n: n.broadcast([0, 0], 10), "client_ids: must be distinct"),
    ],
)
def test_bad_calls_are_named(call, message):
    _, network = make_network(still_world([(10.0, 0.0)]), plain_radio())
    with pytest.raises(ValueError, match=message):
        call(network)


def test_a_direction_that_does_not_exist_is_named():
    _, network = make_network(still_world([(10.0, 0.0)]), plain_radio())
    # With run-time shape checks on, those refuse it first, as a TypeError.
    with pytest.raises((ValueError, TypeError), match="sideways"):
        network.send(0, "sideways", 10)


def test_a_wrong_scheduler_is_named(tmp_path):
    path = tmp_path / "mine.py"
    path.touch()

    class Greedy:
        def shares(self, view):
            return np.ones_like(view.group_rate_bps)

    env, network = make_network(
        still_world(ring(2, radius_m=50.0)),
        plain_radio(scheduler=f"{path}:Greedy"),
        own_scheduler=Greedy,
    )
    transfers = [network.send(k, "uplink", 1000) for k in range(2)]
    with pytest.raises(
        ValueError, match=r"mine.py:Greedy, uplink of cell 0: .*must sum to <= 1, got 2"
    ):
        run_all(env, transfers)


def test_a_timer_never_outlives_the_traffic():
    env, network = make_network(still_world([(100.0, 0.0)]), plain_radio(fading=RayleighFading()))
    (row,) = run_all(env, [network.send(0, "uplink", SIZE_BYTES)])
    env.run()
    assert env.now < row.finished_at_s + 0.051
    assert isinstance(env, simpy.Environment)
