"""Average rates within a tick: what shares yield, how often schedulers are asked, what follows."""

import numpy as np
import pytest

from netsim.mac.average_rate import (
    AVERAGE_S,
    RateOfShares,
    follow_averages,
    num_steps,
    power_exponent,
)


def rate_of(group_rate_bps, *, exponent=0.0, num_contenders=2, in_turns=False):
    rates = np.array(group_rate_bps, dtype=float)
    return RateOfShares(
        group_rate_bps=rates,
        exponent=np.broadcast_to(exponent, len(rates)).astype(float),
        num_contenders=num_contenders,
        in_turns=in_turns,
    )


class TestRateOfShares:
    def test_without_a_power_limit_it_is_in_proportion(self):
        rate = rate_of([[4.0, 8.0], [2.0, 2.0]])
        shares = np.array([[0.5, 0.25], [1.0, 1.0]])
        assert rate.rate_bps(shares).tolist() == [4.0, 4.0]

    def test_a_share_wider_than_an_equal_split_yields_less_by_a_power_of_its_width(self):
        rate = rate_of([[4.0, 8.0]] * 3, exponent=-0.5, num_contenders=4)
        shares = np.array([[1.0, 1.0], [0.5, 0.5], [0.25, 0.25]])
        # 4, 2 and 1 times as wide as an equal split.
        assert rate.rate_bps(shares) == pytest.approx([12 * 4**-0.5, 6 * 2**-0.5, 3.0])
        narrow = rate.rate_bps(np.full((3, 2), 0.125))
        assert narrow == pytest.approx([1.5, 1.5, 1.5])  # no more than in proportion

    def test_side_by_side_all_that_hold_anything_are_on_the_air(self):
        rate = rate_of([[4.0, 8.0]] * 3, exponent=-0.5)
        shares = np.array([[0.5, 0.0], [0.5, 1.0], [0.0, 0.0]])
        activity, served_bps = rate.served(shares)
        assert activity.tolist() == [1.0, 1.0, 0.0]
        np.testing.assert_array_equal(served_bps, rate.rate_bps(shares))

    def test_in_turns_each_has_its_groups_at_full_width_part_of_the_time(self):
        rate = rate_of([[4.0, 8.0]] * 3, exponent=-0.5, num_contenders=2, in_turns=True)
        shares = np.array([[0.25, 0.25], [0.75, 0.375], [0.0, 0.0]])
        activity, served_bps = rate.served(shares)
        assert activity.tolist() == [0.25, 0.75, 0.0]
        # The second holds all of one group and half of the other then: 1.5 times as wide.
        expected = [0.25 * 12 * 2**-0.5, 0.75 * 8 * 1.5**-0.5, 0.0]
        assert served_bps == pytest.approx(expected)


class TestPowerExponent:
    def test_it_leads_from_the_equal_split_to_the_whole_band(self):
        rates = np.array([[4.0, 8.0], [1.0, 1.0]])
        exponent = power_exponent(rates, np.array([3.0, 2.0]), 4)
        assert exponent == pytest.approx([np.log(0.25) / np.log(4), 0.0])
        rate = rate_of(rates, exponent=exponent, num_contenders=4)
        assert rate.rate_bps(np.ones((2, 2))) == pytest.approx([3.0, 2.0])

    def test_a_band_that_yields_more_than_its_groups_counts_as_the_sum(self):
        assert power_exponent(np.array([[1.0, 1.0]]), np.array([5.0]), 2).tolist() == [0.0]

    def test_whoever_is_alone_or_has_no_rate_has_a_finite_one(self):
        rates = np.array([[4.0], [0.0]])
        exponent = power_exponent(rates, np.array([1.0, 0.0]), np.array([1, 1]))
        assert exponent == pytest.approx([np.log(0.25) / np.log(2), 0.0])
        none = power_exponent(rates[:1], np.zeros(1), 2)
        assert none == pytest.approx([np.log(1e-9) / np.log(2)])


class TestNumSteps:
    """A tenth of 150 ms over the number of contenders, never less than a slot, at least once."""

    @pytest.mark.parametrize(
        ("duration_s", "num_contenders", "expected"),
        [(0.05, 6, 20), (0.0501, 6, 21), (0.05, 2, 7), (0.01, 100, 20), (1e-6, 2, 1), (0.0, 2, 1)],
    )
    def test_steps(self, duration_s, num_contenders, expected):
        found = num_steps(np.array([duration_s]), num_contenders=num_contenders, slot_s=0.5e-3)
        assert found.tolist() == [expected]

    def test_rounding_makes_no_step_more(self):
        found = num_steps(np.array([0.05 * (1 + 1e-12)]), num_contenders=6, slot_s=0.5e-3)
        assert found.tolist() == [20]


class TestFollowAverages:
    @staticmethod
    def follow(shares_at, rates, duration_s, steps, *, average=(1.0, 1.0), floor=0.0, limit=np.inf):
        return follow_averages(
            shares_at,
            rates,
            duration_s=np.array(duration_s),
            steps=np.array(steps),
            average_bps=np.array(average),
            floor_bps=np.full(len(average), floor),
            backhaul_limit_bps=limit,
        )

    def test_averages_move_by_the_rates_served_step_by_step(self):
        seen = []

        def first_only(instant, average):
            seen.append((instant, average.copy()))
            return np.array([[1.0], [0.0]])

        rates = [rate_of([[10.0], [10.0]]), rate_of([[30.0], [10.0]])]
        self.follow(first_only, rates, [0.03, 0.15], [2, 1], average=(4.0, 6.0))
        kept = np.exp(-0.015 / AVERAGE_S)
        one = np.array([10 + kept * (4 - 10), 6 * kept])
        two = np.array([10 + kept * (one[0] - 10), one[1] * kept])
        assert [instant for instant, _ in seen] == [0, 0, 1]
        for (_, found), expected in zip(seen, [np.array([4.0, 6.0]), one, two], strict=True):
            np.testing.assert_allclose(found, expected, rtol=1e-12)

    def test_means_are_over_the_steps_of_each_instant(self):
        turns = iter([0, 1, 1, 1, 0])

        def in_turn(instant, average):
            del instant, average
            return np.eye(3)[[next(turns)]].T

        rates = [rate_of([[1.0]] * 3, num_contenders=3)] * 2
        shares, activity = self.follow(in_turn, rates, [0.1, 0.1], [4, 1], average=(1.0,) * 3)
        assert shares[:, :, 0].tolist() == [[0.25, 0.75, 0.0], [1.0, 0.0, 0.0]]
        # Who holds nothing has the activity 1.
        assert activity.tolist() == [[0.25, 0.75, 1.0], [1.0, 1.0, 1.0]]

    @pytest.mark.parametrize(("limit", "expected"), [(3.0, 3.0), (np.inf, 10.0)])
    def test_no_average_rises_above_what_the_backhaul_carries_nor_falls_below_the_floor(
        self, limit, expected
    ):
        seen = []

        def first_only(instant, average):
            del instant
            seen.append(average.copy())
            return np.array([[1.0], [0.0]])

        rates = [rate_of([[10.0], [10.0]])]
        self.follow(first_only, rates, [30.0], [100], floor=0.5, limit=limit)
        assert seen[-1] == pytest.approx([expected, 0.5])
