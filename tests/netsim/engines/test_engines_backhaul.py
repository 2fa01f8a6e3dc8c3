"""Both engines behind the same backhaul: rates, cuts with and without another way, latency."""

import numpy as np
import pytest

from netsim.config.radio import (
    BackhaulLink,
    GraphBackhaul,
    LinkCut,
    RayleighFading,
    SiteOutage,
    StarBackhaul,
    TddDuplex,
)
from netsim.config.world import HexagonalLayout, SectorAntenna
from netsim.transport import backhaul_flow, site_buffers
from tests.netsim.worlds import make_network, plain_radio, ring, run_all, still_world

pytestmark = pytest.mark.usefixtures("fluid_to_the_end")

SIZES_BYTES = (1_000_000, 600_000, 300_000)
DIRECT = BackhaulLink(ends=("site-0", "server"), latency_s=0.001, rate_bps=8e6)
DETOUR = (
    BackhaulLink(ends=("site-0", "hub"), latency_s=0.02, rate_bps=3e6),
    BackhaulLink(ends=("hub", "server"), latency_s=0.02),
)
CUT = LinkCut(ends=("site-0", "server"), started_at_s=0.4, finished_at_s=1.4)


def rows_of(engine, backhaul, *, direction="uplink", timeout_s=None, **radio):
    """Transfers of three sizes at once from three distances of one cell."""
    env, network = make_network(
        still_world([(60.0, 0.0), (150.0, 0.0), (240.0, 0.0)]),
        plain_radio(engine=engine, backhaul=backhaul, **radio),
    )
    transfers = [
        network.send(k, direction, size_bytes, timeout_s=timeout_s)
        for k, size_bytes in enumerate(SIZES_BYTES)
    ]
    rows = run_all(env, transfers)
    entries = network.energy.ledger.client_entries()
    assert entries.energy_j.sum() == pytest.approx(sum(row.energy_j for row in rows), rel=1e-9)
    return rows


def assert_alike(backhaul, *, rel=0.03, **settings):
    """Same statuses, finish times and delivered bytes; give the rows of the flow engine."""
    flow, slot = (rows_of(engine, backhaul, **settings) for engine in ("flow", "slot"))
    assert [row.status for row in slot] == [row.status for row in flow]
    for one, other in zip(slot, flow, strict=True):
        assert one.finished_at_s == pytest.approx(other.finished_at_s, rel=rel)
        assert one.delivered_bytes == pytest.approx(other.delivered_bytes, rel=rel)
        assert (one.status == "delivered") == (one.delivered_bytes == one.size_bytes)
        assert 0 <= one.delivered_bytes <= one.size_bytes
    return flow


@pytest.mark.parametrize("direction", ["uplink", "downlink"])
@pytest.mark.parametrize("duplex", [{}, {"duplex": TddDuplex(uplink_fraction=0.4)}])
def test_backhaul_links_of_limited_rate_are_shared_alike(direction, duplex):
    rows = assert_alike(StarBackhaul(rate_bps=8e6, latency_s=0.01), direction=direction, **duplex)
    # Max-min over a backhaul slower than the air: equal shares until the smallest is through.
    assert rows[2].finished_at_s == pytest.approx(3 * 8 * 300_000 / 8e6 + 0.01, rel=0.02)
    assert max(row.finished_at_s for row in rows) == pytest.approx(1.9 + 0.01, rel=0.02)


def mean_finish_s(engine, *, scheduler, rate_bps, size_bytes):
    """Mean over clients and 5 seeds, three uploads in a fading cell; the air carries 70 Mb/s."""
    found = []
    for seed in range(1, 6):
        env, network = make_network(
            still_world(ring(3, radius_m=200.0)),
            plain_radio(
                engine=engine,
                scheduler=scheduler,
                fading=RayleighFading(),
                backhaul=StarBackhaul(rate_bps=rate_bps),
            ),
            seed=seed,
        )
        rows = run_all(env, [network.send(k, "uplink", size_bytes) for k in range(3)])
        found += [row.finished_at_s for row in rows]
    return np.mean(found)


@pytest.mark.parametrize(
    "buffer_s",
    [pytest.param(0.005, marks=pytest.mark.slow), 0.02, pytest.param(0.05, marks=pytest.mark.slow)],
)
@pytest.mark.parametrize("rate_bps", [25e6, 40e6])
@pytest.mark.parametrize("scheduler", ["round_robin", "proportional_fair"])
def test_backhaul_links_limit_a_fading_cell_alike(
    ladder, monkeypatch, scheduler, rate_bps, buffer_s
):
    """Whatever the length of the buffers: it decides who ends first, in both engines alike."""
    for module in (site_buffers, backhaul_flow):
        monkeypatch.setattr(module, "WINDOW_S", buffer_s)
    flow_s, slot_s = (
        mean_finish_s(
            engine, scheduler=scheduler, rate_bps=rate_bps, size_bytes=round(0.04 * rate_bps)
        )
        for engine in ("flow", "slot")
    )
    ladder.near(
        24,
        "mean transfer time, slot engine, backhaul of 25 and 40 Mb/s, buffers of 5, 20, 50 ms",
        source="flow engine, same seeds, round robin and proportional fair",
        measured=slot_s,
        expected=flow_s,
        rel=0.03,
        unit="s",
    )


