"""Clients that a study would leave untrained, which personal metrics count as well."""

from fl.policies.poisson import PoissonPolicyConfig
from fl.policies.random import RandomPolicyConfig
from fl.server.config import RoundOptions, ServerConfig

TOLD_FROM = 0.5
"""Expected number of untrained clients from which it is told [our choice]."""


def expected_untrained(num_clients: int, *, cohort: float, num_rounds: int) -> float:
    """Return how many clients are expected never to be drawn: ``N (1 - K / N)^R``.

    Each of ``R`` rounds draws ``K`` of ``N`` clients without replacement (or so many on average, by
    Poisson sampling), independently of the others, so each client is left out of a round with
    probability ``1 - K / N``.

    Examples
    --------
    >>> expected_untrained(20, cohort=5, num_rounds=2)
    11.25
    >>> expected_untrained(20, cohort=20, num_rounds=2)
    0.0
    """
    missed: float = (1.0 - min(cohort, num_clients) / num_clients) ** num_rounds
    return num_clients * missed


def find_warnings(server: ServerConfig, *, num_clients: int) -> list[str]:
    """Say in a line if rounds of clients drawn at random are expected to leave some untrained.

    Other policies have no closed form, and modes without rounds have no cohort. Late, lost and
    absent clients come on top.
    """
    policy = server.policy
    if not isinstance(server, RoundOptions) or not isinstance(
        policy, RandomPolicyConfig | PoissonPolicyConfig
    ):
        return []
    cohort = (
        policy.probability * num_clients
        if isinstance(policy, PoissonPolicyConfig)
        else policy.num_clients
    )
    num_rounds = server.num_rounds
    found = expected_untrained(num_clients, cohort=cohort, num_rounds=num_rounds)
    if found < TOLD_FROM:
        return []
    return [
        f"{num_rounds} rounds of {cohort:g} of {num_clients} clients at random are expected to "
        f"leave {found:.1f} clients untrained, whose models count in personal metrics; more "
        "rounds or clients a round reach them, trained_mean leaves them out"
    ]
