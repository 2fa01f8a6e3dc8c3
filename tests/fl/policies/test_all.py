"""Selection of everybody."""

from fl.policies.all import AllPolicy, AllPolicyConfig
from tests.fl.policies.views import view


def test_everybody_is_selected():
    assert AllPolicy(AllPolicyConfig()).select(view(5), rng=None) == [0, 1, 2, 3, 4]
