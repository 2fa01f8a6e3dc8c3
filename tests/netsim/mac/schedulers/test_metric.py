"""Groups to the largest metric, in every cell for itself; ties share."""

import numpy as np

from netsim.mac.schedulers.metric import TIE_RTOL, serve_largest, serve_largest_of


def test_each_cell_has_a_largest_in_each_group():
    metric = np.array([[1.0, 5.0], [3.0, 2.0], [9.0, 9.0], [0.5, 0.2], [0.1, 0.3]])
    shares = serve_largest(metric, np.array([0, 2, 3]))
    assert shares.tolist() == [[0, 1], [1, 0], [1, 1], [1, 0], [0, 1]]


def test_ties_up_to_rounding_share_and_others_do_not():
    for apart, expected in ((0.5 * TIE_RTOL, [0.5, 0.5]), (2 * TIE_RTOL, [1.0, 0.0])):
        assert serve_largest(np.array([[1.0], [1.0 - apart]]))[:, 0].tolist() == expected
    three = serve_largest(np.array([[2.0], [2.0], [1.0], [2.0]]))
    np.testing.assert_allclose(three[:, 0], [1 / 3, 1 / 3, 0.0, 1 / 3])
    assert serve_largest(np.zeros((2, 1))).tolist() == [[0.5], [0.5]]


def test_a_metric_below_zero_is_a_metric():
    """Least average first, as a user may write it: the largest is the one closest to zero."""
    metric = np.array([[-3.0, -2.0], [-1.0, -2.0], [-5.0, -np.inf]])
    assert serve_largest(metric).tolist() == [[0.0, 0.5], [1.0, 0.5], [0.0, 0.0]]


def test_among_the_chosen_of_each_cell_the_largest_is_served():
    metric = np.array([[9.0, 1.0], [3.0, 3.0], [3.0, 2.0], [7.0, 7.0]])
    chosen, start, cell = np.array([False, True, True, False]), np.array([0, 3]), [0, 0, 0, 1]
    shares = serve_largest_of(chosen, metric, start, np.array(cell))
    assert shares.tolist() == [[0.0, 0.0], [0.5, 1.0], [0.5, 0.0], [0.0, 0.0]]
    metric[1] += 1.0
    free = serve_largest_of(chosen, metric, start, np.array(cell))
    assert free.tolist() == [[0.0, 0.0], [1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]
