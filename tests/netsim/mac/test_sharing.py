"""Who gets which blocks: every cell by its own scheduler, unused blocks to others, by traits."""

from typing import ClassVar

import numpy as np
import pytest

from netsim.mac.demand import Demand
from netsim.mac.mean_shares import TIE_BREAK
from netsim.mac.schedulers import SCHEDULERS
from netsim.mac.schedulers.round_robin import RoundRobin
from netsim.mac.sharing import MIN_AVERAGE_FRACTION, Sharing
from tests.netsim.mac.demands import FREE, LIMITED, NUM_BLOCKS, demand_of

SLOT_S = 0.5e-3
FOR_EVER = np.array([np.inf])


class Weighted:
    """The band in the ratio of 1 to 2 to 3 ..., whatever the rates, and what it was asked."""

    uses_rates = False
    made: ClassVar[list["Weighted"]] = []

    def __init__(self):
        self.views = []
        type(self).made.append(self)

    def shares(self, view):
        self.views.append(view)
        weight = np.arange(1.0, len(view.client_id) + 1)
        return np.repeat((weight / weight.sum())[:, None], view.group_rate_bps.shape[1], axis=1)


class Reading(Weighted):
    """The same for one that looks at rates and averages."""

    uses_rates = True


class Exclusive(Weighted):
    """The same in turns."""

    is_exclusive = True


def solve(scheduler, demand, *, is_averaged=False, duration_s=FOR_EVER):
    if hasattr(scheduler, "made"):
        scheduler.made = []
    sharing = Sharing("mine", make=scheduler, slot_s=SLOT_S)
    return sharing.solve(demand, now_s=3.0, duration_s=duration_s, is_averaged=is_averaged)


def band(grant):
    """Part of the band of each bearer at the first instant."""
    return grant.shares[0].mean(axis=1)


def test_every_cell_and_direction_has_a_scheduler_of_its_own():
    Weighted.made = []
    sharing = Sharing("mine", make=Weighted, slot_s=SLOT_S)
    assert len(Weighted.made) == 1  # whose traits are looked at
    demand = demand_of([2, 2, 5, 7, 7, 7])
    for _ in range(2):
        grant = sharing.solve(demand, now_s=3.0, duration_s=FOR_EVER)
        assert band(grant) == pytest.approx([1 / 3, 2 / 3, 1.0, 1 / 6, 2 / 6, 3 / 6])
    down = demand_of([2, 5], is_uplink=False)
    assert band(sharing.solve(down, now_s=3.0, duration_s=FOR_EVER)).tolist() == [1.0, 1.0]
    views = [[view.client_id.tolist() for view in each.views] for each in Weighted.made[1:]]
    assert views == [[[0, 1]] * 2, [[2]] * 2, [[3, 4, 5]] * 2, [[0]], [[1]]]
    assert Weighted.made[1].views[0].now_s == 3.0


@pytest.mark.parametrize(("scheduler", "times"), [(Weighted, 1), (Reading, 3)])
def test_who_looks_at_no_rates_is_asked_once_for_all_instants(scheduler, times):
    class WithoutAverages(scheduler):
        uses_average_rate = False

    demand = demand_of([0, 0], num_instants=3, average_rate_bps=1e6)
    grant = solve(WithoutAverages, demand, duration_s=np.full(3, 0.01))
    np.testing.assert_allclose(grant.shares.mean(axis=2), [[1 / 3, 2 / 3]] * 3)
    (asked,) = [each for each in WithoutAverages.made if each.views]
    assert len(asked.views) == times


