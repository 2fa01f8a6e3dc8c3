"""What a policy may look at: dear columns are asked for once, and only when they are read."""

import numpy as np

from tests.fl.policies.views import view


def test_links_are_asked_for_once_and_for_the_candidates():
    asked = []
    seen = view(4, snr_db=[1.0, 2.0, 3.0, 4.0], asked=asked)
    assert seen.candidates.num_samples.tolist() == [10] * 4
    assert asked == []
    for _ in range(2):
        np.testing.assert_array_equal(seen.candidates.links.snr_db, [1.0, 2.0, 3.0, 4.0])
    assert asked == [[0, 1, 2, 3]]
