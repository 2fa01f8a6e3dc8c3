"""The order of a metric with power limits: against asking again, and against going through it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.mac.bearer_cells import BearerCells
from netsim.mac.metric_order import MetricOrder
from netsim.mac.schedulers.metric import serve_largest, serve_largest_of
from netsim.mac.unused_blocks import LimitsOverTime, PowerLimits, redistribute_unused_blocks
from netsim.phy.effective_sinr import mean_over_held

NUM_BLOCKS = 51


def limits_of(most, *, headroom=None, client=None, sizes, use=None):
    """Limits of clients that can use so much of each group at each instant."""
    most = np.asarray(most, dtype=float)
    bearers = slice(0, most.shape[1])

    def at_most(held, shares, *, bearers, instants):
        chosen = most[instants, bearers]
        used = mean_over_held(chosen, shares.reshape(chosen.shape))
        return np.minimum(held, used.ravel())

    covered = None if headroom is None else np.broadcast_to(headroom, most.shape[:2])
    use = at_most if use is None else use
    limits = PowerLimits(
        cells=BearerCells.of(
            np.cumsum([0, *sizes[:-1]]),
            client_id=np.arange(sum(sizes)) if client is None else client,
        ),
        num_groups=most.shape[2],
        block=1 / NUM_BLOCKS,
        use=lambda held, shares: held,
        headroom=headroom,
    )
    return LimitsOverTime(
        limits, use=use, bearers=bearers, num_instants=len(most), headroom=covered
    )


def asked_again(metric, limits):
    """Shares as a scheduler gives that is asked again about those who are left."""
    order = limits.cells.start, limits.cells.cell
    return redistribute_unused_blocks(
        lambda chosen: serve_largest_of(chosen, metric, *order),
        serve_largest(metric, *order),
        limits,
    )


SIZES = st.lists(st.integers(1, 6), min_size=1, max_size=5)


@settings(deadline=None)
@given(
    sizes=SIZES,
    num_groups=st.sampled_from([1, 1, 3]),
    is_within=st.booleans(),
    has_pairs=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
def test_it_is_asking_again_at_every_instant(sizes, num_groups, is_within, has_pairs, seed):
    """Cells with and without limited clients, filled or not, of one client or several."""
    rng = np.random.default_rng(seed)
    num = sum(sizes)
    blocks = rng.choice([1, 2, 5, 20, NUM_BLOCKS], (2, num, num_groups))
    headroom = None
    if is_within:
        headroom = np.minimum(blocks.min(axis=2), rng.choice([1, 3, 9, NUM_BLOCKS], (2, num)))
        headroom = headroom / NUM_BLOCKS
    client = rng.permutation(num) // 2 if has_pairs and num > 1 else None
    limits = limits_of(blocks / NUM_BLOCKS, headroom=headroom, client=client, sizes=sizes)
    order = MetricOrder(limits)
    for instant in (0, 1, 1, 0):
        metric = rng.exponential(1.0, (num, num_groups))
        if num > 2:
            metric[1] = metric[0]  # a tie, of one cell or of two
        np.testing.assert_allclose(
            order.shares(instant, metric),
            asked_again(metric, limits.at_instant[instant]),
            rtol=1e-12,
            atol=1e-14,
        )


def test_in_a_flat_band_each_has_the_blocks_that_those_before_it_leave():
    """20 and 20 of 51 blocks for the best, the last 11 for the third, none for the fourth."""
    limits = limits_of(np.ones((1, 4, 1)), headroom=np.array([20, 20, 20, 20]) / 51, sizes=[4])
    shares = MetricOrder(limits).shares(0, np.array([[2.0], [9.0], [1.0], [5.0]]))
    assert shares[:, 0] * NUM_BLOCKS == pytest.approx([11, 20, 0, 20])


def test_a_band_that_all_together_do_not_fill_is_divided_alike_in_any_order():
    """In proportion to the headroom, as far as that is of use: 9 blocks for the first."""
    most = np.array([9, 51, 51]) / NUM_BLOCKS
    limits = limits_of(most[None, :, None], headroom=np.array([5, 5, 10]) / 51, sizes=[3])
    order = MetricOrder(limits)
    for metric in ([1.0, 2.0, 3.0], [3.0, 2.0, 1.0]):
        shares = order.shares(0, np.array(metric)[:, None])
        assert shares[:, 0] * NUM_BLOCKS == pytest.approx([9, 14, 28])


def test_what_is_used_of_a_grant_is_not_what_is_used_of_the_band_up_to_the_grant():
    """Power is best spent in 40 of 51 blocks, or in 15 of 25 (four transmissions or three)."""

    def use(held, shares, *, bearers, instants):
        return np.where(held > 40 / 51, 40 / 51, np.where(held > 15 / 51, 15 / 51, held))

    limits = limits_of(np.ones((2, 3, 1)), headroom=np.full(3, 1 / 51), sizes=[2, 1], use=use)
    for instant in range(2):
        shares = MetricOrder(limits).shares(instant, np.array([[2.0], [9.0], [1.0]]))
        assert shares[:, 0] * NUM_BLOCKS == pytest.approx([15, 15, 40])


def test_what_does_not_fill_the_band_now_may_do_so_later():
    """30 and 10 blocks at one instant, 30 and 30 at the next: then the order counts."""
    headroom = np.array([[30, 10], [30, 30]]) / 51
    limits = limits_of(np.ones((2, 2, 1)), headroom=headroom, sizes=[2])
    order, metric = MetricOrder(limits), np.array([[1.0], [2.0]])
    assert order.shares(0, metric)[:, 0] * NUM_BLOCKS == pytest.approx([38.25, 12.75])
    assert order.shares(1, metric)[:, 0] * NUM_BLOCKS == pytest.approx([21, 30])


def test_without_limits_those_who_are_tied_divide_the_band():
    """One cell has a limited client, the other none."""
    limits = limits_of(np.array([[[0.5], [1.0], [1.0], [1.0]]]), sizes=[2, 2])
    shares = MetricOrder(limits).shares(0, np.array([[2.0], [1.0], [7.0], [7.0]]))
    assert shares[:, 0].tolist() == [0.5, 0.5, 0.5, 0.5]


def test_whom_power_limits_is_told_by_the_mean_over_groups():
    """Half of the band in two groups, all of it in a third: two thirds on average."""
    most = np.array([[[0.5, 0.5, 1.0], [1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]])
    first = limits_of(most, sizes=[2, 1]).at_instant[0]
    assert first.most() == pytest.approx([2 / 3, 1.0, 1.0])
    assert first.in_limited_cell().tolist() == [True, True, False]
