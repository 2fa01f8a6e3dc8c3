"""The three functions of staleness, by hand."""

import pytest

from fl.server.staleness import (
    ConstantDiscount,
    HingeDiscount,
    PolynomialDiscount,
    discount_factor,
)


@pytest.mark.parametrize(
    ("discount", "by_staleness"),
    [
        (ConstantDiscount(), {0: 1, 1: 1, 100: 1}),
        (PolynomialDiscount(exponent=0.5), {0: 1, 3: 0.5, 8: 1 / 3}),
        (PolynomialDiscount(exponent=2.0), {0: 1, 1: 0.25, 9: 0.01}),
        (HingeDiscount(slope=10.0, delay=4), {0: 1, 4: 1, 5: 1 / 11, 14: 1 / 101}),
        (HingeDiscount(slope=0.5, delay=0), {0: 1, 1: 1 / 1.5, 2: 0.5}),
    ],
)
def test_discounts_by_hand(discount, by_staleness):
    found = {tau: discount_factor(discount, tau) for tau in by_staleness}
    assert found == pytest.approx(by_staleness, rel=1e-15)


def test_hinge_never_counts_a_stale_update_more_than_a_fresh_one():
    """Deviation of FLGo, which leaves out the 1 of the denominator: 1 / (0.1 * 1) would be 10."""
    for slope in (0.01, 0.1, 1.0, 10.0):
        for tau in range(20):
            assert discount_factor(HingeDiscount(slope=slope, delay=4), tau) <= 1


def test_defaults_are_those_that_the_documents_tell():
    assert PolynomialDiscount().exponent == 0.5
    assert (HingeDiscount().slope, HingeDiscount().delay) == (10.0, 4)
