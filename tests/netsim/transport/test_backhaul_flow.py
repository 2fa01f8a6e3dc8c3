"""What the backhaul behind a site does to transfers."""

import numpy as np
import pytest

from netsim.config.radio import BackhaulLink, GraphBackhaul, LinkCut, StarBackhaul
from netsim.rrc.links import Links
from netsim.transport.active_transfers import DOWNLINK, UPLINK, ActiveTransfers
from netsim.transport.backhaul import Backhaul, star
from netsim.transport.backhaul_flow import CLOSE_BITS, BackhaulFlow
from netsim.transport.site_buffers import WINDOW_S
from tests.netsim.worlds import make_network, plain_radio, run_all, still_world

pytestmark = pytest.mark.usefixtures("fluid_to_the_end")

SIZE_BYTES = 1_000_000


def test_backhaul_links_delay_and_limit():
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


def carry(air_bps, allowance_bits, unsent_bits=(1e9, 1e9, 1e9), at_edge=(False, False, False)):
    """Three transfers behind one link of 30 Mb/s."""
    return BACKHAUL.carry(
        np.array(air_bps),
        allowance_bits=np.array(allowance_bits),
        unsent_bits=np.array(unsent_bits),
        cell_id=np.zeros(3, int),
        bearer_id=np.arange(3),
        at_edge=np.array(at_edge),
        at_s=0.0,
    )


def test_empty_buffers_let_the_share_of_the_backhaul_links_through():
    carried = carry([50e6, 50e6, 4e6], [0.0, 0.0, 0.0])
    assert carried.rate_bps == pytest.approx([10e6, 10e6, 4e6])
    # The third keeps its share of the backhaul and cannot use it now.
    assert carried.filling_bps == pytest.approx([0.0, 0.0, 6e6])
    assert carried.backhaul_limit_bps == pytest.approx([10e6, 10e6, 10e6])
    assert carried.lasts_s == pytest.approx(FULL_BITS / 6e6)


def test_what_ends_at_the_site_takes_no_share_of_the_backhaul():
    carried = carry([50e6, 50e6, 4e6], [0.0, 0.0, 0.0], at_edge=(True, False, False))
    assert carried.rate_bps == pytest.approx([50e6, 15e6, 4e6])
    assert carried.backhaul_limit_bps[0] == np.inf


def test_transfers_to_a_site_do_not_wait_for_its_backhaul():
    """Not for its latency, nor for its rate, nor while it is cut: as if there were none."""
    cut = LinkCut(ends=("site-0", "server"), started_at_s=0.0, finished_at_s=50.0)
    for direction in ("uplink", "downlink"):
        finished_s = []
        for backhaul in (
            StarBackhaul(),
            StarBackhaul(latency_s=0.3),
            StarBackhaul(rate_bps=1e5),
            StarBackhaul(cuts=(cut,)),
        ):
            env, network = make_network(still_world([(50.0, 0.0)]), plain_radio(backhaul=backhaul))
            transfer = network.send(0, direction, SIZE_BYTES, at_edge=True)
            (row,) = run_all(env, [transfer])
            assert row.status == "delivered"
            finished_s.append(row.finished_at_s)
        assert finished_s == pytest.approx([finished_s[0]] * 4, rel=1e-9)


def test_relays_of_a_network_cross_its_backhaul():
    env, network = make_network(
        still_world([(50.0, 0.0)]), plain_radio(backhaul=StarBackhaul(latency_s=0.3, rate_bps=1e6))
    )
    env.run(until=network.relay(0, "uplink", 125_000))
    assert env.now == pytest.approx(1.3, abs=1e-9)
    with pytest.raises(ValueError, match="site_id: must be 0 to 0, got 1"):
        network.relay(1, "uplink", 1)


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


def test_backhaul_links_do_no_more_for_what_has_crossed_them():
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
        at_edge=np.zeros(1, bool),
        at_s=0.5,
    )
    assert carried.rate_bps[0] == carried.filling_bps[0] == 0.0
    assert carried.lasts_s == np.inf