class TestUnusedBlocks:
    """A client that uses one block of the band, whatever it is given (-12 dB at full power)."""

    ONE_BLOCK = 1 / NUM_BLOCKS

    def test_they_go_to_the_others_of_the_cell(self):
        demand = demand_of([0, 0, 0], density_w=[FREE, LIMITED, FREE], snr_db=[20.0, -12.0, 20.0])
        grant = solve(RoundRobin, demand)
        rest = (1 - self.ONE_BLOCK) / 2
        assert band(grant) == pytest.approx([rest, self.ONE_BLOCK, rest])

    @pytest.mark.parametrize(
        "scheduler", [RoundRobin, SCHEDULERS["earliest_deadline"], SCHEDULERS["max_ci"]]
    )
    def test_each_instant_for_itself(self, scheduler):
        """Who is limited differs: of client 4 both transfers, at the second instant nobody."""
        demand = demand_of(
            [0, 0, 0, 1, 1, 1],
            density_w=[LIMITED, LIMITED, FREE, FREE, LIMITED, LIMITED],
            snr_db=[20.0, 18.0, -2.0, -2.0, 20.0, 18.0],
            client_id=[0, 1, 2, 3, 4, 4],
            average_rate_bps=1e6,
            num_instants=3,
        )
        demand.sinr_per_w[0] *= 10 ** np.array([[-4.0], [-2.0], [0.0], [0.0], [-3.0], [-3.0]])
        demand.sinr_per_w[2, 1] *= 10**-3.0
        durations_s = np.array([0.01, 0.02, 0.01])
        together = solve(scheduler, demand, duration_s=durations_s).shares
        for instant in range(3):
            alone = solve(scheduler, demand.at(instant), duration_s=durations_s[instant:][:1])
            np.testing.assert_array_equal(together[instant], alone.shares[0])
        assert not np.array_equal(together[0], together[2])

    def test_each_cell_for_itself(self):
        """All of cell 0 are limited, nobody in cell 1, one of two in cell 2."""
        density_w = [LIMITED, LIMITED, FREE, FREE, FREE, LIMITED]
        snr_db = [-12.0, -12.0, 20.0, 20.0, 20.0, -12.0]
        grant = solve(RoundRobin, demand_of([0, 0, 1, 1, 2, 2], density_w=density_w, snr_db=snr_db))
        one = self.ONE_BLOCK
        assert band(grant) == pytest.approx([one, one, 0.5, 0.5, 1 - one, one])

    def test_by_the_rule_of_the_scheduler(self):
        """Among the two that are left, 1 to 2 of what is left."""
        demand = demand_of([0, 0, 0], density_w=[FREE, FREE, LIMITED], snr_db=[20.0, 20.0, -12.0])
        grant = solve(Weighted, demand)
        rest = 0.5 - self.ONE_BLOCK
        expected = [1 / 6 + rest / 3, 2 / 6 + rest * 2 / 3, self.ONE_BLOCK]
        assert band(grant) == pytest.approx(expected)
        (asked,) = [each for each in Weighted.made if each.views]
        assert [view.client_id.tolist() for view in asked.views] == [[0, 1, 2], [0, 1]]

    def test_less_than_a_block_is_left_alone(self):
        """One that holds 1.5 blocks and uses one leaves half a block."""
        num = round(NUM_BLOCKS / 1.5)
        density_w, snr_db = np.full(num, FREE), np.full(num, 20.0)
        density_w[0], snr_db[0] = LIMITED, -12.0
        grant = solve(RoundRobin, demand_of([0] * num, density_w=density_w, snr_db=snr_db))
        assert NUM_BLOCKS / num > 1.2
        assert band(grant) == pytest.approx([self.ONE_BLOCK, *[1 / num] * (num - 1)])

    def test_a_whole_block_is_not(self):
        class Two(Weighted):
            """Two blocks to the first, the rest to the others."""

            def shares(self, view):
                shares = super().shares(view)
                if len(view.client_id) == 2:
                    shares[:] = np.array([[2.0], [NUM_BLOCKS - 2.0]]) / NUM_BLOCKS
                return shares

        grant = solve(Two, demand_of([0, 0], density_w=[LIMITED, FREE], snr_db=[-12.0, 20.0]))
        assert band(grant) == pytest.approx([self.ONE_BLOCK, 1 - self.ONE_BLOCK])

    def test_who_looks_at_rates_and_is_not_exclusive_is_not_asked_again(self):
        density_w, snr_db = [FREE, LIMITED], [20.0, -12.0]
        grant = solve(Reading, demand_of([0, 0], density_w=density_w, snr_db=snr_db))
        assert band(grant) == pytest.approx([1 / 3, 2 / 3])

    @pytest.mark.parametrize("scheduler", ["earliest_deadline", "min_energy", "max_ci"])
    @pytest.mark.parametrize("first", [0, 1])
    def test_an_exclusive_one_goes_on_to_the_next_in_its_order(self, scheduler, first):
        """One block to the limited one, the rest to the other, whoever comes first."""
        demand = demand_of([0, 0], density_w=[LIMITED, FREE], snr_db=[-12.0, 20.0])
        demand.requested_at_s[:] = [first, 1 - first]
        grant = solve(SCHEDULERS[scheduler], demand)
        free = float(scheduler != "earliest_deadline" or first == 1)
        limited = self.ONE_BLOCK if scheduler == "earliest_deadline" and first == 0 else 0.0
        if free:  # the free one can use the whole band and leaves nothing
            assert band(grant) == pytest.approx([limited, 1.0])
        else:
            assert band(grant) == pytest.approx([self.ONE_BLOCK, 1 - self.ONE_BLOCK])

    def test_three_in_order_of_deadlines(self):
        demand = demand_of([0, 0, 0], density_w=[LIMITED, LIMITED, FREE], snr_db=[-12, -12, 20])
        demand.deadline_at_s[:] = [1.0, 2.0, 3.0]
        grant = solve(SCHEDULERS["earliest_deadline"], demand)
        one = self.ONE_BLOCK
        assert band(grant) == pytest.approx([one, one, 1 - 2 * one])
        assert (grant.activity == 1.0).all()

    @pytest.mark.parametrize("is_averaged", [True, False])
    @pytest.mark.parametrize("duration_s", [0.05, np.inf])
    def test_proportional_fair_fills_the_band_with_several_at_a_time(self, is_averaged, duration_s):
        """Four whose power covers 5 blocks each: two and a part of a third at once."""
        density_w = 10**2.3 / 1000 / 5.2
        demand = demand_of([0] * 4, density_w=density_w, snr_db=[20.0, 21.0, 22.0, 23.0])
        grant = solve(
            SCHEDULERS["proportional_fair"],
            demand,
            is_averaged=is_averaged,
            duration_s=np.array([duration_s]),
        )
        assert NUM_BLOCKS == 11
        assert band(grant).sum() == pytest.approx(1.0)
        at_once = band(grant) / grant.activity[0]
        assert at_once.max() <= 5 / NUM_BLOCKS * (1 + 1e-9)
        if is_averaged:
            assert band(grant) == pytest.approx(0.25, abs=0.03)
            assert grant.activity[0].sum() == pytest.approx(3.0, rel=0.01)
        else:
            assert sorted(band(grant) * NUM_BLOCKS) == pytest.approx([0, 1, 5, 5])

    @pytest.mark.parametrize("is_averaged", [True, False])
    def test_what_nobody_has_power_for_is_divided_among_all(self, is_averaged):
        """Two whose power covers 2 and 4 of 11 blocks: 11/3 and 22/3."""
        most_w = 10**2.3 / 1000
        demand = demand_of([0, 0], density_w=[most_w / 2.1, most_w / 4.1], snr_db=30.0)
        grant = solve(
            SCHEDULERS["proportional_fair"],
            demand,
            is_averaged=is_averaged,
            duration_s=np.array([0.05]),
        )
        assert band(grant) == pytest.approx([1 / 3, 2 / 3])
        assert grant.activity[0] == pytest.approx([1.0, 1.0])

    def test_a_downlink_leaves_none(self):
        demand = demand_of([0, 0], density_w=LIMITED, snr_db=[20.0, -12.0], is_uplink=False)
        assert band(solve(RoundRobin, demand)).tolist() == [0.5, 0.5]

    def test_two_uploads_of_one_client_are_one_transmitter(self):
        """Together they use one block; another client has the rest."""
        density_w, snr_db = [LIMITED, LIMITED, FREE], [-12.0, -12.0, 20.0]
        demand = demand_of([0, 0, 0], density_w=density_w, snr_db=snr_db, client_id=[4, 4, 6])
        one = self.ONE_BLOCK
        assert band(solve(RoundRobin, demand)) == pytest.approx([one / 2, one / 2, 1 - one])


