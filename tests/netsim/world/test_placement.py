import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netsim.config.world import HexagonalLayout, SingleCellLayout
from netsim.world.layout import build_layout
from netsim.world.placement import BLOCK_SIZE, Placement

LAYOUT = build_layout(HexagonalLayout(num_sites=7, isd_m=200.0))


def make(seed=1, min_distance_m=10.0):
    return Placement(LAYOUT, seed=seed, min_distance_m=min_distance_m)


@settings(max_examples=30, deadline=None)
@given(client_ids=st.lists(st.integers(0, 5 * BLOCK_SIZE), min_size=1, max_size=30))
def test_many_at_once_are_the_same_as_one_by_one(client_ids):
    together_m = make().positions_m(np.array(client_ids))
    placement = make()
    for client_id, position_m in zip(client_ids, together_m, strict=True):
        np.testing.assert_array_equal(placement.position_m(client_id), position_m)


def test_clients_keep_their_distance_and_stay_inside():
    position_m = make(min_distance_m=30.0).positions_m(np.arange(5000))
    assert LAYOUT.distance_m(position_m).min() >= 30.0
    assert LAYOUT.area.contains(position_m).all()


def test_the_distance_rule_moves_only_those_who_break_it():
    with_rule_m = make(min_distance_m=30.0).positions_m(np.arange(3000))
    without_m = make(min_distance_m=0.0).positions_m(np.arange(3000))
    near = LAYOUT.distance_m(without_m).min(axis=1) < 30.0
    np.testing.assert_array_equal(with_rule_m[~near], without_m[~near])
    assert near.any()


def test_seeds_differ():
    assert not np.allclose(make(seed=1).position_m(3), make(seed=2).position_m(3))


def test_an_impossible_distance_is_named():
    layout = build_layout(SingleCellLayout(radius_m=20.0))
    with pytest.raises(ValueError, match="min_distance_m: no place"):
        Placement(layout, seed=1, min_distance_m=30.0).position_m(0)


def test_no_clients_give_no_positions():
    assert make().positions_m(np.array([], dtype=int)).shape == (0, 2)


def test_a_client_costs_one_block_whatever_its_id():
    started = time.perf_counter()
    make().position_m(999_999)
    assert time.perf_counter() - started < 0.5