def test_a_backhaul_is_limited_where_a_link_has_a_rate_or_is_ever_cut():
    def is_limited(links, cuts=()):
        return BackhaulFlow(Backhaul(links, num_sites=2, cuts=cuts), np.zeros(1, int)).is_limited

    free, slow = star(2, latency_s=0.1), star(2, rate_bps=1e6)
    assert not is_limited(free)
    assert is_limited((free[0], slow[1]))
    for started_at_s in (0.0, 3.0):
        cut = LinkCut(ends=("site-0", "server"), started_at_s=started_at_s, finished_at_s=np.inf)
        assert is_limited(free, (cut,))


CUT = LinkCut(ends=("site-0", "server"), started_at_s=1.0, finished_at_s=2.0)
THREE_SITES = (
    BackhaulLink(ends=("site-0", "server"), latency_s=0.25, rate_bps=30e6),
    BackhaulLink(ends=("site-1", "server"), latency_s=0.5),
    BackhaulLink(ends=("site-2", "server"), latency_s=0.125, rate_bps=10e6),
)
# Cells 0 and 1 are of site 1, cell 2 of site 0, cell 3 of site 2.
BY_CELL = BackhaulFlow(Backhaul(THREE_SITES, num_sites=3, cuts=(CUT,)), np.array([1, 1, 0, 2]))


def test_latency_and_routes_are_those_of_the_site_of_a_cell():
    cells = (2, -1, 0, 1, 3)
    assert [BY_CELL.latency_s(cell, at_s=0.0) for cell in cells] == [0.25, 0.0, 0.5, 0.5, 0.125]
    assert [BY_CELL.latency_s(cell, at_s=1.0) for cell in cells] == [0.0, 0.0, 0.5, 0.5, 0.125]
    assert [BY_CELL.has_route(2, at_s=at_s) for at_s in (0.0, 1.0, 2.0)] == [True, False, True]
    assert BY_CELL.has_route(1, at_s=1.0)
    assert [BY_CELL.next_edge_s(at_s) for at_s in (0.0, 1.0, 2.0)] == [1.0, 2.0, np.inf]


def test_latency_delays_a_download_and_brings_the_deadline_of_an_upload_forward():
    """Once for each transfer, by the latency of the site that serves it then."""
    links = Links(num_cells=4, num_groups=1, num_instants=1)
    slots = np.array([links.acquire(client)[0] for client in range(3)])
    links.serve(slots, np.array([2, 0, -1]))
    active = ActiveTransfers(is_full_duplex=False)
    active.add(4)
    record = active.records
    record["slot"] = slots[[0, 0, 1, 2]]
    record["direction"] = [UPLINK, DOWNLINK, UPLINK, UPLINK]
    record["ready_at_s"], record["deadline_at_s"] = 3.0, 9.0
    record["has_route"] = [False, False, True, False]
    for _ in range(2):
        BY_CELL.delay(active, links, at_s=0.0)
        assert record["ready_at_s"].tolist() == [3.0, 3.25, 3.0, 3.0]
        assert record["deadline_at_s"].tolist() == [8.75, 9.0, 9.0, 9.0]
        assert record["has_route"].all()
    active.add()
    active.records["slot"][4], active.records["direction"][4] = slots[1], DOWNLINK
    BY_CELL.delay(active, links, at_s=0.0)
    assert active.records["ready_at_s"].tolist() == [3.0, 3.25, 3.0, 3.0, 0.5]
    assert active.records["deadline_at_s"].tolist() == [8.75, 9.0, 9.0, 9.0, 0.0]


def carry_by_cell(air_bps, *, cell_id, bearer_id, at_s=0.0, allowance_bits=0.0, unsent_bits=1e9):
    num = len(air_bps)
    return BY_CELL.carry(
        np.array(air_bps),
        allowance_bits=np.broadcast_to(allowance_bits, num).astype(float),
        unsent_bits=np.broadcast_to(unsent_bits, num).astype(float),
        cell_id=np.array(cell_id),
        bearer_id=np.array(bearer_id),
        at_edge=np.zeros(len(air_bps), bool),
        at_s=at_s,
    )


