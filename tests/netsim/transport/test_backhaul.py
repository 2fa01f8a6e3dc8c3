"""Routes over the backhaul, and how they are shared."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.config.radio import BackhaulLink, LinkCut
from netsim.transport.backhaul import SERVER, Backhaul, find_problems, star

RING = (
    BackhaulLink(ends=("site-0", "router"), latency_s=0.001, rate_bps=1e8),
    BackhaulLink(ends=("site-1", "router"), latency_s=0.002, rate_bps=1e9),
    BackhaulLink(ends=("router", SERVER), latency_s=0.005, rate_bps=5e8),
    BackhaulLink(ends=("site-1", SERVER), latency_s=0.020),
)


def test_the_way_of_least_latency():
    first, second = Backhaul(RING, num_sites=2).routes(0.0)
    assert first.nodes == ("site-0", "router", SERVER)
    assert second.nodes == ("site-1", "router", SERVER)
    assert (first.latency_s, first.rate_bps) == (pytest.approx(0.006), 1e8)
    assert second.rate_bps == 5e8


def test_a_cut_reroutes_or_fails_and_heals():
    cuts = (LinkCut(ends=(SERVER, "router"), started_at_s=10.0, finished_at_s=20.0),)
    backhaul = Backhaul(RING, num_sites=2, cuts=cuts)
    assert backhaul.routes(9.9)[1].nodes == ("site-1", "router", SERVER)
    first, second = backhaul.routes(10.0)
    assert first.nodes == ("site-0", "router", "site-1", SERVER)
    assert second.nodes == ("site-1", SERVER)
    assert first.latency_s == pytest.approx(0.023)
    assert backhaul.routes(20.0) == Backhaul(RING, num_sites=2).routes(0.0)
    assert [backhaul.next_edge_s(at_s) for at_s in (0.0, 10.0, 20.0)] == [10.0, 20.0, np.inf]
    alone = Backhaul(RING[:3], num_sites=2, cuts=cuts)
    assert alone.routes(15.0) == (None, None)
    assert alone.route_rate_bps(15.0).tolist() == [0.0, 0.0]
    assert backhaul.route_rate_bps(15.0).tolist() == [1e8, np.inf]
    given_bps = alone.share_bps(np.full(2, 1e6), np.array([0, 1]), at_s=15.0)
    np.testing.assert_array_equal(given_bps, 0.0)


def test_star_without_a_limit_gives_what_is_wanted():
    backhaul = Backhaul(star(3, latency_s=0.01), num_sites=3)
    wanted_bps = np.array([1e6, 5e9, 3.0])
    given_bps = backhaul.share_bps(wanted_bps, np.array([0, 0, 2]), at_s=0.0)
    np.testing.assert_array_equal(given_bps, wanted_bps)
    route = backhaul.routes(0.0)[1]
    assert (route.latency_s, route.rate_bps) == (pytest.approx(0.01), np.inf)


def test_max_min_example():
    """Two behind 100 Mb/s, one behind 1 Gb/s, all behind 500 Mb/s."""
    backhaul = Backhaul(RING[:3], num_sites=2)
    given_bps = backhaul.share_bps(np.array([2e7, 3e8, 9e8]), np.array([0, 0, 1]), at_s=0.0)
    np.testing.assert_allclose(given_bps, [2e7, 8e7, 4e8])


@settings(max_examples=80, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), num=st.integers(1, 12))
def test_max_min_is_fair_and_full(seed, num):
    rng = np.random.default_rng(seed)
    links = tuple(
        BackhaulLink(ends=link.ends, latency_s=link.latency_s, rate_bps=10 ** rng.uniform(5, 9))
        for link in RING[:3]
    )
    backhaul = Backhaul(links, num_sites=2)
    wanted_bps, site_id = 10 ** rng.uniform(4, 9, num), rng.integers(2, size=num)
    given_bps = backhaul.share_bps(wanted_bps, site_id, at_s=0.0)
    assert (given_bps <= wanted_bps).all()
    load = {
        k: sum(
            g
            for g, s in zip(given_bps, site_id, strict=True)
            if k in backhaul.routes(0.0)[s].link_ids
        )
        for k in range(3)
    }
    for k, link in enumerate(links):
        assert load[k] <= link.rate_bps * (1 + 1e-9)
    for bps, wish, site in zip(given_bps, wanted_bps, site_id, strict=True):
        if bps < wish * (1 - 1e-9):
            route = backhaul.routes(0.0)[site]
            assert any(
                load[k] >= links[k].rate_bps * (1 - 1e-9)
                and all(
                    other <= bps * (1 + 1e-9)
                    for other, place in zip(given_bps, site_id, strict=True)
                    if k in backhaul.routes(0.0)[place].link_ids
                )
                for k in route.link_ids
            )


@pytest.mark.parametrize(
    ("links", "cuts", "match"),
    [
        ((BackhaulLink(ends=("site-0", "site-0")),), (), "two different nodes"),
        ((*star(1), *star(1)), (), "have a link"),
        ((*star(1), BackhaulLink(ends=("site-4", SERVER))), (), "no such site"),
        ((BackhaulLink(ends=("site-0", "router")),), (), "site-0 has none"),
        (
            star(1),
            (LinkCut(ends=("a", "b"), started_at_s=0.0, finished_at_s=1.0),),
            "no link joins a",
        ),
        (
            star(1),
            (LinkCut(ends=("site-0", SERVER), started_at_s=2.0, finished_at_s=1.0),),
            "must be after started_at_s 2",
        ),
    ],
)
def test_broken_rules_are_named(links, cuts, match):
    problems = find_problems(links, num_sites=1, cuts=cuts, path=("radio", "backhaul"))
    assert match in " ".join(problem.message for problem in problems)
    with pytest.raises(ValueError, match=match):
        Backhaul(links, num_sites=1, cuts=cuts)


def test_the_graph_is_there_to_be_drawn():
    graph = Backhaul(RING, num_sites=2).graph
    assert set(graph.nodes) == {SERVER, "router", "site-0", "site-1"}
    assert graph.edges["router", SERVER]["rate_bps"] == 5e8
