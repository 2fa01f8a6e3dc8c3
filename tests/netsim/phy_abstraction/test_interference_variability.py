"""Loss by interference variability against drawn blocks; moments against drawn transmitters."""

import numpy as np
import pytest

from netsim.engines.harq_processes import HarqProcesses
from netsim.engines.interference import (
    MEMORY_S,
    ExpectedInterference,
    InterferenceMoments,
)
from netsim.engines.outer_loop_margins import OuterLoopMargins
from netsim.phy.block_error_table import BlockErrorTable
from netsim.phy.effective_sinr import effective_sinr_linear
from netsim.phy.link_adaptation import RateTable
from netsim.phy.outer_loop import OuterLoop
from netsim.phy_abstraction.goodput import KnownChannel
from netsim.phy_abstraction.interference_variability import (
    DB_PER_NEPER,
    InterferenceVariability,
    block_moments,
)

RATES = RateTable()
SLOTS, LINKS, WARM_UP_SLOTS = 2500, 40, 1000


def drawn_goodput(sinr, sigma, outer_loop):
    """Send blocks through lognormal interference, with the bank and the loop of the slot engine."""
    rng, rows = np.random.default_rng(7), np.arange(LINKS)
    bank, errors = HarqProcesses(1), BlockErrorTable(RATES)
    loop = OuterLoopMargins(outer_loop)
    for link in rows:
        bank.append(int(link), 1e12)
        loop.add()
    measured = np.full(LINKS, sinr * np.exp(-(sigma**2) / 2))  # at the mean interference
    received = 0.0
    for slot in range(SLOTS):
        loop.listen(slot)
        mcs = RATES.mcs_index(loop.corrected(rows, measured))
        attempt = bank.attempt(
            rows,
            slot=slot,
            blocks=np.ones(LINKS),
            mcs=mcs,
            size_bits=RATES.mcs.spectral_efficiency[mcs],
            needed_sinr=np.ones(LINKS),
        )
        met = sinr * np.exp(-sigma * rng.normal(size=LINKS))
        error = errors.lookup(bank.combine(attempt, blocks=np.ones(LINKS), sinr=met), attempt.mcs)
        bits = bank.settle(attempt, slot=slot, error=error, may_retransmit=np.ones(LINKS, bool))
        new = ~attempt.is_retransmission
        loop.report(
            attempt.rows[new],
            is_received=bits[new] > 0,
            is_lowest=attempt.mcs[new] == RATES.mcs_in_use[0],
            is_highest=attempt.mcs[new] == RATES.mcs_in_use[-1],
        )
        received += bits.sum() * (slot >= WARM_UP_SLOTS)
    return received / LINKS / (SLOTS - WARM_UP_SLOTS)


def constant_sinr(variability, sinr, variance):
    """The constant SINR of a block on a single group."""
    shape = np.broadcast_shapes(sinr.shape, np.shape(variance))
    found = variability.constant_sinr(
        np.broadcast_to(sinr, shape).ravel(),
        log_variance=np.broadcast_to(variance, shape).reshape(-1, 1),
        correlation=np.zeros(int(np.prod(shape))),
        shares=np.ones((int(np.prod(shape)), 1)),
    )
    return found.reshape(shape)


@pytest.fixture(scope="module")
def variability():
    return InterferenceVariability(RATES, outer_loop=OuterLoop())


@pytest.mark.parametrize("deviation_db", [2.0, 5.0, 8.0])
def test_goodput_is_that_of_drawn_blocks(variability, deviation_db):
    """Each within the steps of the MCS table, which are smoothed out, and 3 % on average."""
    sigma = deviation_db / DB_PER_NEPER
    constant = KnownChannel(RATES, has_outer_loop=True)
    ratio = []
    for sinr_db in range(1, 16):
        sinr = np.array(10.0 ** (sinr_db / 10))
        expected = constant.efficiency(constant_sinr(variability, sinr, np.array(sigma**2)))
        ratio.append(drawn_goodput(float(sinr), sigma, OuterLoop()) / expected)
    assert np.abs(np.array(ratio) - 1).max() < 0.15
    assert np.mean(ratio) == pytest.approx(1.0, abs=0.03)


