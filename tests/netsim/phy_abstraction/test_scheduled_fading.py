"""Proportional fair played out, against closed forms."""

import numpy as np
import pytest

from netsim.phy_abstraction.scheduled_fading import (
    num_series_steps,
    series_step_s,
    served_by_all,
    served_by_proportional_fair,
)
from tests.netsim.theory.multiuser_gain import best_user_capacity, mean_best_gain

COUNTS = (1, 2, 4, 8)


def flat(sinr, _):
    return sinr[:, 0]


def mean_of_groups(sinr, share):
    return (sinr * share).sum(axis=1) / share.sum(axis=1)


def play(*, groups=1, average_s=300.0, efficiency=lambda sinr: sinr, sinr_db=(0.0,), seed=1):
    """FadingTraces independent from step to step, one a second."""
    rng = np.random.default_rng(seed)
    steps = num_series_steps(step_s=1.0, average_s=average_s)
    return served_by_proportional_fair(
        rng.exponential(size=(steps, groups, 48)),
        step_s=1.0,
        average_s=average_s,
        efficiency=efficiency,
        flatten=flat if groups == 1 else mean_of_groups,
        num_contenders=COUNTS,
        sinr_db=sinr_db,
    )


def test_serves_the_best_of_k_if_the_average_never_ends_and_the_rate_is_linear():
    """12,000 fades seen: a standard error of 1 % at most."""
    served = play()
    mean = served.weight[0, 0] @ served.fade
    np.testing.assert_allclose(mean, [mean_best_gain(count) for count in COUNTS], rtol=0.03)


@pytest.mark.parametrize("mean_db", [0.0, 10.0])
def test_reaches_the_capacity_of_the_best_of_k(mean_db):
    mean = 10 ** (mean_db / 10)
    served = play(efficiency=lambda sinr: np.log2(1 + sinr), sinr_db=(mean_db,))
    capacity = served.weight[0, 0] @ np.log2(1 + mean * served.fade)
    expected = [best_user_capacity(count, mean) for count in COUNTS]
    np.testing.assert_allclose(capacity, expected, rtol=0.02)


def test_wins_less_the_shorter_the_average():
    """An average over two fades follows them: who was just served waits, however good it is."""
    gain = []
    for average_s in (300.0, 10.0, 2.0):
        served = play(average_s=average_s)
        gain.append(float(served.weight[0, 0, -1] @ served.fade))
    assert gain[0] > 1.05 * gain[1] > 1.1 * gain[2]


def test_who_compares_better_rates_than_it_gets_wins_less():
    """At the limit of power, rates compared are of K times the SINR: they differ less."""
    served = play(efficiency=lambda sinr: np.minimum(np.log2(1 + sinr), 3.0))
    free, limited = served.weight[:, 0] @ served.fade
    assert limited[0] == pytest.approx(free[0])
    assert limited[-1] < 0.9 * free[-1]


def test_one_winner_at_a_time_in_flat_fading_several_where_groups_fade_apart():
    assert play().overlap[0] == pytest.approx(1.0)
    served = play(groups=8)
    held_any = [1 - (1 - 1 / count) ** 8 for count in COUNTS]
    assert served.overlap[0, 0] == pytest.approx(np.array(COUNTS) * held_any, rel=0.03)


def test_a_law_blind_to_fades_serves_all_of_them():
    gains = np.random.default_rng(3).exponential(size=(4000, 1))
    served = served_by_all(gains, flatten=flat)
    mean = served.weight[0, :, 0] @ served.fade
    np.testing.assert_allclose(mean, 1.0, rtol=0.005)


def test_series_are_fine_against_all_that_changes():
    assert series_step_s(doppler_hz=10.0, average_s=0.15, slot_s=5e-4) == pytest.approx(0.0025)
    assert series_step_s(doppler_hz=50.0, average_s=0.15, slot_s=5e-4) == pytest.approx(0.001)
    assert series_step_s(doppler_hz=1e4, average_s=0.15, slot_s=5e-4) == 5e-4
    assert series_step_s(doppler_hz=0.0, average_s=0.15, slot_s=5e-4) == pytest.approx(0.0025)
