"""Equal finish over fading: it goes by mean rates, and so ends no later than round robin."""

from dataclasses import replace

import numpy as np
import pytest

from netsim.config.radio import RayleighFading
from netsim.config.world import SingleCellLayout
from netsim.mac.schedulers.equal_finish import EqualFinish
from tests.netsim.mac.schedulers.cells import view_of
from tests.netsim.worlds import make_network, plain_radio, run_all, still_world


def test_a_user_in_a_fade_has_no_more_of_the_band_than_its_mean_rate_asks_for():
    """Two alike on average, of equal size: the first instant is all that is known of them."""
    scheduler = EqualFinish()
    shares = [
        scheduler.shares(replace(view_of([[rates[0]], [rates[1]]]), now_s=float(now_s)))[:, 0]
        for now_s, rates in enumerate([(2.0, 1.0), (1.0, 2.0), (2.0, 1.0), (1.0, 2.0)])
    ]
    assert shares[0] == pytest.approx([1 / 3, 2 / 3])
    assert shares[1] == pytest.approx([1 / 2, 1 / 2])
    assert shares[2] == pytest.approx([4 / 9, 5 / 9])  # means of 5/3 and 4/3
    assert shares[3] == pytest.approx([1 / 2, 1 / 2])


def test_who_has_no_rate_now_waits():
    scheduler = EqualFinish()
    view = view_of([[2.0], [1.0]])
    scheduler.shares(view)
    later = replace(view_of([[2.0], [0.0]]), now_s=1.0)
    assert scheduler.shares(later)[:, 0].tolist() == [1.0, 0.0]


def last_end_s(scheduler, seed):
    rng = np.random.default_rng(seed)
    places = [(float(rng.uniform(200, 800)), 0.0) for _ in range(6)]
    world = still_world(places, line_of_sight="never", layout=SingleCellLayout(radius_m=1e3))
    radio = plain_radio(scheduler=scheduler, fading=RayleighFading())
    env, network = make_network(world, radio, seed=seed)
    rows = run_all(env, [network.send(k, "downlink", 1_500_000) for k in range(6)])
    return max(row.finished_at_s for row in rows)


def test_over_fading_the_last_ends_no_later_than_under_round_robin():
    """At the rates of the present fade it was 20 % later."""
    end_s = {
        scheduler: np.mean([last_end_s(scheduler, seed) for seed in range(1, 7)])
        for scheduler in ("round_robin", "equal_finish")
    }
    assert end_s["equal_finish"] <= 1.01 * end_s["round_robin"]