@pytest.mark.parametrize("outer_loop", [None, OuterLoop()], ids=["inner", "outer"])
def test_constant_interference_costs_nothing(outer_loop):
    model = InterferenceVariability(RATES, outer_loop=outer_loop)
    sinr = 10.0 ** (np.arange(-15.0, 40.0, 0.7) / 10)
    np.testing.assert_allclose(constant_sinr(model, sinr, np.zeros(1)), sinr, rtol=1e-12)


def test_variable_interference_costs_decibels(variability):
    loss_db = [
        float(10 * np.log10(10.0 / constant_sinr(variability, np.array(10.0), np.array(sigma**2))))
        for sigma in np.array([1.5, 3.0, 4.5, 6.0]) / DB_PER_NEPER
    ]
    assert loss_db == sorted(loss_db)
    assert 0.5 < loss_db[0] < 2.0
    assert 3.0 < loss_db[-1] < 9.0


def moments(found_w):
    return found_w.mean(axis=0), np.log(found_w).mean(axis=0), np.log(found_w).var(axis=0)


def test_moments_are_those_of_drawn_transmitters():
    """Two cells with time-shared transmitters, one of them silent at times; 0.1 W of noise."""
    rng = np.random.default_rng(2)
    sizes, first = [3, 2], [0, 3]
    cross_gain = rng.exponential(1.0, (5, 3))
    cross_gain[:3, 0] = cross_gain[3:, 1] = 0.0
    sent_w = rng.uniform(0.5, 1.5, (2, 5))
    shares = np.concatenate(
        [rng.dirichlet(np.ones(size), (2, 2)).swapaxes(1, 2) for size in sizes], axis=1
    )
    shares[:, 3:] *= 0.8
    weight, group, num = np.array([0.3, 0.7]), 1, 100_000
    found_w = np.full((num, 3), 0.1)
    at = rng.choice(2, num, p=weight)
    for start, size in zip(first, sizes, strict=True):
        for place in (0, 1):
            rows = np.flatnonzero(at == place)
            part = shares[place, start : start + size, group]
            sender = rng.choice(size + 1, len(rows), p=[*part, 1 - part.sum()])
            rows, sender = rows[sender < size], start + sender[sender < size]
            found_w[rows] += sent_w[place, sender][:, None] * cross_gain[sender]
    received = InterferenceMoments.from_time_shared(
        cross_gain,
        sent_w,
        shares,
        activity=shares.sum(axis=2),
        weight=weight,
        first_of_cell=np.array(first),
        noise_w=0.1,
    )
    mean_w, log_mean, log_variance = moments(found_w)
    np.testing.assert_allclose(received.mean_w[:, group], mean_w, rtol=0.05)
    np.testing.assert_allclose(received.log_mean[:, group], log_mean, atol=0.05)
    np.testing.assert_allclose(received.log_variance[:, group], log_variance, rtol=0.15)


def test_draws_of_many_instants_pair_cells_anew():
    """20 cells of 10 senders in 8 instants alike: variances about within a third of the true."""
    rng = np.random.default_rng(4)
    cross_gain = rng.exponential(1.0, (200, 20))
    shares = np.full((8, 200, 1), 0.1)
    received = InterferenceMoments.from_time_shared(
        cross_gain,
        np.ones((8, 200)),
        shares,
        activity=shares[..., 0],
        weight=np.full(8, 1 / 8),
        first_of_cell=np.arange(0, 200, 10),
        noise_w=1e-9,
    )
    senders = 10 * np.arange(20) + rng.integers(0, 10, (20_000, 20))
    true = np.log(cross_gain[senders].sum(axis=1)).var(axis=0)
    ratio = received.log_variance[:, 0] / true
    assert ratio.mean() == pytest.approx(1.0, abs=0.1)
    assert ratio.std() < 0.33


def correlation_of(cross_gain, shares):
    """The correlation at each cell; the instants of ``shares`` last equally long."""
    num_instants, num_senders = shares.shape[:2]
    return InterferenceMoments.from_time_shared(
        cross_gain,
        np.ones((num_instants, num_senders)),
        shares,
        activity=np.ones((num_instants, num_senders)),
        weight=np.full(num_instants, 1 / num_instants),
        first_of_cell=np.array([0]),
        noise_w=0.5,
    ).correlation


