"""What power leaves unused is divided among the others, and nothing of it is lost."""

from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.config.radio import NoFading
from netsim.config.world import SingleCellLayout
from netsim.mac.bearer_cells import BearerCells
from netsim.mac.mean_shares import MeanShares
from netsim.mac.schedulers.metric import serve_largest, serve_largest_of
from netsim.mac.schedulers.round_robin import RoundRobin
from netsim.mac.unused_blocks import (
    PowerLimits,
    redistribute_unused_blocks,
)
from tests.netsim.mac.schedulers.cells import ShannonCell
from tests.netsim.worlds import make_network, plain_radio, run_all, still_world

BLOCK = 1 / 51
MOST = st.lists(st.floats(BLOCK, 1.0), min_size=1, max_size=10)


def handed_on(scheduler, most, **cell):
    """Shares in a cell whose clients use no more than so much of the band."""
    most = np.asarray(most, dtype=float)
    client_id = cell.pop("client_id", None)
    ones = np.ones(len(most))
    view = ShannonCell(size_bits=ones, snr_full_linear=ones, **cell).view(client_id=client_id)
    cell_of = MeanShares(scheduler, name="asked", slot_s=0.5e-3)
    limits = limits_of(most, client_id=view.client_id)
    return redistribute_unused_blocks(partial(cell_of.among, view), scheduler.shares(view), limits)


def limits_of(most, *, headroom=None, client_id=None, sizes=None):
    """Limits of clients that use so much of the band, in cells of some sizes."""
    sizes = [len(most)] if sizes is None else sizes
    return PowerLimits(
        cells=BearerCells.of(
            np.cumsum([0, *sizes[:-1]]),
            client_id=np.arange(len(most)) if client_id is None else client_id,
        ),
        num_groups=1,
        block=BLOCK,
        use=lambda held, shares: np.minimum(held, most),
        headroom=headroom,
    )


@given(st.lists(st.floats(0.01, 1.0), min_size=1, max_size=12))
def test_round_robin_fills_up_evenly(most):
    shares = handed_on(RoundRobin(), most)
    np.testing.assert_array_equal(shares, np.repeat(shares[:, :1], shares.shape[1], axis=1))
    share, most = shares[:, 0], np.array(most)
    assert np.all(share <= most * (1 + 1e-12))
    assert share.sum() <= 1 + 1e-12
    is_full = share >= most * (1 - 1e-9)
    # All is given out up to a block, unless everybody has enough.
    assert is_full.all() or share.sum() > 1 - BLOCK
    # Water: who is not full stands at one level, and nobody above it.
    np.testing.assert_allclose(share[~is_full], share.max(), rtol=1e-9)


def test_one_transmitter_sends_all_of_a_client():
    shares = handed_on(RoundRobin(), [0.2, 0.2, 1.0, 1.0], client_id=np.array([7, 7, 8, 9]))
    np.testing.assert_allclose(shares[:, 0], [0.1, 0.1, 0.4, 0.4])


def test_nothing_changes_where_all_is_used():
    shares = handed_on(RoundRobin(), [0.5, 0.4, 0.25, 0.25])
    np.testing.assert_array_equal(shares, 0.25)


def multiplexed(metric, limits):
    """Shares of an exclusive scheduler with a metric."""
    order = limits.cells.start, limits.cells.cell
    return redistribute_unused_blocks(
        lambda chosen: serve_largest_of(chosen, metric, *order),
        serve_largest(metric, *order),
        limits,
    )


@given(MOST, st.booleans(), st.sampled_from([1, 4]), st.integers(0, 1000))
def test_an_exclusive_scheduler_fills_the_band_in_its_order(most, is_within, num_groups, seed):
    rng, most = np.random.default_rng(seed), np.array(most)
    metric = rng.exponential(1.0, (len(most), num_groups))
    headroom = most * rng.uniform(0.1, 1.0, len(most)) if is_within else None
    shares = multiplexed(metric, limits_of(most, headroom=headroom))
    held = shares.mean(axis=1)
    assert np.all(shares >= 0)
    assert np.all(shares.sum(axis=0) <= 1 + 1e-9)  # no more than the band in any group
    assert np.all(held <= most * (1 + 1e-9))  # nobody above what its power can use
    # Work conserving: less than a block is empty, unless everybody has all that it can use.
    assert held.sum() > 1 - BLOCK or held == pytest.approx(most)
    # The order of the clients does not matter.
    mixed = rng.permutation(len(most))
    limits = limits_of(most[mixed], headroom=None if headroom is None else headroom[mixed])
    np.testing.assert_allclose(multiplexed(metric[mixed], limits), shares[mixed], atol=1e-12)


@given(MOST, st.integers(0, 1000))
def test_in_a_flat_band_each_has_what_those_before_it_leave(most, seed):
    most = np.array(most)
    metric = np.random.default_rng(seed).permutation(len(most))[:, None] + 1.0
    held = multiplexed(metric, limits_of(most))[:, 0]
    order = np.argsort(-metric[:, 0])
    left = 1.0
    for client in order:
        wanted = min(most[client], left)
        assert held[client] == pytest.approx(wanted, abs=BLOCK)
        left -= wanted


def test_cells_are_served_each_for_itself():
    metric, sizes = np.array([[3.0], [2.0], [1.0], [5.0], [1.0], [2.0]]), [3, 1, 2]
    most = np.array([0.5, 0.25, 1.0, 0.125, 1.0, 0.75])
    shares = multiplexed(metric, limits_of(most, sizes=sizes))
    np.testing.assert_allclose(shares[:, 0], [0.5, 0.25, 0.25, 0.125, 0.25, 0.75])


def test_beyond_the_headroom_of_all_they_spread_their_power():
    """In proportion to what they hold, up to what raises the rate: 0.3 for the first."""
    limits = limits_of(np.array([0.3, 1.0, 1.0]), headroom=np.array([0.2, 0.1, 0.1]))
    shares = multiplexed(np.array([[3.0], [2.0], [1.0]]), limits)
    np.testing.assert_allclose(shares[:, 0], [0.3, 0.35, 0.35])


def mean_time_s(engine, scheduler, seed):
    rng = np.random.default_rng(seed)
    places = [(float(rng.uniform(300, 700)), 0.0) for _ in range(6)]
    world = still_world(places, line_of_sight="never", layout=SingleCellLayout(radius_m=2e3))
    radio = plain_radio(engine=engine, scheduler=scheduler, fading=NoFading())
    env, network = make_network(world, radio, seed=seed)
    rows = run_all(env, [network.send(k, "uplink", 30_000) for k in range(6)])
    assert {row.status for row in rows} == {"delivered"}
    return np.mean([row.finished_at_s for row in rows])


def test_engines_agree_where_power_limits_everybody():
    times_s = [[mean_time_s(e, "round_robin", seed) for e in ("flow", "slot")] for seed in (1, 2)]
    flow_s, slot_s = np.mean(times_s, axis=0)
    assert slot_s == pytest.approx(flow_s, rel=0.03)
