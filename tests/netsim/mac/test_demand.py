"""What a share of the band is worth to whom, and what is used of it."""

import numpy as np
import pytest

from netsim.mac.cell_view import cell_view
from netsim.mac.demand import MIN_REACH
from tests.netsim.mac.demands import AIR, FREE, LIMITED, NUM_BLOCKS, demand_of

MCS_0 = float(AIR.rates.mcs.spectral_efficiency[0])


def efficiency(snr_db):
    return float(AIR.uplink_adaptation.efficiency(np.array([10 ** (snr_db / 10)]))[0])


def test_whoever_is_not_limited_uses_what_it_holds():
    demand = demand_of([0, 0], density_w=[FREE, LIMITED], snr_db=[20.0, 0.0])
    held = np.array([0.5, 0.5])
    used = demand.used_fraction(
        held, np.ones((2, AIR.num_groups)), bearers=slice(None), instants=slice(0, 1)
    )
    assert used[0] == 0.5
    assert 0 < used[1] < 0.5
    blocks = used[1] * NUM_BLOCKS
    assert blocks == pytest.approx(round(blocks))  # whole blocks
    # Alone the first is limited by nothing, and what it holds is returned as it is.
    first = demand.used_fraction(
        held[:1], np.ones((1, 1)), bearers=slice(0, 1), instants=slice(0, 1)
    )
    assert first.tolist() == [0.5]
    assert demand.used_blocks(slice(0, 1), np.array([7.3])).tolist() == [7.3]
    assert demand.used_blocks(slice(None), np.full(2, 12.5)).shape == (1, 2)


def test_a_site_fills_its_band_whatever_it_holds():
    demand = demand_of([0, 0], density_w=LIMITED, snr_db=-5.0, is_uplink=False)
    held = np.array([0.25, 0.75])
    assert (
        demand.used_fraction(
            held, np.ones((2, AIR.num_groups)), bearers=slice(None), instants=slice(0, 1)
        )
        is held
    )
    assert demand.used_blocks(slice(None), held) is held
    power_w = demand.block_power_w(slice(None), np.ones((3, 2)))
    assert power_w.shape == (3, 2)
    assert (power_w == AIR.site_block_w).all()
    assert AIR.downlink_element_rate_hz != AIR.uplink_element_rate_hz


@pytest.mark.parametrize("is_uplink", [True, False])
def test_rates_are_efficiency_times_blocks(is_uplink):
    demand = demand_of([0, 0, 1], snr_db=[20.0, 5.0, 10.0], is_uplink=is_uplink)
    expected = np.array([efficiency(20.0), efficiency(5.0), efficiency(10.0)])
    expected *= NUM_BLOCKS * (
        AIR.uplink_element_rate_hz if is_uplink else AIR.downlink_element_rate_hz
    )
    whole = demand.transfer_rate_bps(slice(None), np.ones(3))
    np.testing.assert_allclose(whole[0], expected)
    half = demand.transfer_rate_bps(slice(1, 3), np.full(2, 0.5))
    np.testing.assert_allclose(half[0], expected[1:] / 2)
    groups = demand.group_rate_bps()
    assert groups.shape == (1, 3, AIR.num_groups)
    np.testing.assert_allclose(groups[0].sum(axis=1), expected)


def test_the_split_of_a_limited_client_depends_on_how_many_contend():
    """A client that can use one block only has that one in each split: as part of its width."""
    num = 5
    alone = demand_of([0], density_w=LIMITED, snr_db=-12.0)
    split = demand_of([0] * num, density_w=LIMITED, snr_db=-12.0)
    one = float(alone.used_blocks(slice(None), np.array([float(NUM_BLOCKS)]))[0, 0])
    assert one == 1.0
    rate_bps = efficiency(-12.0) * AIR.uplink_element_rate_hz
    assert alone.group_rate_bps().sum() == pytest.approx(rate_bps)
    np.testing.assert_allclose(split.group_rate_bps().sum(axis=2), num * rate_bps)


def test_a_broadcast_goes_at_the_rate_of_its_weakest_member_that_is_reached():
    demand = demand_of([0, 0], snr_db=[20.0, 5.0, -40.0, 10.0], members=[3, 1], is_uplink=False)
    assert demand.has_groups
    is_reached = demand.is_reached()
    assert is_reached.tolist() == [[True, True, False, True]]
    rate = demand.transfer_rate_bps(slice(None), np.ones(4))
    weakest = demand.weakest(slice(0, 2), rate, is_reached)
    assert weakest.tolist() == [[rate[0, 1], rate[0, 3]]]
    second = demand.weakest(slice(1, 2), rate[:, 3:], is_reached[:, 3:])
    assert second.tolist() == [[rate[0, 3]]]
    by_group = demand.weakest(slice(0, 2), demand.group_rate_bps(), is_reached)
    assert by_group.shape == (1, 2, AIR.num_groups)
    nobody = demand.weakest(slice(0, 2), rate, np.zeros((1, 4), dtype=bool))
    assert nobody.tolist() == [[0.0, 0.0]]


