"""Schedulers against closed forms (steps 16 and 17 of the ladder)."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import t as student

from netsim.mac.schedulers import SCHEDULERS, CellView
from netsim.mac.schedulers.earliest_deadline import EarliestDeadline
from netsim.mac.schedulers.equal_finish import EqualFinish
from netsim.mac.schedulers.max_ci import MaxCI
from netsim.mac.schedulers.min_energy import MinEnergy
from netsim.mac.schedulers.proportional_fair import ProportionalFair
from netsim.mac.schedulers.round_robin import RoundRobin
from tests.netsim.mac.schedulers.cells import BANDWIDTH_HZ, ShannonCell, drain, random_cell
from tests.netsim.theory.allocation import equal_finish_time, fixed_efficiency_finish_time

E_LOG2_0_DB = {1: 0.8603, 2: 1.1994, 4: 1.5284, 8: 1.8222, 16: 2.0768, 32: 2.2970}
E_LOG2_10_DB = {1: 2.9065, 2: 3.6586, 4: 4.2427, 8: 4.6865, 16: 5.0340, 32: 5.3160}
HARMONIC = {1: 1.0, 2: 1.5, 4: 2.0833, 8: 2.7179, 16: 3.3807, 32: 4.0585}


def slot_view(rate, average):
    num = len(rate)
    return CellView(
        now_s=0.0,
        client_id=np.arange(num),
        remaining_bits=np.full(num, 1e9),
        requested_at_s=np.zeros(num),
        deadline_at_s=np.full(num, np.inf),
        group_rate_bps=rate,
        average_rate_bps=average,
        rate_bps=lambda fraction: fraction * rate.mean(axis=1),
        power_w=lambda fraction: fraction,
    )


def proportional_fair_run(num, mean_snr_linear, *, num_slots=1500, groups=50, seed=1):
    """Full buffers, independent Rayleigh gains in 50 groups, averages over 1000 slots."""
    rng = np.random.default_rng(seed)
    average = np.full(num, 1.0)
    scheduler = ProportionalFair()
    served, gain, time = np.zeros(num), 0.0, np.zeros(num)
    for _ in range(num_slots):
        snr = mean_snr_linear * rng.exponential(size=(num, groups))
        rate = np.log2(1 + snr)
        shares = scheduler.shares(slot_view(rate, average))
        got = (shares * rate).mean(axis=1)
        average = 0.999 * average + 0.001 * got
        served += got
        time += shares.mean(axis=1)
        gain += float((shares * snr).sum() / groups) / mean_snr_linear
    return served.sum() / num_slots, gain / num_slots, time / num_slots


@pytest.mark.parametrize("num", [1, 2, 8, 32])
@pytest.mark.parametrize(("snr_linear", "expected"), [(1.0, E_LOG2_0_DB), (10.0, E_LOG2_10_DB)])
def test_proportional_fair_reaps_multiuser_diversity(ladder, num, snr_linear, expected):
    efficiency, gain, _ = proportional_fair_run(num, snr_linear)
    ladder.near(
        16,
        "proportional fair over Rayleigh, 1 to 32 users: efficiency",
        source="E log2(1 + g max)",
        measured=efficiency,
        expected=expected[num],
        rel=0.02,
        unit="b/s/Hz",
    )
    ladder.near(
        16,
        "the same: multiuser gain",
        source="harmonic number H_K",
        measured=gain,
        expected=HARMONIC[num],
        rel=0.02,
    )


@pytest.mark.parametrize("num", [2, 8, 32])
def test_proportional_fair_gives_equal_time_to_equal_channels(ladder, num):
    """Wins are at most as spread as independent draws: four of their standard errors are < 2 %."""
    num_slots, groups = 3200, 400
    _, _, time = proportional_fair_run(num, 1.0, num_slots=num_slots, groups=groups)
    standard_error = ((num - 1) / (num_slots * groups)) ** 0.5
    assert 4 * standard_error < 0.02
    assert np.abs(num * time - 1).max() < 4 * standard_error
    ladder.near(
        16,
        "time shares among equal channels, over 1 / K",
        source="symmetry",
        measured=num * time,
        expected=1.0,
        rel=0.02,
    )


def test_proportional_fair_gives_equal_time_to_unequal_channels():
    rng = np.random.default_rng(4)
    mean_snr = np.array([1.0, 10.0, 100.0])
    average = np.ones(3)
    time, slots = np.zeros(3), 6000
    for slot in range(slots):
        # Gains that scale the rate alike for everybody: the ideal case of equal time shares.
        rate = np.log2(1 + mean_snr)[:, None] * rng.exponential(size=(3, 20))
        shares = ProportionalFair().shares(slot_view(rate, average))
        average = 0.995 * average + 0.005 * (shares * rate).mean(axis=1)
        if slot >= 2000:
            time += shares.mean(axis=1) / (slots - 2000)
    np.testing.assert_allclose(time, 1 / 3, rtol=0.02)


def test_proportional_fair_without_fading_shares_time_equally():
    view = ShannonCell(size_bits=np.ones(4) * 1e6, snr_full_linear=np.full(4, 5.0)).view()
    np.testing.assert_allclose(ProportionalFair().shares(view), 0.25)


def test_round_robin_and_max_ci_and_deadline_on_an_example():
    view = ShannonCell(
        size_bits=np.full(3, 1e6),
        snr_full_linear=np.array([1.0, 30.0, 3.0]),
        deadline_at_s=np.array([9.0, 9.0, 4.0]),
    ).view()
    np.testing.assert_allclose(RoundRobin().shares(view), 1 / 3)
    np.testing.assert_allclose(MaxCI().shares(view)[:, 0], [0, 1, 0])
    np.testing.assert_allclose(EarliestDeadline().shares(view)[:, 0], [0, 0, 1])


def test_without_deadlines_the_first_come_is_first_served():
    view = ShannonCell(
        size_bits=np.full(3, 1e6),
        snr_full_linear=np.ones(3),
        requested_at_s=np.array([0.2, 0.1, 0.1]),
    ).view()
    np.testing.assert_allclose(EarliestDeadline().shares(view)[:, 0], [0, 0.5, 0.5])


@pytest.mark.parametrize("draw", ["deterministic", "exponential", "hyperexponential"])
def test_round_robin_is_processor_sharing(ladder, draw):
    """M/G/1-PS: mean time in system E[S] / (1 - rho), whatever the distribution of sizes."""
    rng = np.random.default_rng(11)
    num, load = 96_000, 0.5
    size_s = {
        "deterministic": np.ones(num),
        "exponential": rng.exponential(size=num),
        "hyperexponential": rng.exponential(np.where(rng.random(num) < 0.9, 0.7, 3.7)),
    }[draw]
    size_s /= size_s.mean()
    arrival_s = np.cumsum(rng.exponential(1 / load, num))
    sojourn_s = processor_sharing(RoundRobin(), arrival_s, size_s)
    batches = sojourn_s.reshape(24, -1).mean(axis=1)
    half_s = student.ppf(0.999, 23) * batches.std(ddof=1) / 24**0.5
    assert half_s < 0.1
    assert abs(batches.mean() - 1 / (1 - load)) < half_s
    ladder.near(
        16,
        "round robin at half load: mean time over mean size",
        source="M/G/1 processor sharing, 1 / (1 - rho)",
        measured=batches.mean(),
        expected=2.0,
        rel=0.02,
    )


def processor_sharing(scheduler, arrival_s, size_s):
    """Fluid of unit rate divided by the scheduler's shares."""
    left, owner = np.empty(0), np.empty(0, dtype=int)
    sojourn_s, now_s, following = np.zeros(len(size_s)), 0.0, 0
    while following < len(size_s) or len(left):
        speed = np.empty(0)
        if len(left):
            rate = np.ones((len(left), 1))
            speed = scheduler.shares(slot_view(rate, np.ones(len(left))))[:, 0]
        done_s = float((left / speed).min()) if len(left) else np.inf
        next_s = arrival_s[following] - now_s if following < len(size_s) else np.inf
        step_s = min(done_s, next_s)
        now_s += step_s
        left = left - speed * step_s
        if done_s <= next_s:
            ended = left <= 1e-12
            sojourn_s[owner[ended]] = now_s - arrival_s[owner[ended]]
            left, owner = left[~ended], owner[~ended]
        else:
            left, owner = np.append(left, size_s[following]), np.append(owner, following)
            following += 1
    return sojourn_s


