"""Buffers at sites, filled for a while: max-min shares, never more than they hold."""

import numpy as np
import pytest

from netsim.config.radio import BackhaulLink, LinkCut
from netsim.transport.backhaul import Backhaul, star
from netsim.transport.site_buffers import WINDOW_S, SiteBuffers

RATE_BPS = 1e6
FULL_BITS = WINDOW_S * RATE_BPS


def make_buffers(num, *, num_sites=1, held_bits=0.0):
    buffers = SiteBuffers(Backhaul(star(num_sites, rate_bps=RATE_BPS), num_sites=num_sites))
    buffers.add(num)
    buffers.allowance_bits[:] = held_bits
    return buffers


def fill(buffers, rows, *, elapsed_s, bearer=None, site_id=None, unsent_bits=1e9):
    """Each row a bearer of its own at site 0, unless said otherwise."""
    bearer = np.arange(len(rows)) if bearer is None else np.array(bearer)
    first = np.unique(bearer, return_index=True)[1]
    return buffers.fill(
        np.array(rows),
        bearer=bearer,
        first=first,
        site_id=np.zeros(len(first), int) if site_id is None else np.array(site_id),
        unsent_bits=np.broadcast_to(unsent_bits, len(rows)).astype(float),
        at_s=0.0,
        elapsed_s=elapsed_s,
    )


def test_buffers_grow_by_their_shares_of_the_backhaul():
    buffers = make_buffers(3, held_bits=100.0)
    most_bits = fill(buffers, [0, 2], elapsed_s=0.001)
    assert most_bits.tolist() == [FULL_BITS, FULL_BITS]
    assert buffers.allowance_bits == pytest.approx([100 + 500, 100, 100 + 500])


def test_a_buffer_that_is_nearly_full_leaves_its_share_to_others():
    buffers = make_buffers(2)
    buffers.allowance_bits[0] = FULL_BITS - 200
    fill(buffers, [0, 1], elapsed_s=0.001)
    assert buffers.allowance_bits == pytest.approx([FULL_BITS, 800])


def test_no_buffer_holds_more_than_is_left_to_send():
    buffers = make_buffers(2)
    most_bits = fill(buffers, [0, 1], elapsed_s=0.001, unsent_bits=[300.0, 1e9])
    assert most_bits.tolist() == [300.0, FULL_BITS]
    assert buffers.allowance_bits == pytest.approx([300, 700])
    fill(buffers, [0, 1], elapsed_s=0.001, unsent_bits=[120.0, 1e9])
    assert buffers.allowance_bits == pytest.approx([120, 1700])


def test_members_of_a_broadcast_cross_once_and_each_gets_it():
    """Bearer 0 has two members: both get half of the backhaul, as does the one of bearer 1."""
    buffers = make_buffers(3)
    fill(buffers, [0, 1, 2], elapsed_s=0.001, bearer=[0, 0, 1])
    assert buffers.allowance_bits == pytest.approx([500, 500, 500])


def test_a_broadcast_fills_the_emptiest_buffer():
    buffers = make_buffers(2)
    buffers.allowance_bits[0] = FULL_BITS - 100
    fill(buffers, [0, 1], elapsed_s=0.001, bearer=[0, 0])
    assert buffers.allowance_bits == pytest.approx([FULL_BITS, 1000])


def test_each_site_has_a_backhaul_of_its_own():
    buffers = make_buffers(2, num_sites=2)
    fill(buffers, [0, 1], elapsed_s=0.001, site_id=[1, 0])
    assert buffers.allowance_bits == pytest.approx([1000, 1000])


def test_what_is_sent_is_taken_off():
    buffers = make_buffers(3, held_bits=100.0)
    buffers.take(np.array([0, 2]), np.array([30.0, 100.0]))
    assert buffers.allowance_bits.tolist() == [70.0, 100.0, 0.0]


def test_sites_behind_a_cut_link_have_no_route():
    cut = LinkCut(ends=("site-1", "server"), started_at_s=1.0, finished_at_s=2.0)
    links = tuple(BackhaulLink(ends=(f"site-{k}", "server"), rate_bps=RATE_BPS) for k in range(2))
    buffers = SiteBuffers(Backhaul(links, num_sites=2, cuts=(cut,)))
    site_id = np.array([1, 0, 1])
    assert buffers.has_route(site_id, at_s=0.9).tolist() == [True, True, True]
    assert buffers.has_route(site_id, at_s=1.0).tolist() == [False, True, False]
    assert buffers.has_route(site_id, at_s=2.0).tolist() == [True, True, True]
