"""Which cells are in service when: an outage includes its start, not its end."""

import numpy as np

from netsim.config.radio import SiteOutageRate
from netsim.rrc.drawn_outages import DrawnOutages
from netsim.rrc.outages import Outages
from tests.netsim.worlds import dead

CELLS = np.array([0, 0, 2, 1])
"""Site of each of four cells."""


def test_all_cells_of_a_site_fail_at_its_start_and_are_back_at_its_end():
    outages = Outages((dead(0, 1.0, 2.0), dead(2, 1.5, 3.0)), CELLS)
    expected = {
        0.0: [True, True, True],
        np.nextafter(1.0, 0.0): [True, True, True],
        1.0: [False, True, True],
        1.5: [False, True, False],
        2.0: [True, True, False],
        3.0: [True, True, True],
        99.0: [True, True, True],
    }
    for at_s, sites in expected.items():
        assert outages.is_site_alive(at_s).tolist() == sites
        assert outages.is_alive(at_s).tolist() == [sites[site] for site in CELLS]


def test_overlapping_outages_of_one_site_are_one():
    outages = Outages((dead(1, 1.0, 4.0), dead(1, 2.0, 3.0), dead(1, 3.5, 5.0)), CELLS)
    states = [bool(outages.is_site_alive(at_s)[1]) for at_s in (0.5, 1.5, 2.5, 3.2, 4.5, 5.0)]
    assert states == [True, False, False, False, False, True]


def test_the_next_edge_is_after_the_instant():
    outages = Outages((dead(0, 0.0, 2.0), dead(2, 1.5, 3.0)), CELLS)
    edges_s = [outages.next_edge_s(at_s) for at_s in (-1.0, 0.0, 1.0, 1.5, 2.5, 3.0)]
    assert edges_s == [0.0, 1.5, 1.5, 2.0, 3.0, np.inf]
    assert [outages.intervals[k].site_id for k in range(2)] == [0, 2]


def test_without_outages_all_are_in_service_for_ever():
    outages = Outages((), CELLS)
    assert outages.is_alive(5.0).all()
    assert outages.is_site_alive(5.0).tolist() == [True, True, True]
    assert outages.next_edge_s(0.0) == np.inf


def test_a_site_is_down_when_plan_or_chance_says_so():
    planned = (dead(0, 3.0, 20.0), dead(2, 10.0, 11.0), dead(2, 10.5, 40.0))
    rate = SiteOutageRate(mean_up_s=5.0, mean_down_s=2.0)

    def drawn():
        return DrawnOutages(rate, num_sites=3, seed=4)

    both, plan, chance = Outages(planned, CELLS, drawn=drawn()), Outages(planned, CELLS), drawn()
    at_s, num_both = 0.0, 0
    while at_s < 60.0:
        by_plan, by_chance = plan.is_site_alive(at_s), chance.is_site_alive(at_s)
        assert both.is_site_alive(at_s).tolist() == (by_plan & by_chance).tolist()
        assert both.is_alive(at_s).tolist() == (by_plan & by_chance)[CELLS].tolist()
        num_both += int((~by_plan & ~by_chance).sum())
        next_s = both.next_edge_s(at_s)
        assert next_s == min(plan.next_edge_s(at_s), chance.next_edge_s(at_s))
        at_s = next_s
    assert num_both > 0
