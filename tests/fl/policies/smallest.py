"""Settings of every policy, for tests of what holds for all of them."""

from fl.policies import RandomPolicyConfig
from fl.policies.age_of_update import AgeOfUpdatePolicyConfig
from fl.policies.all import AllPolicyConfig
from fl.policies.best_channel import BestChannelPolicyConfig
from fl.policies.energy_floor import EnergyFloorPolicyConfig
from fl.policies.equal_finish import EqualFinishPolicyConfig
from fl.policies.fedcs import FedCsPolicyConfig
from fl.policies.knapsack import KnapsackPolicyConfig
from fl.policies.lyapunov import LyapunovPolicyConfig
from fl.policies.oort import OortPolicyConfig
from fl.policies.poisson import PoissonPolicyConfig
from fl.policies.power_of_choice import PowerOfChoicePolicyConfig
from fl.policies.proportional_fair import ProportionalFairPolicyConfig
from fl.policies.round_robin import RoundRobinPolicyConfig
from fl.policies.tifl import TiflPolicyConfig

SMALLEST = {
    "random": RandomPolicyConfig(num_clients=4),
    "poisson": PoissonPolicyConfig(probability=1.0),
    "all": AllPolicyConfig(),
    "round_robin": RoundRobinPolicyConfig(num_clients=4),
    "best_channel": BestChannelPolicyConfig(num_clients=4),
    "proportional_fair": ProportionalFairPolicyConfig(num_clients=4),
    "fedcs": FedCsPolicyConfig(round_s=1e6),
    "equal_finish": EqualFinishPolicyConfig(num_clients=4),
    "oort": OortPolicyConfig(num_clients=4),
    "tifl": TiflPolicyConfig(num_clients=4),
    "power_of_choice": PowerOfChoicePolicyConfig(num_clients=4, num_candidates=4),
    "age_of_update": AgeOfUpdatePolicyConfig(num_clients=4),
    "lyapunov": LyapunovPolicyConfig(num_clients=4, budget_j=1e6),
    "energy_floor": EnergyFloorPolicyConfig(num_clients=4),
    "knapsack": KnapsackPolicyConfig(budget_j=1e9),
}
"""Settings with which 4 clients are selected where there are 4."""
