"""What every scheduler must do, whatever its aim; the table of schedulers drives the tests."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.mac.schedulers import SCHEDULERS, check_shares
from tests.netsim.mac.schedulers.cells import NUM_GROUPS, ShannonCell, drain, random_cell

every_scheduler = pytest.mark.parametrize("name", SCHEDULERS)


def test_the_table_is_not_empty():
    assert SCHEDULERS


@every_scheduler
@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), num=st.integers(1, 12))
def test_shares_are_legal_and_use_the_whole_band(name, seed, num):
    view = random_cell(np.random.default_rng(seed), num).view()
    shares = check_shares(SCHEDULERS[name]().shares(view), view, name=name)
    np.testing.assert_allclose(shares.sum(axis=0), 1.0, rtol=1e-9)


@every_scheduler
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), num=st.integers(2, 9))
def test_order_of_transfers_does_not_matter(name, seed, num):
    rng = np.random.default_rng(seed)
    cell, order = random_cell(rng, num), rng.permutation(num)
    ids = np.arange(num)
    shares = SCHEDULERS[name]().shares(cell.view(client_id=ids))
    permuted = SCHEDULERS[name]().shares(cell.of(order).view(client_id=ids[order]))
    np.testing.assert_allclose(permuted, shares[order], atol=1e-7)


@every_scheduler
def test_a_lone_transfer_gets_everything(name):
    view = random_cell(np.random.default_rng(5), 1).view()
    np.testing.assert_allclose(SCHEDULERS[name]().shares(view), np.ones((1, NUM_GROUPS)))


@every_scheduler
def test_transfers_out_of_coverage_do_not_break_it(name):
    cell = ShannonCell(size_bits=np.array([1e6, 1e6]), snr_full_linear=np.array([0.0, 0.0]))
    cell = ShannonCell(**{**cell.__dict__, "target_snr_linear": 0.0, "snr_full_linear": np.ones(2)})
    view = cell.view()
    assert not view.rate_bps(np.ones(2)).any()
    check_shares(SCHEDULERS[name]().shares(view), view, name=name)


@every_scheduler
def test_everything_is_delivered_in_the_end(name):
    finish_s, _ = drain(SCHEDULERS[name](), random_cell(np.random.default_rng(2), 8))
    assert np.all(np.isfinite(finish_s) & (finish_s > 0))


@pytest.mark.parametrize(
    ("shares", "match"),
    [
        (np.ones((2, NUM_GROUPS - 1)), r"shape \(2, 6\) \(transfer, group\), got \(2, 5\)"),
        (np.full((2, NUM_GROUPS), np.nan), r"in \[0, 1\]"),
        (np.full((2, NUM_GROUPS), -0.1), r"in \[0, 1\]"),
        (np.full((2, NUM_GROUPS), 0.6), r"sum to <= 1, got 1\.2 in group 0"),
    ],
)
def test_illegal_shares_are_named(shares, match):
    view = random_cell(np.random.default_rng(1), 2).view()
    with pytest.raises(ValueError, match=match):
        check_shares(shares, view, name="mine")


def test_rounding_of_a_sum_is_allowed_and_no_more():
    view = random_cell(np.random.default_rng(1), 2).view()
    shares = np.full((2, NUM_GROUPS), 0.5)
    shares[1, 3] += 0.9e-9
    assert check_shares(shares, view, name="mine") is shares
    shares[1, 3] += 0.3e-9
    with pytest.raises(ValueError, match=r"sum to <= 1, got 1\.0000000012.* in group 3"):
        check_shares(shares, view, name="mine")
    shares[:, 3] = [1.0 + 2e-9, 0.0]
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        check_shares(shares, view, name="mine")
    shares[:, 3] = [1e-300, -1e-300]
    with pytest.raises(ValueError, match=r"in \[0, 1\]"):
        check_shares(shares, view, name="mine")
    assert check_shares(np.zeros((2, NUM_GROUPS)), view, name="mine").sum() == 0


@every_scheduler
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_who_says_so_reads_no_average_nor_rates(name, seed):
    rng = np.random.default_rng(seed)
    cell, scheduler = random_cell(rng, 6), SCHEDULERS[name]()
    view = cell.view()
    shares = scheduler.shares(view)
    other = replace(view, average_rate_bps=10 ** rng.uniform(4, 7, 6))
    if not getattr(scheduler, "uses_average_rate", getattr(scheduler, "uses_rates", True)):
        np.testing.assert_array_equal(scheduler.shares(other), shares)
    if not getattr(scheduler, "uses_rates", True):
        other = replace(other, group_rate_bps=np.ones_like(view.group_rate_bps))
        np.testing.assert_array_equal(scheduler.shares(other), shares)


def test_what_is_silent_about_averages_reads_them():
    silent = [
        name
        for name, scheduler in SCHEDULERS.items()
        if getattr(scheduler, "uses_average_rate", getattr(scheduler, "uses_rates", True))
    ]
    assert silent == ["proportional_fair"]