def test_a_route_without_limit_lets_everything_through():
    """Beside one of 30 Mb/s and one of 10 Mb/s."""
    carried = carry_by_cell(
        [50e6, 50e6, 50e6], cell_id=[0, 2, 3], bearer_id=[0, 1, 2], allowance_bits=7e4
    )
    assert carried.rate_bps.tolist() == [50e6, 50e6, 50e6]
    assert carried.filling_bps == pytest.approx([0.0, -20e6, -40e6])
    assert carried.allowance_bits.tolist() == [0.0, 7e4, 7e4]
    assert np.isinf(carried.backhaul_limit_bps).all()
    assert carried.lasts_s == pytest.approx(7e4 / 40e6)  # the buffer that is empty first
    free = carry_by_cell([50e6], cell_id=[0], bearer_id=[0], unsent_bits=0.5)
    assert (free.rate_bps[0], free.filling_bps[0], free.lasts_s) == (50e6, 0.0, np.inf)


def test_a_broadcast_crosses_once_for_each_cell():
    """Two members in cell 2, one in cell 3 and one upload in cell 2."""
    carried = carry_by_cell([50e6, 9e6, 50e6, 50e6], cell_id=[2, 2, 2, 3], bearer_id=[0, 0, 1, 0])
    assert carried.backhaul_limit_bps == pytest.approx([15e6, 15e6, 15e6, 10e6])
    assert carried.rate_bps == pytest.approx([15e6, 9e6, 15e6, 10e6])
    assert carried.filling_bps == pytest.approx([0.0, 6e6, 0.0, 0.0])


def test_a_cut_route_carries_nothing_beside_one_that_is_whole():
    carried = carry_by_cell(
        [50e6, 5e6], cell_id=[2, 3], bearer_id=[0, 1], at_s=1.5, allowance_bits=1e3
    )
    assert carried.rate_bps.tolist() == [0.0, 5e6]
    assert carried.filling_bps == pytest.approx([0.0, 5e6])
    assert carried.lasts_s == pytest.approx((WINDOW_S * 10e6 - 1e3) / 5e6)


@pytest.mark.parametrize(("held_bits", "is_held_up"), [(CLOSE_BITS, True), (1.01, False)])
def test_a_bit_in_the_buffer_counts_as_empty(held_bits, is_held_up):
    carried = carry_by_cell([50e6], cell_id=[2], bearer_id=[0], allowance_bits=held_bits)
    assert carried.rate_bps[0] == pytest.approx(30e6 if is_held_up else 50e6)
    assert carried.lasts_s == (np.inf if is_held_up else pytest.approx(held_bits / 20e6))


@pytest.mark.parametrize(("lacks_bits", "is_full"), [(CLOSE_BITS, True), (1.01, False)])
def test_a_bit_short_of_full_counts_as_full(lacks_bits, is_full):
    """A full buffer takes what the air takes off it, one that is not takes all it can get."""
    held_bits = WINDOW_S * 30e6 - lacks_bits
    carried = carry_by_cell([4e6], cell_id=[2], bearer_id=[0], allowance_bits=held_bits)
    assert carried.rate_bps[0] == 4e6
    assert carried.filling_bps[0] == pytest.approx(0.0 if is_full else 26e6)
    if is_full:
        assert carried.lasts_s == pytest.approx((1e9 - held_bits) / 4e6)
    else:
        assert carried.lasts_s == pytest.approx(lacks_bits / 26e6, rel=1e-6)


@pytest.mark.parametrize(("lacks_bits", "is_through"), [(CLOSE_BITS, True), (1.01, False)])
def test_a_bit_short_of_the_end_has_crossed(lacks_bits, is_through):
    """It needs the backhaul no more, and goes at the rate of the air."""
    carried = carry_by_cell(
        [50e6, 50e6],
        cell_id=[2, 2],
        bearer_id=[0, 1],
        allowance_bits=[1e4, 0.0],
        unsent_bits=[1e4 + lacks_bits, 1e9],
    )
    assert carried.rate_bps == pytest.approx([50e6, 30e6 if is_through else 15e6])
    assert carried.lasts_s == (np.inf if is_through else pytest.approx(lacks_bits / 15e6))


def test_the_last_bit_of_all_is_held_up_by_nothing():
    """With less than a bit left, empty and through at once, the air decides."""
    carried = carry_by_cell([50e6], cell_id=[2], bearer_id=[0], unsent_bits=0.5)
    assert (carried.rate_bps[0], carried.lasts_s) == (50e6, np.inf)
