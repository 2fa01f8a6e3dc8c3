"""Ladder step 13: the effective SINR of a block."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netsim.phy.effective_sinr import (
    effective_sinr_linear,
    mean_over_groups,
    mean_over_held,
)
from netsim.units import db_to_linear, linear_to_db

group_sinr = st.lists(st.floats(0, 1e5), min_size=1, max_size=12).map(np.array)


@pytest.mark.parametrize(
    ("beta", "groups_db", "expected_db"), [(4.27, [0, 10], 5.4034), (1.6, [-3, 3], 0.3335)]
)
def test_reference_values(ladder, beta, groups_db, expected_db):
    found = effective_sinr_linear(db_to_linear(np.array(groups_db, dtype=float)), beta=beta)
    ladder.near(
        13,
        "effective SINR of two groups",
        source="EESM by hand",
        measured=linear_to_db(found),
        expected=expected_db,
        tolerance=1e-3,
        unit="dB",
    )


@given(sinr=st.floats(0, 1e6), beta=st.floats(0.5, 200))
def test_equal_groups_are_left_alone(sinr, beta):
    assert effective_sinr_linear(np.full(7, sinr), beta=beta) == pytest.approx(sinr, rel=1e-12)


@given(sinr=group_sinr, beta=st.floats(0.5, 200))
def test_lies_between_the_worst_group_and_the_mean(sinr, beta):
    found = effective_sinr_linear(sinr, beta=beta)
    slack = 1e-9 * (1 + sinr.max())
    assert sinr.min() - slack <= found <= sinr.mean() + slack


@given(sinr=group_sinr, beta=st.floats(0.5, 200))
def test_weights_count_groups(sinr, beta):
    weight = np.arange(1.0, len(sinr) + 1)
    repeated = np.repeat(sinr, np.arange(1, len(sinr) + 1))
    np.testing.assert_allclose(
        effective_sinr_linear(sinr, beta=beta, weight=weight),
        effective_sinr_linear(repeated, beta=beta),
        rtol=1e-9,
        atol=1e-12,
    )


def test_unused_groups_do_not_count():
    sinr = np.array([[0.0, 5.0, 7.0]])
    found = effective_sinr_linear(sinr, beta=2.0, weight=np.array([0.0, 1.0, 1.0]))
    np.testing.assert_allclose(found, effective_sinr_linear(sinr[:, 1:], beta=2.0), rtol=1e-12)


def test_bad_arguments_are_refused():
    with pytest.raises(ValueError, match="beta: must be > 0"):
        effective_sinr_linear(np.ones(3), beta=0.0)
    with pytest.raises(ValueError, match="weight: must be >= 0 with a sum > 0"):
        effective_sinr_linear(np.ones(3), beta=1.0, weight=np.zeros(3))


@pytest.mark.parametrize("weight", [[2.0, -1.0, 1.0], [0.0, 0.0, 0.0], [1.0, -1.0, 0.0]])
def test_weights_below_zero_or_of_no_sum_are_refused(weight):
    with pytest.raises(ValueError, match="weight: must be >= 0 with a sum > 0"):
        effective_sinr_linear(np.ones(3), beta=1.0, weight=np.array(weight))
    with pytest.raises(ValueError, match=r"beta: must be > 0, got minimum -0\.5"):
        effective_sinr_linear(np.ones((2, 3)), beta=np.array([1.0, -0.5]))


def test_every_link_has_its_own_beta():
    sinr = np.array([[1.0, 10.0], [1.0, 10.0]])
    found = effective_sinr_linear(sinr, beta=np.array([1.0, 20.0]))
    alone = [effective_sinr_linear(sinr[0], beta=beta) for beta in (1.0, 20.0)]
    np.testing.assert_allclose(found, alone, rtol=1e-12)
    assert found[0] < found[1]


def test_every_link_has_its_own_weights():
    sinr = np.array([[1.0, 10.0], [1.0, 10.0], [1.0, 10.0]])
    weight = np.array([[1.0, 1.0], [2.0, 6.0], [0.0, 0.5]])
    found = effective_sinr_linear(sinr, beta=4.0, weight=weight)
    alone = [effective_sinr_linear(sinr[0], beta=4.0, weight=each) for each in weight]
    np.testing.assert_allclose(found, alone, rtol=1e-12)
    assert found[0] < found[1] < found[2] == pytest.approx(10.0)


def test_means_over_groups_and_over_those_held():
    values = np.array([[1.0, 2.0, 6.0], [3.0, 3.0, 9.0]])
    np.testing.assert_allclose(mean_over_groups(values), [3.0, 5.0])
    np.testing.assert_array_equal(mean_over_groups(values[:, 2:]), [6.0, 9.0])
    np.testing.assert_allclose(mean_over_groups(values[:, None]), [[3.0], [5.0]])
    np.testing.assert_allclose(mean_over_groups(values[:1]), [3.0])
    np.testing.assert_allclose(mean_over_groups(values[:, 1:]), [4.0, 6.0])
    shares = np.array([[1.0, 0.0, 3.0], [0.0, 0.0, 0.0]])
    np.testing.assert_allclose(mean_over_held(values, shares), [4.75, 5.0])
    np.testing.assert_allclose(mean_over_held(values, 1e-3 * shares), [4.75, 5.0])
    np.testing.assert_allclose(mean_over_held(values[:, None], shares[:, None]), [[4.75], [5.0]])
    np.testing.assert_allclose(mean_over_held(values[:1], shares[:1]), [4.75])
    np.testing.assert_allclose(mean_over_held(values[:, 1:], shares[:, 1:]), [6.0, 6.0])
    np.testing.assert_array_equal(mean_over_held(values[:, 2:], 0.0 * shares[:, 2:]), [6.0, 9.0])
