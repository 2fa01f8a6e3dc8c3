import pytest

from netsim.access_networks.medium import max_min_fair


@pytest.mark.parametrize(
    ("limits", "total", "shares"),
    [
        ([1.0, 10.0, 10.0], 9.0, [1.0, 4.0, 4.0]),
        ([10.0, 1.0, 3.0], 9.0, [5.0, 1.0, 3.0]),
        ([2.0, 2.0], 9.0, [2.0, 2.0]),
        ([5.0], 3.0, [3.0]),
    ],
)
def test_max_min_fair(limits, total, shares):
    assert max_min_fair(limits, total) == shares
