"""The next deadline first, then the first request, then all alike."""

from dataclasses import replace

import numpy as np
import pytest

from netsim.mac.schedulers.earliest_deadline import EarliestDeadline
from tests.netsim.mac.schedulers.cells import view_of


@pytest.mark.parametrize(
    ("deadline_at_s", "requested_at_s", "expected"),
    [
        ([5.0, 4.0, 6.0], [0.0, 2.0, 1.0], [0, 1, 0]),
        ([4.0, 4.0, 6.0], [1.0, 2.0, 0.0], [1, 0, 0]),
        ([4.0, 4.0, 4.0], [1.0, 1.0, 2.0], [0.5, 0.5, 0]),
        ([np.inf, np.inf, np.inf], [3.0, 2.0, 4.0], [0, 1, 0]),
        ([np.inf, 9.0, np.inf], [1.0, 2.0, 0.0], [0, 1, 0]),
    ],
)
def test_order(deadline_at_s, requested_at_s, expected):
    view = replace(
        view_of(np.ones((3, 2))),
        deadline_at_s=np.array(deadline_at_s),
        requested_at_s=np.array(requested_at_s),
    )
    shares = EarliestDeadline().shares(view)
    assert shares.tolist() == np.repeat(expected, 2).reshape(3, 2).tolist()
