"""Site outages at random: closed forms, and the same times whatever is asked."""

import math

import numpy as np
import pytest

from netsim.config.radio import SiteOutageRate
from netsim.rrc.drawn_outages import DrawnOutages
from netsim.streams import Purpose

UP_S, DOWN_S = 10.0, 2.5
SHARE = DOWN_S / (UP_S + DOWN_S)


def drawn(*, up_s=UP_S, down_s=DOWN_S, num_sites=4, seed=1):
    rate = SiteOutageRate(mean_up_s=up_s, mean_down_s=down_s)
    return DrawnOutages(rate, num_sites=num_sites, seed=seed)


def intervals(outages, until_s, *, num_sites=4):
    """Starts and ends of the outages of each site that begin by an instant."""
    found = [[] for _ in range(num_sites)]
    for site_id, start_s, end_s in outages.take_begun(until_s):
        found[site_id].append((start_s, end_s))
    return [np.array(each).reshape(-1, 2) for each in found]


def test_the_share_of_time_down_is_that_of_the_means():
    """Variance of the time down of a renewal process: 2 (up down)^2 / (up + down)^3 a second."""
    until_s, num_sites = 5e4, 4
    down_s = sum(
        np.diff(np.clip(each, 0, until_s), axis=1).sum() for each in intervals(drawn(), until_s)
    )
    observed_s = num_sites * until_s
    spread = math.sqrt(2 * (UP_S * DOWN_S) ** 2 / (UP_S + DOWN_S) ** 3 / observed_s)
    assert down_s / observed_s == pytest.approx(SHARE, abs=4 * spread)


@pytest.mark.parametrize("at_s", [0.0, 3.0, 40.0])
def test_a_site_is_down_at_any_instant_with_that_share_the_first_included(at_s):
    num_sites = 4000
    alive = drawn(num_sites=num_sites).is_site_alive(at_s)
    spread = math.sqrt(SHARE * (1 - SHARE) / num_sites)
    assert 1 - alive.mean() == pytest.approx(SHARE, abs=4 * spread)


def test_times_up_and_down_are_exponential():
    (pairs,) = intervals(drawn(num_sites=1), 1e5, num_sites=1)
    down_s, up_s = pairs[:, 1] - pairs[:, 0], pairs[1:, 0] - pairs[:-1, 1]
    for times_s, mean_s in ((down_s, DOWN_S), (up_s, UP_S)):
        num = len(times_s)
        assert num > 7000
        assert times_s.mean() == pytest.approx(mean_s, rel=4 / math.sqrt(num))
        for factor in (0.1, 1.0, 3.0):
            chance = math.exp(-factor)
            spread = math.sqrt(chance * (1 - chance) / num)
            assert (times_s > factor * mean_s).mean() == pytest.approx(chance, abs=4 * spread)
    assert np.corrcoef(down_s[1:], up_s)[0, 1] == pytest.approx(0, abs=4 / math.sqrt(len(up_s)))


def test_states_change_at_the_edges_and_nowhere_else():
    outages, at_s, num_edges = drawn(), 0.0, 0
    while at_s < 500.0:
        edge_s = outages.next_edge_s(at_s)
        assert edge_s > at_s
        before = outages.is_site_alive(at_s).tolist()
        assert outages.is_site_alive((at_s + edge_s) / 2).tolist() == before
        assert outages.is_site_alive(np.nextafter(edge_s, 0)).tolist() == before
        after = outages.is_site_alive(edge_s).tolist()
        assert sum(one != other for one, other in zip(before, after, strict=True)) == 1
        at_s, num_edges = edge_s, num_edges + 1
    assert num_edges > 200


def test_outages_that_have_begun_are_told_once_and_are_the_times_down():
    outages, by_steps = drawn(), [[] for _ in range(4)]
    for until_s in (0.0, 7.0, 7.0, 90.0, 300.0):
        for site_id, start_s, end_s in outages.take_begun(until_s):
            assert start_s <= until_s
            by_steps[site_id].append((start_s, end_s))
    for site_id, pairs in enumerate(intervals(drawn(), 300.0)):
        assert np.array_equal(pairs, by_steps[site_id])
        for start_s, end_s in pairs:
            assert not outages.is_site_alive(start_s)[site_id]
            assert outages.is_site_alive(end_s)[site_id]


def test_times_depend_on_seed_and_site_alone():
    """Not on what was asked before, nor on the other sites."""
    at_s = np.random.default_rng(2).uniform(0, 400, size=60)
    first, second, more = drawn(), drawn(), drawn(num_sites=9)
    in_order = {each: first.is_site_alive(each).tolist() for each in sorted(at_s)}
    for each in at_s:
        assert second.is_site_alive(each).tolist() == in_order[each]
        assert more.is_site_alive(each)[:4].tolist() == in_order[each]
    other = drawn(seed=2)
    assert [other.is_site_alive(each).tolist() for each in sorted(at_s)] != [*in_order.values()]
    assert len({each[0, 1] for each in intervals(drawn(), 1e3)}) == 4


def test_its_stream_is_the_last_of_the_purposes_so_that_no_other_moved():
    assert Purpose.OUTAGE == 23
    assert [each.value for each in Purpose] == list(range(len(Purpose)))
