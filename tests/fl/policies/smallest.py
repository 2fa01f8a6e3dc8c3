"""Settings of every policy, for tests of what holds for all of them."""

from fl.policies import RandomPolicyConfig
from fl.policies.all import AllPolicyConfig
from fl.policies.best_channel import BestChannelPolicyConfig
from fl.policies.fedcs import FedCsPolicyConfig
from fl.policies.proportional_fair import ProportionalFairPolicyConfig
from fl.policies.round_robin import RoundRobinPolicyConfig

SMALLEST = {
    "random": RandomPolicyConfig(num_clients=4),
    "all": AllPolicyConfig(),
    "round_robin": RoundRobinPolicyConfig(num_clients=4),
    "best_channel": BestChannelPolicyConfig(num_clients=4),
    "proportional_fair": ProportionalFairPolicyConfig(num_clients=4),
    "fedcs": FedCsPolicyConfig(round_s=1e6),
}
"""Settings with which 4 clients are selected where there are 4."""