def test_correlation_of_groups_is_that_of_who_holds_them():
    """Two users, half of the time each: in both groups alike, in opposite ones, or in turn."""
    cross_gain = np.array([[0.0, 1.0], [0.0, 9.0]])
    both = np.array([[0.5, 0.5], [0.5, 0.5]])
    swapped = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[0.0, 1.0], [1.0, 0.0]])
    one_of_four = np.stack([[[1.0, second], [0.0, 1.0 - second]] for second in (0.0, 1.0)])
    alike, opposite, free = (
        correlation_of(cross_gain, np.array(shares))
        for shares in (
            [both, both],
            swapped,
            [*one_of_four, *(1.0 - one_of_four)],
        )
    )
    assert alike == pytest.approx([0.0, 1.0], abs=1e-9)
    assert opposite == pytest.approx([0.0, 0.0], abs=1e-9)  # -1, clipped
    assert free == pytest.approx([0.0, 0.0], abs=1e-9)


def test_groups_that_users_leave_to_others_go_apart():
    """Eight groups of two cells: moments of each group as before, groups no longer go together."""
    cross_gain = np.array([[0.0, 1.0], [0.0, 9.0]])
    found = [
        InterferenceMoments.from_time_shared(
            cross_gain,
            np.ones((1, 2)),
            np.full((1, 2, 8), 0.5),
            activity=np.ones((1, 2)),
            weight=np.ones(1),
            first_of_cell=np.array([0]),
            noise_w=0.5,
            leaves_groups=leaves_groups,
        )
        for leaves_groups in (None, np.array([False]), np.array([True]))
    ]
    together, as_before, apart = found
    for one, other in zip(together, as_before, strict=True):
        np.testing.assert_array_equal(one, other)
    for name in ("mean_w", "log_mean", "log_square"):
        np.testing.assert_allclose(getattr(apart, name), getattr(together, name), rtol=1e-12)
    assert together.correlation[1] == pytest.approx(1.0, abs=1e-9)
    assert apart.correlation[1] < 0.15  # 0 but for 64 draws


def test_a_single_group_has_no_other_to_go_with():
    assert constant(2.0).correlation == pytest.approx([0.0])


def test_one_who_always_sends_has_no_variance():
    cross_gain = np.array([[0.0, 2.0], [0.0, 4.0]])
    received = InterferenceMoments.from_time_shared(
        cross_gain,
        np.ones((1, 2)),
        np.array([[[1.0], [0.0]]]),
        activity=np.ones((1, 2)),
        weight=np.ones(1),
        first_of_cell=np.array([0]),
        noise_w=0.5,
    )
    assert received.mean_w[:, 0] == pytest.approx([0.5, 2.5])
    assert received.geometric_w[:, 0] == pytest.approx([0.5, 2.5])
    assert received.log_variance[:, 0] == pytest.approx([0.0, 0.0], abs=1e-12)


def several_at_once(shares, activity):
    """What a cell without senders receives of one with those; 0.5 W of noise."""
    return InterferenceMoments.from_time_shared(
        np.array([[0.0, gain] for gain in (1.0, 9.0, 3.0, 5.0)])[: len(activity)],
        np.ones((1, len(activity))),
        np.array([shares]),
        activity=np.array([activity]),
        weight=np.ones(1),
        first_of_cell=np.array([0]),
        noise_w=0.5,
    )


def test_those_who_hold_parts_of_the_band_at_once_are_received_together():
    """Two have half of the band each, always: what is received does not vary."""
    together = several_at_once([[0.5], [0.5]], [1.0, 1.0])
    assert together.mean_w[1, 0] == pytest.approx(0.5 + 0.5 * 1.0 + 0.5 * 9.0)
    assert together.log_variance[1, 0] == pytest.approx(0.0, abs=1e-12)
    in_turn = several_at_once([[0.5], [0.5]], [0.5, 0.5])
    assert in_turn.mean_w[1, 0] == pytest.approx(together.mean_w[1, 0])
    assert in_turn.log_variance[1, 0] == pytest.approx((np.log(9.5 / 1.5) / 2) ** 2)