class TestRatesThatSchedulersCompare:
    def test_a_new_transfer_counts_with_an_equal_split_and_nobody_below_a_thousandth(self):
        demand = demand_of([0, 0, 0], average_rate_bps=[np.nan, 1e5, 0.0])
        grant = solve(Reading, demand)
        split_bps = demand.group_rate_bps()[0].sum(axis=1) / 3
        floor_bps = MIN_AVERAGE_FRACTION * split_bps[2]
        assert grant.average_rate_bps == pytest.approx([split_bps[0], 1e5, floor_bps])

    def test_who_looks_at_no_rates_sees_ones(self):
        solve(Weighted, demand_of([0, 0], average_rate_bps=[np.nan, 1e5]))
        (view,) = [view for each in Weighted.made for view in each.views]
        assert view.average_rate_bps.tolist() == [1.0, 1.0]
        assert (view.group_rate_bps == 1.0).all()

    def test_in_an_instant_equals_are_told_apart_cell_by_cell(self):
        solve(Reading, demand_of([0, 0, 1, 1, 1], average_rate_bps=2e5))
        seen = [view.average_rate_bps / 2e5 for each in Reading.made for view in each.views]
        expected = [1 + TIE_BREAK * np.arange(2), 1 + TIE_BREAK * np.arange(3)]
        for found, wanted in zip(seen, expected, strict=True):
            np.testing.assert_allclose(found, wanted, rtol=1e-12)

    def test_every_instant_is_asked_at_its_time(self):
        demand = demand_of([0, 0], num_instants=3)
        grant = solve(Reading, demand, duration_s=np.array([0.25, 0.5, 1.0]))
        (asked,) = [each for each in Reading.made if each.views]
        assert [view.now_s for view in asked.views] == [3.0, 3.25, 3.75]
        assert grant.shares.shape[:2] == (3, 2)
        assert (grant.activity == 1.0).all()


