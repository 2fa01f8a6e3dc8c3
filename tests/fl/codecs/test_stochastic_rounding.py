"""Rounding to levels: unbiased, within a step, and never beyond the last level."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fl.codecs.stochastic_rounding import rounded, step_of

FLOATS = st.floats(-1e30, 1e30, allow_subnormal=False).filter(lambda x: x == 0 or abs(x) > 1e-30)
VALUES = arrays(np.float64, st.integers(1, 40), elements=FLOATS)


@given(VALUES, st.sampled_from([7, 127]), st.integers(0, 2**32))
def test_every_number_is_within_a_step(values, num_levels, seed):
    step = step_of(values, num_levels=num_levels)
    level = rounded(values, step=step, num_levels=num_levels, rng=np.random.default_rng(seed))
    assert np.abs(level).max() <= num_levels
    assert (np.abs(level * step - values) <= step * (1 + 1e-9)).all()


@given(VALUES, st.sampled_from([7, 127]))
def test_the_step_is_exact_in_single_precision_and_reaches_the_largest(values, num_levels):
    step = step_of(values, num_levels=num_levels)
    assert step == float(np.float32(step))
    largest = np.abs(values).max()
    assert step * num_levels >= largest
    assert step * num_levels <= largest * (1 + 2e-7)


def test_numbers_on_a_level_stay():
    values = np.array([-7.0, -3.0, 0.0, 1.0, 7.0])
    level = rounded(values, step=1.0, num_levels=7, rng=np.random.default_rng(0))
    assert level.tolist() == values.tolist()


def test_zeros_have_no_step():
    assert step_of(np.zeros(3), num_levels=7) == 0.0
    assert step_of(np.zeros(0), num_levels=7) == 0.0
    level = rounded(np.zeros(3), step=0.0, num_levels=7, rng=np.random.default_rng(0))
    assert not level.any()


@pytest.mark.parametrize("num_levels", [7, 127])
def test_the_mean_is_the_number_itself(num_levels):
    """Each coordinate's mean over draws within 4.5 standard errors: 64 of them, 3e-6 each."""
    rng, num_draws = np.random.default_rng(1), 4000
    values = np.concatenate([rng.normal(size=63), [3.0]])
    step = step_of(values, num_levels=num_levels)
    draws = np.array(
        [
            step * rounded(values, step=step, num_levels=num_levels, rng=rng)
            for _ in range(num_draws)
        ]
    )
    part = values / step - np.floor(values / step)
    error = step * np.sqrt(part * (1 - part) / num_draws)
    assert (np.abs(draws.mean(axis=0) - values) <= 4.5 * error + 1e-12).all()
    # rounding to the nearest would be off by up to half a step, far outside this interval
    nearest = step * np.round(values / step)
    assert (np.abs(nearest - values) > 4.5 * error).mean() > 0.5
