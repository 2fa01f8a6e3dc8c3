"""What the wires behind a site do to transfers."""

import pytest

from netsim.backhaul import BackhaulLink, LinkCut
from netsim.config.radio import GraphBackhaul, StarBackhaul
from tests.netsim.worlds import make_network, plain_radio, run_all, still_world

SIZE_BYTES = 1_000_000


def test_wires_delay_and_limit():
    clear = make_network(still_world([(50.0, 0.0)]), plain_radio())
    late = make_network(
        still_world([(50.0, 0.0)]), plain_radio(backhaul=StarBackhaul(latency_s=0.03))
    )
    slow = make_network(
        still_world([(50.0, 0.0)]), plain_radio(backhaul=StarBackhaul(rate_bps=1e6))
    )
    for direction in ("uplink", "downlink"):
        rows = []
        for env, network in (clear, late, slow):
            started_s = env.now
            (row,) = run_all(env, [network.send(0, direction, SIZE_BYTES)])
            rows.append(row.finished_at_s - started_s)
        assert rows[1] == pytest.approx(rows[0] + 0.03, rel=1e-9)
        assert rows[2] == pytest.approx(8 * SIZE_BYTES / 1e6, rel=1e-9)


def test_a_cut_wire_goes_another_way_or_pauses():
    links = (
        BackhaulLink(ends=("site-0", "server"), latency_s=0.001),
        BackhaulLink(ends=("site-0", "hub"), latency_s=0.02),
        BackhaulLink(ends=("hub", "server"), latency_s=0.02),
    )
    cut = LinkCut(ends=("site-0", "server"), started_at_s=0.0, finished_at_s=5.0)
    both = LinkCut(ends=("site-0", "hub"), started_at_s=0.0, finished_at_s=5.0)
    finish_s = []
    for cuts in ((), (cut,), (cut, both)):
        env, network = make_network(
            still_world([(50.0, 0.0)]), plain_radio(backhaul=GraphBackhaul(links=links, cuts=cuts))
        )
        (row,) = run_all(env, [network.send(0, "uplink", SIZE_BYTES)])
        finish_s.append(row.finished_at_s)
    assert finish_s[1] == pytest.approx(finish_s[0] + 0.039, abs=1e-6)
    assert finish_s[2] == pytest.approx(5.0 + finish_s[0], abs=1e-6)