def test_members_count_as_reached_from_a_fifth_of_the_slowest_mcs():
    snr_db = np.arange(-25.0, 0.0, 0.05)
    reached = [efficiency(db) >= MIN_REACH * MCS_0 for db in snr_db]
    demand = demand_of([0], snr_db=snr_db, members=[len(snr_db)], is_uplink=False)
    # With noise of rounding at one point of the grid at most.
    assert np.count_nonzero(demand.is_reached()[0] != reached) <= 1
    assert 0 < np.count_nonzero(reached) < len(reached)
    alone = demand_of([0], snr_db=-40.0, is_uplink=False)
    assert not alone.has_groups
    assert alone.is_reached().tolist() == [[True]]  # it holds nobody back


def test_the_demand_at_an_instant_is_of_that_instant_alone():
    demand = demand_of([0, 0], num_instants=3)
    demand.sinr_per_w[1] *= 2.0
    assert demand.at(1).sinr_per_w.shape == (1, 2, AIR.num_groups)
    np.testing.assert_array_equal(demand.at(1).sinr_per_w[0], demand.sinr_per_w[1])


def view_at(demand, bearers, *, instant=0):
    num = bearers.stop - bearers.start
    return cell_view(
        demand,
        bearers,
        instant=instant,
        group_rate_bps=np.ones((num, AIR.num_groups)),
        average_rate_bps=np.ones(num),
        is_reached=demand.is_reached(),
        now_s=4.0,
    )


@pytest.mark.parametrize("bearers", [slice(0, 2), slice(2, 3), slice(3, 5)])
def test_the_scheduler_of_a_cell_sees_its_own_bearers_only(bearers):
    members = [2, 1, 1, 1, 3]
    snr_db = np.array([20.0, 5.0, 12.0, 8.0, 3.0, 15.0, 9.0, 11.0])
    demand = demand_of([0, 0, 1, 2, 2], snr_db=snr_db, members=members, is_uplink=False)
    whole_bps = demand.weakest(
        slice(0, 5), demand.transfer_rate_bps(slice(None), np.ones(8)), demand.is_reached()
    )[0]
    view = view_at(demand, bearers)
    num = bearers.stop - bearers.start
    assert view.now_s == 4.0
    assert view.client_id.tolist() == list(range(5))[bearers]
    np.testing.assert_allclose(view.rate_bps(np.ones(num)), whole_bps[bearers])
    fraction = np.linspace(0.25, 0.5, num)
    np.testing.assert_allclose(view.rate_bps(fraction), fraction * whole_bps[bearers])
    site_w = AIR.site_block_w * NUM_BLOCKS
    np.testing.assert_allclose(view.power_w(fraction), fraction * site_w)


def test_a_view_is_of_its_instant():
    demand = demand_of([0, 0], snr_db=0.0, num_instants=2)
    demand.sinr_per_w[1] *= 10.0
    rates = [view_at(demand, slice(0, 2), instant=k).rate_bps(np.ones(2)) for k in range(2)]
    expected = [efficiency(db) * NUM_BLOCKS * AIR.uplink_element_rate_hz for db in (0.0, 10.0)]
    np.testing.assert_allclose(rates, np.repeat(expected, 2).reshape(2, 2))


def test_the_power_that_a_view_tells_is_that_of_the_blocks_used():
    demand = demand_of([0, 0], density_w=[FREE, LIMITED], snr_db=[20.0, -9.0])
    power_w = view_at(demand, slice(0, 2)).power_w(np.array([0.4, 0.4]))
    most_w = 10 ** (AIR.power_control.max_dbm / 10 - 3)
    assert power_w == pytest.approx([0.4 * NUM_BLOCKS * FREE, most_w])


def test_headroom_is_what_full_power_fills_at_the_target_in_whole_blocks():
    """23 dBm over 3.49 blocks, over less than one, over more than the band."""
    most_w = 10**2.3 / 1000
    blocks = AIR.uplink_power.headroom_blocks(
        np.array([most_w / 3.49, 10.0, 1e-6, most_w / 4, 0.0])
    )
    assert blocks.tolist() == [3.0, 1.0, NUM_BLOCKS, 4.0, NUM_BLOCKS]


def test_what_is_used_of_a_grant_by_rows_is_that_at_each_instant():
    """Of two instants at once, and of rows in any order, as of each alone."""
    demand = demand_of(
        [0, 0, 0], density_w=[LIMITED, LIMITED, FREE], snr_db=[-6.0, -12.0, 20.0], num_instants=2
    )
    demand.sinr_per_w[1] *= 2.0
    held = np.array([0.2, 0.4, 0.4])
    shares = np.repeat(held[:, None], AIR.num_groups, axis=1)
    each = [
        demand.used_fraction(held, shares, bearers=slice(0, 3), instants=slice(k, k + 1))
        for k in range(2)
    ]
    both = demand.used_fraction(
        np.tile(held, 2), np.tile(shares, (2, 1)), bearers=slice(0, 3), instants=slice(0, 2)
    )
    np.testing.assert_array_equal(both, np.concatenate(each))
    bearers, instants = np.array([2, 1, 0, 1]), np.array([0, 1, 1, 0])
    rows = demand.used_fraction(held[bearers], shares[bearers], bearers=bearers, instants=instants)
    np.testing.assert_array_equal(rows, np.array(each)[instants, bearers])
    assert each[0][1] == 1 / NUM_BLOCKS
    assert each[0][2] == 0.4
