"""Transfers wait for their last retransmissions, and leave their blocks to others meanwhile."""

import numpy as np
import pytest

from netsim.config.radio import FddDuplex, InnerLoopAdaptation, RayleighFading, TddDuplex
from netsim.config.world import RandomDirectionMobility
from netsim.engines.flow_last_blocks import LastBlocks
from tests.netsim.worlds import make_network, plain_radio, ring, run_all, still_world

SLOT_S = 0.5e-3


def uploads(sizes, monkeypatch=None, *, wait_s=0.0, **radio):
    """Rows of uploads of clients alike, the first of which waits for so long at its end."""
    if monkeypatch is not None:
        monkeypatch.setattr(
            LastBlocks,
            "wait_s",
            lambda _, records, *__, **___: np.array(
                [wait_s if record["client_id"] == 0 else 0.0 for record in records]
            ),
        )
    world = still_world(ring(len(sizes), radius_m=60.0))
    env, network = make_network(world, plain_radio(**radio))
    transfers = [network.send(k, "uplink", size) for k, size in enumerate(sizes)]
    return env, network, transfers


def test_others_have_the_blocks_of_who_waits(monkeypatch):
    rows = {}
    for wait_s in (0.0, 0.004):
        env, _, transfers = uploads([20_000, 60_000], monkeypatch, wait_s=wait_s)
        rows[wait_s] = run_all(env, transfers)
    before, after = rows[0.0], rows[0.004]
    assert after[0].finished_at_s == pytest.approx(before[0].finished_at_s + 0.004, rel=1e-12)
    assert after[1].finished_at_s == pytest.approx(before[1].finished_at_s, rel=1e-12)
    assert after[0].status == "delivered"
    blocks_s = [
        row.num_resource_blocks * (row.finished_at_s - row.started_at_s)
        for row in (before[0], after[0])
    ]
    assert blocks_s[1] == pytest.approx(blocks_s[0], rel=1e-9)


def test_a_deadline_within_the_wait_ends_the_transfer(monkeypatch):
    env, _, transfers = uploads([20_000], monkeypatch)
    (row,) = run_all(env, transfers)
    monkeypatch.setattr(
        LastBlocks, "wait_s", lambda _, records, *__, **___: np.full(len(records), 0.004)
    )
    env, network = make_network(still_world(ring(1, radius_m=60.0)), plain_radio())
    transfer = network.send(0, "uplink", 20_000, timeout_s=row.finished_at_s + 0.002)
    (late,) = run_all(env, [transfer])
    assert late.status == "timeout"
    assert late.finished_at_s == pytest.approx(row.finished_at_s + 0.002, rel=1e-9)


def test_a_transfer_that_waits_can_be_cancelled(monkeypatch):
    env, _, transfers = uploads([20_000], monkeypatch)
    (row,) = run_all(env, transfers)
    env, _, transfers = uploads([20_000], monkeypatch, wait_s=0.004)
    env.run(until=row.finished_at_s + 0.001)
    transfers[0].cancel("left")
    (cancelled,) = run_all(env, transfers)
    assert cancelled.status == "left"
    assert cancelled.finished_at_s == pytest.approx(row.finished_at_s + 0.001, rel=1e-9)


@pytest.mark.parametrize("num_clients", [1, 4])
def test_a_transfer_ends_with_its_slot_on_average(num_clients):
    """Of sizes spread evenly over a transport block, whatever the number of clients."""
    whole_slots, sizes = 40, np.arange(0.5, 20) / 20
    end_s = {"flow": [], "slot": []}
    for engine, ends_s in end_s.items():
        world = still_world(ring(num_clients, radius_m=60.0))
        radio = plain_radio(engine=engine, link_adaptation=InnerLoopAdaptation())
        _, network = make_network(world, radio)
        block_bytes = network.link_table([0]).uplink_rate_bps[0] * SLOT_S / 8
        for part in sizes:
            env, network = make_network(world, radio)
            size_bytes = round(block_bytes * (whole_slots + part) / num_clients)
            transfers = [network.send(k, "uplink", size_bytes) for k in range(num_clients)]
            ends_s.append(np.mean([row.finished_at_s for row in run_all(env, transfers)]))
    assert np.mean(end_s["flow"]) == pytest.approx(np.mean(end_s["slot"]), abs=0.05 * SLOT_S)


@pytest.mark.parametrize("duplex", [FddDuplex(), TddDuplex()], ids=["fdd", "tdd"])
def test_engines_agree_on_short_uploads(duplex):
    """20 kB of six driving clients in 50 worlds, some 30 slots: means within 3 %."""
    mean_s = {}
    for engine in ("flow", "slot"):
        found = []
        for seed in range(50):
            world = still_world(
                [(0.0, 0.0)],
                line_of_sight="probability",
                mobility=RandomDirectionMobility(speed_mps=50 / 3.6),
            )
            radio = plain_radio(
                engine=engine, fading=RayleighFading(), site_rx_antennas=4, duplex=duplex
            )
            env, network = make_network(world, radio, num_clients=6, seed=seed)
            rows = run_all(env, [network.send(k, "uplink", 20_000) for k in range(6)])
            found += [row.finished_at_s for row in rows]
        mean_s[engine] = np.mean(found)
    assert mean_s["slot"] == pytest.approx(mean_s["flow"], rel=0.03)


def test_who_waits_for_outcomes_holds_no_blocks_in_the_slot_engine():
    """A transfer of few blocks that end in error leaves the band to the other."""
    grants = []
    env, network, transfers = uploads([2_000, 60_000], engine="slot")
    engine = network._engine
    send = engine._send

    def noted(sent, now_s):
        grants.append(dict(zip(sent.served.client_id.tolist(), sent.blocks.tolist(), strict=True)))
        send(sent, now_s)

    engine._send = noted
    engine._exchange._errors.lookup = lambda sinr, mcs: np.ones(len(sinr))  # all in error
    env.run(until=7.5 * SLOT_S)
    assert set(grants[0]) == {0, 1}
    assert set(grants[-1]) == {1}
    assert grants[-1][1] == pytest.approx(grants[0][0] + grants[0][1])
    assert not any(transfer.event.triggered for transfer in transfers)