def test_who_fades_keeps_its_claim_on_the_backhaul():
    """All end together while a backhaul of 40 Mb/s is full: no share of it is lost in a fade."""
    env, network = make_network(
        still_world(ring(3, radius_m=200.0)),
        plain_radio(fading=RayleighFading(), backhaul=StarBackhaul(rate_bps=40e6)),
    )
    rows = run_all(env, [network.send(k, "uplink", 1_500_000) for k in range(3)])
    for row in rows:
        assert row.finished_at_s == pytest.approx(3 * 8 * 1_500_000 / 40e6, rel=0.01)


@pytest.mark.parametrize("direction", ["uplink", "downlink"])
def test_a_cut_reroutes_alike(direction):
    cut = GraphBackhaul(links=(DIRECT, *DETOUR), cuts=(CUT,))
    whole = GraphBackhaul(links=(DIRECT, *DETOUR))
    rows = assert_alike(cut, direction=direction)
    before = rows_of("flow", whole, direction=direction)
    # A second at 3 instead of 8 Mb/s.
    last_s, last_before_s = (max(row.finished_at_s for row in each) for each in (rows, before))
    assert last_s - last_before_s == pytest.approx(5 / 8, abs=0.05)


@pytest.mark.parametrize("direction", ["uplink", "downlink"])
def test_a_cut_without_another_way_pauses_alike(direction):
    rows = assert_alike(GraphBackhaul(links=(DIRECT,), cuts=(CUT,)), direction=direction)
    assert max(row.finished_at_s for row in rows) == pytest.approx(1.9 + 1.0, rel=0.02)


def test_a_cut_that_outlasts_the_deadline_is_an_outage():
    rows = assert_alike(GraphBackhaul(links=(DIRECT,), cuts=(CUT,)), timeout_s=1.0)
    assert [row.status for row in rows] == ["outage"] * 3
    assert all(0 < row.delivered_bytes < row.size_bytes for row in rows)
    late = assert_alike(StarBackhaul(rate_bps=1e6), timeout_s=2.0)
    assert [row.status for row in late] == ["timeout"] * 3


def test_joules_are_those_of_the_bits_not_of_the_wait():
    """A slow backhaul stretches an upload, not the airtime: blocks wait until they are full."""
    joules = {
        (engine, rate_bps): sum(
            row.energy_j for row in rows_of(engine, StarBackhaul(rate_bps=rate_bps))
        )
        for engine in ("flow", "slot")
        for rate_bps in (8e6, 1e9)
    }
    assert joules["slot", 8e6] == pytest.approx(joules["flow", 8e6], rel=0.05)
    assert joules["slot", 1e9] == pytest.approx(joules["flow", 1e9], rel=0.05)


def test_many_sites_behind_one_wire_share_it():
    """A broadcast crosses once for each cell; dead sites and cut links keep bytes whole."""
    links = (
        *(BackhaulLink(ends=(f"site-{k}", "hub"), latency_s=0.002) for k in range(7)),
        BackhaulLink(ends=("hub", "server"), rate_bps=10e6),
    )
    cut = LinkCut(ends=("site-2", "hub"), started_at_s=0.1, finished_at_s=0.3)
    outage = SiteOutage(site_id=1, started_at_s=0.2, finished_at_s=0.4)
    finish_s = {}
    for engine in ("flow", "slot"):
        env, network = make_network(
            still_world(
                ring(8, radius_m=350.0),
                layout=HexagonalLayout(num_sites=7),
                antenna=SectorAntenna(ray_averaged=False),
            ),
            plain_radio(
                engine=engine,
                backhaul=GraphBackhaul(links=links, cuts=(cut,)),
                outages=(outage,),
            ),
        )
        transfers = network.broadcast(range(8), 100_000)
        transfers += [network.send(k, "uplink", 200_000) for k in range(8)]
        rows = run_all(env, transfers)
        assert {row.status for row in rows} == {"delivered"}
        assert not len(network._engine.active)
        finish_s[engine] = [row.finished_at_s for row in rows]
    assert np.mean(finish_s["slot"]) == pytest.approx(np.mean(finish_s["flow"]), rel=0.03)
