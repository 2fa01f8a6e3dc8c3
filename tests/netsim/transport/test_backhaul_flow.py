"""What the backhaul behind a site does to transfers."""

import numpy as np
import pytest

from netsim.config.radio import BackhaulLink, GraphBackhaul, LinkCut, StarBackhaul
from netsim.transport.backhaul import Backhaul, star
from netsim.transport.backhaul_flow import BackhaulFlow
from netsim.transport.site_buffers import WINDOW_S
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


BACKHAUL = BackhaulFlow(
    Backhaul(star(1, latency_s=0.0, rate_bps=30e6), num_sites=1), np.zeros(1, int)
)
FULL_BITS = WINDOW_S * 30e6


def carry(air_bps, allowance_bits, unsent_bits=(1e9, 1e9, 1e9)):
    """Three transfers behind one link of 30 Mb/s."""
    return BACKHAUL.carry(
        np.array(air_bps),
        allowance_bits=np.array(allowance_bits),
        unsent_bits=np.array(unsent_bits),
        cell_id=np.zeros(3, int),
        bearer_id=np.arange(3),
        at_s=0.0,
    )


def test_empty_buffers_let_the_share_of_the_wires_through():
    carried = carry([50e6, 50e6, 4e6], [0.0, 0.0, 0.0])
    assert carried.rate_bps == pytest.approx([10e6, 10e6, 4e6])
    # The third keeps its share of the backhaul and cannot use it now.
    assert carried.filling_bps == pytest.approx([0.0, 0.0, 6e6])
    assert carried.backhaul_limit_bps == pytest.approx([10e6, 10e6, 10e6])
    assert carried.lasts_s == pytest.approx(FULL_BITS / 6e6)


def test_full_buffers_leave_their_share_to_others():
    carried = carry([50e6, 50e6, 4e6], [0.0, 0.0, FULL_BITS])
    assert carried.rate_bps == pytest.approx([13e6, 13e6, 4e6])
    assert carried.filling_bps == pytest.approx([0.0, 0.0, 0.0])
    assert carried.lasts_s == pytest.approx((1e9 - FULL_BITS) / 4e6)


def test_what_is_in_a_buffer_goes_at_the_rate_of_the_air():
    carried = carry([50e6, 50e6, 50e6], [0.0, 0.0, FULL_BITS / 2])
    assert carried.rate_bps == pytest.approx([10e6, 10e6, 50e6])
    assert carried.filling_bps == pytest.approx([0.0, 0.0, -40e6])
    assert carried.backhaul_limit_bps[2] == np.inf
    assert carried.lasts_s == pytest.approx(FULL_BITS / 2 / 40e6)


def test_wires_do_no_more_for_what_has_crossed_them():
    carried = carry([50e6, 50e6, 1e6], [0.0, 0.0, 1e5], unsent_bits=(1e9, 1e9, 1e5))
    assert carried.rate_bps == pytest.approx([15e6, 15e6, 1e6])
    assert carried.lasts_s == np.inf
    near = carry([50e6, 50e6, 1e6], [0.0, 0.0, 1e5], unsent_bits=(1e9, 1e9, 1.1e5))
    assert near.lasts_s == pytest.approx(1e4 / 10e6)


def test_nothing_passes_or_fills_without_a_way():
    backhaul = BackhaulFlow(
        Backhaul(
            (BackhaulLink(ends=("site-0", "server"), rate_bps=30e6),),
            num_sites=1,
            cuts=(LinkCut(ends=("site-0", "server"), started_at_s=0.0, finished_at_s=1.0),),
        ),
        np.zeros(1, int),
    )
    carried = backhaul.carry(
        np.array([50e6]),
        allowance_bits=np.array([1e5]),
        unsent_bits=np.array([1e9]),
        cell_id=np.zeros(1, int),
        bearer_id=np.zeros(1, int),
        at_s=0.5,
    )
    assert carried.rate_bps[0] == carried.filling_bps[0] == 0.0
    assert carried.lasts_s == np.inf