def test_pairs_take_turns():
    """Four of whom two at a time have half of the band each, half of the time: 2 W and 7 W."""
    received = several_at_once([[0.25]] * 4, [0.5] * 4)
    assert received.mean_w[1, 0] == pytest.approx(0.5 + 4.5)
    assert received.geometric_w[1, 0] == pytest.approx(np.sqrt(2.5 * 7.5))
    assert received.log_variance[1, 0] == pytest.approx((np.log(7.5 / 2.5) / 2) ** 2)


def test_a_part_of_the_time_in_which_fewer_send_is_drawn_too():
    """One always has 0.4 of the band, another a half of the time 0.6; the rest is empty."""
    received = several_at_once([[0.4], [0.3]], [1.0, 0.5])
    assert received.mean_w[1, 0] == pytest.approx(0.5 + 0.4 + 0.3 * 9.0)
    assert received.geometric_w[1, 0] == pytest.approx(np.sqrt(0.9 * 6.3))


def test_who_has_whole_groups_shares_none():
    """Both always send, in one of two groups each half of the time: one at a time in a group."""
    received = several_at_once([[0.5, 0.5], [0.5, 0.5]], [1.0, 1.0])
    assert received.mean_w[1] == pytest.approx([5.5, 5.5])
    assert received.log_variance[1] == pytest.approx((np.log(9.5 / 1.5) / 2) ** 2)


def test_frequency_sharing_varies_only_from_instant_to_instant():
    cross_gain = np.array([[0.0, 2.0], [0.0, 4.0]])
    shares = np.array([[[0.5], [0.5]], [[1.0], [0.0]]])

    def received(weight):
        return InterferenceMoments.from_frequency_shared(
            cross_gain, np.ones((2, 2)), shares, weight=np.array(weight), noise_w=1.0
        )

    assert received([1.0, 0.0]).log_variance == pytest.approx(0.0, abs=1e-12)
    assert received([1.0, 0.0]).mean_w[:, 0] == pytest.approx([1.0, 4.0])
    both = received([0.5, 0.5])
    assert both.mean_w[1, 0] == pytest.approx(3.5)
    assert both.geometric_w[1, 0] == pytest.approx(12**0.5)
    assert both.log_variance[1, 0] == pytest.approx((np.log(4 / 3) / 2) ** 2)


def constant(watts):
    log = np.log(watts)
    return InterferenceMoments(
        *(np.array([[value]]) for value in (watts, log, log**2)), np.array([log**2])
    )


def test_what_stays_is_expected_without_variance():
    expectation = ExpectedInterference()
    for now_s in (0.0, 0.05, 0.07, 0.07):
        expected = expectation.update(constant(2.0), now_s=now_s, until_s=now_s + 0.05)
        assert expected.mean_w == pytest.approx(2.0)
        assert expected.geometric_w == pytest.approx(2.0)
        assert expected.log_variance == pytest.approx(0.0, abs=1e-12)


def test_a_step_is_expected_bit_by_bit():
    expectation = ExpectedInterference()
    expectation.update(constant(1.0), now_s=0.0, until_s=1.0)
    expected = expectation.update(constant(3.0), now_s=1.0, until_s=1.0 + MEMORY_S)
    past = np.exp(-1.0)
    assert expected.mean_w == pytest.approx(3.0 - 2.0 * past)
    assert expected.log_mean == pytest.approx((1 - past) * np.log(3))
    assert expected.log_variance == pytest.approx(past * (1 - past) * np.log(3) ** 2)
    assert not expectation.is_settled
    expectation.update(constant(3.0), now_s=1.0 + 4 * MEMORY_S, until_s=2.0)
    assert not expectation.is_settled  # exp(-4) ln 3 = 0.02
    expectation.update(constant(3.0), now_s=1.0 + 5 * MEMORY_S, until_s=2.0)
    assert expectation.is_settled  # 0.007
    expectation.forget()
    assert expectation.is_settled
    expected = expectation.update(constant(3.0), now_s=2.0, until_s=np.inf)
    assert expected.mean_w == pytest.approx(3.0)
    assert expected.log_variance == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("deviation_db", [2.0, 4.0, 6.0])