class TestTraits:
    @pytest.mark.parametrize(
        ("name", "uses_average_rate", "is_time_shared", "follows_fades", "redistributes"),
        [
            ("round_robin", False, False, False, True),
            ("earliest_deadline", False, False, False, True),
            ("equal_finish", False, False, False, False),
            ("max_ci", False, False, True, True),
            ("min_energy", False, False, True, True),
            ("proportional_fair", True, True, True, True),
        ],
    )
    def test_of_every_scheduler(
        self, name, uses_average_rate, is_time_shared, follows_fades, redistributes
    ):
        sharing = Sharing(name, make=SCHEDULERS[name], slot_s=SLOT_S)
        assert sharing.uses_average_rate == uses_average_rate
        assert sharing.is_time_shared == is_time_shared
        assert sharing.follows_fades == follows_fades
        assert sharing.redistributes == redistributes

    def test_of_a_class_that_says_nothing(self):
        class Plain:
            def shares(self, view):
                return RoundRobin().shares(view)

        sharing = Sharing("plain", make=Plain, slot_s=SLOT_S)
        assert sharing.uses_average_rate
        assert sharing.follows_fades
        assert not sharing.is_time_shared


@pytest.mark.parametrize("duration_s", [0.05, np.inf])
def test_alone_in_its_cell_a_transfer_has_all_of_it_all_the_time(duration_s):
    demand: Demand = demand_of([0, 1, 1], snr_db=[20.0, 5.0, 5.0])
    grant = solve(
        SCHEDULERS["proportional_fair"],
        demand,
        is_averaged=True,
        duration_s=np.array([duration_s]),
    )
    assert band(grant) == pytest.approx([1.0, 0.5, 0.5])
    assert grant.activity[0] == pytest.approx([1.0, 0.5, 0.5])
