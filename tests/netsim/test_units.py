"""Decibels and ratios."""

import numpy as np
import pytest

from netsim.units import db_to_linear, dbm_to_w, floored_db, linear_to_db, w_to_dbm


def test_there_and_back():
    level_db = np.array([-120.0, -3.0103, 0.0, 46.0])
    np.testing.assert_allclose(linear_to_db(db_to_linear(level_db)), level_db, atol=1e-12)
    np.testing.assert_allclose(w_to_dbm(dbm_to_w(level_db)), level_db, atol=1e-12)
    assert dbm_to_w(30.0) == 1.0


def test_nothing_is_minus_infinity_and_less_is_an_error():
    assert linear_to_db(0.0) == -np.inf
    with pytest.raises(ValueError, match=r"^ratio_linear must be >= 0, got minimum -1"):
        linear_to_db(np.array([1.0, -1.0]))


def test_floored_db_is_finite_for_nothing():
    found = floored_db(np.array([0.0, 1.0, 100.0]))
    assert np.isfinite(found).all()
    assert found[0] < -3000
    np.testing.assert_allclose(found[1:], [0.0, 20.0])