@pytest.mark.parametrize("num_groups", [1, 2, 4, 13])
@pytest.mark.parametrize("sinr_over_beta", [0.2, 0.5, 1.0, 1.5, 2.0])
@pytest.mark.parametrize("correlation", [0.0, 0.3, 1.0])
def test_moments_of_a_block_are_those_of_drawn_effective_sinrs(
    deviation_db, num_groups, sinr_over_beta, correlation
):
    """EESM over lognormal interference: mean within 5 % of a deviation, deviation within 3 %."""
    sigma = deviation_db / DB_PER_NEPER
    rng = np.random.default_rng(3)
    drawn = np.sqrt(1 - correlation) * rng.normal(0.0, sigma, (40_000, num_groups))
    drawn += np.sqrt(correlation) * rng.normal(0.0, sigma, (40_000, 1))
    log_ratio = np.log(
        effective_sinr_linear(sinr_over_beta * np.exp(drawn), beta=1.0) / sinr_over_beta
    )
    variance, gain = block_moments(
        np.array([sinr_over_beta]),
        log_variance=np.full((1, num_groups), sigma**2),
        correlation=np.array([correlation]),
        shares=np.ones((1, num_groups)),
    )
    gain_db, deviation = DB_PER_NEPER * np.log(gain[0]), DB_PER_NEPER * variance[0] ** 0.5
    assert gain_db == pytest.approx(DB_PER_NEPER * log_ratio.mean(), abs=0.05 * deviation_db)
    assert deviation == pytest.approx(DB_PER_NEPER * log_ratio.std(), abs=0.03 * deviation_db)


@pytest.mark.parametrize("sinr_over_beta", [0.5, 1.0, 2.0, 3.0])
def test_small_variances_have_the_closed_form(sinr_over_beta):
    """Gain exp(-(x - 1) (1 - W) s^2 / 2), variance W s^2; at x = 2 the gain of Fenton's sum."""
    shares = np.array([[0.5, 0.3, 0.2, 0.0]])
    concentration, log_variance = 0.38, 0.002
    variance, gain = block_moments(
        np.array([sinr_over_beta]),
        log_variance=np.full((1, 4), log_variance),
        correlation=np.zeros(1),
        shares=shares,
    )
    expected = -(sinr_over_beta - 1) * (1 - concentration) * log_variance / 2
    assert np.log(gain[0]) == pytest.approx(expected, rel=0.01, abs=3e-6)
    assert variance[0] == pytest.approx(concentration * log_variance, rel=0.005)
    of_sum = np.log1p(concentration * np.expm1(log_variance))
    if sinr_over_beta == 2.0:
        assert np.log(gain[0]) == pytest.approx((of_sum - log_variance) / 2, rel=0.01)


def test_a_block_without_shares_lies_on_all_groups():
    log_variance = np.full((1, 4), 0.8)
    none, all_alike, one = (
        block_moments(
            np.ones(1),
            log_variance=log_variance,
            correlation=np.zeros(1),
            shares=np.array([shares]),
        )
        for shares in ([0.0] * 4, [0.25] * 4, [0.0, 1.0, 0.0, 0.0])
    )
    np.testing.assert_allclose(none, all_alike, rtol=1e-12)
    assert one[0][0] == pytest.approx(0.8)
    assert one[1][0] == pytest.approx(1.0)


def test_variability_over_many_groups_costs_less(variability):
    sinr, variance = np.full((1, 1), 10.0), np.full((1, 13), (5.0 / DB_PER_NEPER) ** 2)
    narrow, wide = np.eye(13)[:1][None], np.ones((1, 1, 13))
    lost_db = [
        float(
            10
            * np.log10(
                sinr
                / variability.constant_sinr(
                    sinr, log_variance=variance, correlation=np.zeros(1), shares=shares
                )
            ).item()
        )
        for shares in (narrow, wide)
    ]
    assert 2.0 < lost_db[0] < 8.0
    assert -0.5 < lost_db[1] < 0.5 * lost_db[0]