class TestEqualFinish:
    def test_equals_the_closed_form_with_power_limit(self):
        """Same bits as step 17 but a common start: the W_-1 closed form is the oracle."""
        n0 = 10 ** ((-169 - 30) / 10)
        signal_hz = 0.2 * 10 ** (-np.array([100.0, 110.0, 120.0]) / 10) / n0
        cell = ShannonCell(
            size_bits=np.full(3, 80e6),
            snr_full_linear=signal_hz / BANDWIDTH_HZ,
            target_snr_linear=np.inf,
        )
        finish_s, bandwidth_hz = equal_finish_time(
            cell.size_bits, signal_hz, np.zeros(3), bandwidth_hz=BANDWIDTH_HZ
        )
        fraction = EqualFinish().shares(cell.view())[:, 0]
        np.testing.assert_allclose(fraction, bandwidth_hz / BANDWIDTH_HZ, rtol=1e-6)
        np.testing.assert_allclose(cell.size_bits / cell.rate_bps(fraction), finish_s, rtol=1e-6)

    def test_equals_the_closed_form_without_power_limit(self):
        efficiency = np.array([4.0, 2.0, 1.0])
        rate = BANDWIDTH_HZ * efficiency[:, None]
        view = slot_view(rate, np.ones(3))
        _, fraction = fixed_efficiency_finish_time(
            view.remaining_bits, efficiency, ready_at_s=0.0, bandwidth_hz=BANDWIDTH_HZ
        )
        np.testing.assert_allclose(EqualFinish().shares(view)[:, 0], fraction, rtol=1e-9)

    @pytest.mark.parametrize("seed", range(20))
    def test_all_end_together_and_never_later_than_with_any_other_rule(self, seed):
        cell = random_cell(np.random.default_rng(seed), 2 + seed % 9)
        finish_s, _ = drain(EqualFinish(), cell)
        np.testing.assert_allclose(finish_s, finish_s.max(), rtol=1e-6)
        fraction = np.full(len(finish_s), 1 / len(finish_s))
        assert finish_s.max() <= (cell.size_bits / cell.rate_bps(fraction)).max() * (1 + 1e-9)

    def test_survives_a_rate_with_steps(self):
        """Rates of whole resource blocks: at least as good as the equal split."""
        size_bits = np.array([1e6, 4e6, 2e6])

        def rate_bps(fraction):
            return 1e5 * np.floor(50 * fraction + 1e-9) * np.array([1.0, 2.0, 3.0])

        view = slot_view(np.ones((3, 4)), np.ones(3))
        view = replace(view, remaining_bits=size_bits, rate_bps=rate_bps)
        fraction = EqualFinish().shares(view)[:, 0]
        finish_s = size_bits / rate_bps(fraction)
        assert finish_s.max() <= (size_bits / rate_bps(np.full(3, 1 / 3))).max()

    def test_rates_that_are_powers_of_the_fraction_take_one_step(self):
        """Their logarithms are straight lines, so the first common time is the exact one."""
        exponent, asked = np.array([0.5, 0.75, 1.0]), []

        def rate_bps(fraction):
            asked.append(fraction)
            return 1e6 * fraction**exponent

        view = replace(slot_view(np.ones((3, 4)), np.ones(3)), rate_bps=rate_bps)
        fraction = EqualFinish().shares(view)[:, 0]
        finish_s = view.remaining_bits / rate_bps(fraction)
        np.testing.assert_allclose(finish_s, finish_s.max(), rtol=1e-10)
        assert fraction.sum() == pytest.approx(1, rel=1e-12)
        # Who has a rate, the equal split, its slope, the solution, and the check above.
        assert len(asked) == 5

    def test_out_of_coverage_gets_nothing(self):
        cell = ShannonCell(size_bits=np.full(3, 1e6), snr_full_linear=np.array([1.0, 0.0, 2.0]))
        fraction = EqualFinish().shares(cell.view())[:, 0]
        assert fraction[1] == 0
        assert fraction.sum() == pytest.approx(1)


@pytest.mark.parametrize("other", [name for name in SCHEDULERS if name != "min_energy"])
def test_min_energy_spends_least(other):
    """Radio energy to empty a cell, waiting included, over random cells with weak edges."""
    ours, theirs = [], []
    for seed in range(12):
        cell = random_cell(np.random.default_rng(seed), 6)
        ours.append(drain(MinEnergy(), cell)[1])
        theirs.append(drain(SCHEDULERS[other](), cell)[1])
    assert np.sum(ours) < np.sum(theirs)
    assert np.mean(np.array(ours) <= np.array(theirs) * 1.02) >= 0.9
