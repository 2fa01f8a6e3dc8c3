"""Means over the instants at which a transfer was on view, each of them counted once."""

from dataclasses import replace

import numpy as np
import pytest

from netsim.mac.schedulers.mean_rates import MeanRates
from tests.netsim.mac.schedulers.cells import view_of


def mean_of(rates, rate_bps, *, now_s, client_id=(0, 1)):
    values = np.array(rate_bps, dtype=float)
    view = replace(view_of(values[:, None]), now_s=now_s, client_id=np.array(client_id))
    return rates.over_time(view, values)


def test_the_mean_is_over_all_instants_the_present_one_included():
    rates = MeanRates()
    found = [
        mean_of(rates, bps, now_s=0.1 * k).tolist()
        for k, bps in enumerate([(8.0, 2.0), (2.0, 2.0), (2.0, 5.0)])
    ]
    assert found == [[8.0, 2.0], [5.0, 2.0], [4.0, 3.0]]


def test_instants_looked_ahead_to_count_once():
    """An event within a tick asks about the rest of its instants again: no mean changes by it."""
    ahead = [(0.0, (8.0, 2.0)), (0.01, (1.0, 2.0)), (0.02, (4.0, 3.0)), (0.03, (2.0, 9.0))]
    rates = MeanRates()
    for now_s, bps in ahead:
        mean_of(rates, bps, now_s=now_s)
    for start in (1, 2, 2, 3):
        for now_s, bps in ahead[start:]:
            mean_of(rates, bps, now_s=now_s + 1e-17)
    found = mean_of(rates, (3.0, 3.0), now_s=0.04)
    assert found == pytest.approx([18 / 5, 19 / 5])


def test_whoever_was_away_for_an_instant_begins_anew():
    rates = MeanRates()
    mean_of(rates, (8.0, 2.0), now_s=0.0)
    mean_of(rates, (1.0,), now_s=0.1, client_id=(1,))
    assert mean_of(rates, (4.0, 6.0), now_s=0.2).tolist() == [4.0, 3.0]


def test_who_is_left_out_of_a_question_at_one_instant_is_not_forgotten():
    """Where others leave blocks, a scheduler is asked again about some."""
    rates = MeanRates()
    mean_of(rates, (8.0, 2.0), now_s=0.0)
    mean_of(rates, (4.0, 4.0), now_s=0.1)
    mean_of(rates, (4.0,), now_s=0.1, client_id=(1,))
    assert mean_of(rates, (3.0, 0.0), now_s=0.2).tolist() == [5.0, 2.0]
