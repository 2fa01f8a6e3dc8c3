"""Gains in the squares that clients enter next: computed together, and no other ones."""

import numpy as np
import pytest

from netsim.channel.gains_ahead import LINKS_AHEAD, SquaresAhead
from netsim.channel.link_budget import LinkBudget
from netsim.config import WorldConfig
from netsim.config.world import HexagonalLayout, RandomDirectionMobility, SingleCellLayout
from netsim.world.layout import build_layout
from netsim.world.population import Population


class Straight:
    """A population that walks along x at 2 m/s; the client k starts at x = 10 k, y = 5 m."""

    def positions_m(self, client_ids, *, at_s):
        return np.stack([10.0 * client_ids + 2.0 * at_s, np.full(len(client_ids), 5.0)], axis=1)

    def stay_until_s(self, client_ids, *, at_s, lowest_m, highest_m):
        del at_s, lowest_m
        return (highest_m[:, 0] - 10.0 * client_ids) / 2.0


def test_the_squares_that_follow_are_those_of_the_path():
    ahead = SquaresAhead(Straight(), square_m=4.0)
    ids = np.array([0, 3])
    square = ahead.squares(ids, at_s=0.0)
    assert square.tolist() == [[0, 1], [7, 1]]
    assert ahead.centre_m(square).tolist() == [[2.0, 6.0], [30.0, 6.0]]
    leaves_at_s = ahead.leaves_at_s(ids, square, at_s=0.0)
    np.testing.assert_allclose(leaves_at_s, [2.0, 1.0], atol=1e-6)
    client, following = ahead.following(ids, leaves_at_s=leaves_at_s, num_cells=8)
    assert client.tolist() == [0, 0, 3, 3]
    assert following.tolist() == [[1, 1], [2, 1], [8, 1], [9, 1]]


def test_many_links_or_a_client_that_stays_have_none():
    ahead = SquaresAhead(Straight(), square_m=4.0)
    ids, leaves_at_s = np.array([0, 3]), np.array([2.0, 1.0])
    assert not len(ahead.following(ids, leaves_at_s=leaves_at_s, num_cells=LINKS_AHEAD)[0])
    client, square = ahead.following(ids, leaves_at_s=np.array([np.inf, 1.0]), num_cells=16)
    assert client.tolist() == [3]
    assert square.tolist() == [[8, 1]]


def test_a_gain_is_taken_once_and_of_the_last_ones_put():
    ahead = SquaresAhead(Straight(), square_m=4.0)
    square = np.array([[1, 1], [8, 1]])
    ahead.put(np.array([0, 3]), square, np.array([[0.1], [0.3]]))
    assert ahead.take(3, square[1]).tolist() == [0.3]
    assert ahead.take(3, square[1]) is None
    assert ahead.take(3, square[0]) is None
    ahead.put(np.array([3]), square[1:], np.array([[0.4]]))
    assert ahead.take(0, square[0]) is None


@pytest.mark.parametrize(
    ("layout", "num_clients", "calls_at_most"),
    [(SingleCellLayout(), 10, 0.3), (SingleCellLayout(), 1, 0.2), (HexagonalLayout(), 4, 1.0)],
)
def test_gains_are_those_of_the_squares_in_fewer_calls(layout, num_clients, calls_at_most):
    world = WorldConfig(
        environment="uma",
        layout=layout,
        carrier_hz=3.5e9,
        mobility=RandomDirectionMobility(speed_mps=3.0),
    )
    built = build_layout(layout)
    budget = LinkBudget(world, built, Population(world, built, seed=2), seed=2)
    ids = np.arange(num_clients)
    calls = []
    gain_at = budget.gain_at

    def counted(position_m, *, client_ids):
        calls.append(len(client_ids))
        return gain_at(position_m, client_ids=client_ids)

    budget.gain_at = counted
    changes, before = 0, np.zeros((num_clients, len(built.cells)))
    for at_s in np.arange(0.0, 60.0, 0.1).tolist():
        gain = budget.gain(ids, at_s=at_s)
        is_changed = (gain != before).any(axis=1)
        for client in ids[is_changed].tolist():
            position_m = budget._population.positions_m(ids[[client]], at_s=at_s)
            centre_m = (np.floor(position_m / budget.square_m) + 0.5) * budget.square_m
            expected = gain_at(centre_m, client_ids=ids[[client]])[0]
            np.testing.assert_array_equal(gain[client], expected)
        changes, before = changes + is_changed.sum(), gain.copy()
    assert changes > 20 * num_clients
    assert 0 < len(calls) <= calls_at_most * changes
