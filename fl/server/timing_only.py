"""Which scenarios can do without training: those in which no value changes what happens when."""

from collections.abc import Iterator, Sequence

from fl.methods import MethodConfig
from fl.policies import POLICIES
from fl.problems import Problem
from fl.server.config import ServerConfig


def find_problems(
    server: ServerConfig, *, methods: Sequence[MethodConfig], path: tuple[str, ...] = ("server",)
) -> Iterator[Problem]:
    """Find what needs values of training, which ``training.mode: none`` does without.

    Policies of a user's own are refused when they read a loss; what their methods need shows when
    they are installed.

    Parameters
    ----------
    server
        Settings of the server.
    methods
        Those of the scenario.
    path
        Where the server's section stands.
    """
    beside = "with training.mode none"
    for key, given in (("targets", list(server.targets)), ("metrics", list(server.metrics))):
        if given:
            rule = f"must be empty {beside}: nothing is measured; got {', '.join(given)}"
            yield Problem((*path, key), rule)
    for key, value, usual in (
        ("finetune_steps", server.finetune_steps, 0),
        ("finetune_every", server.finetune_every, None),
        ("min_test_texts", server.min_test_texts, 1),
    ):
        if value != usual:
            rule = f"has no effect {beside}: nothing is measured; got {value}"
            yield Problem((*path, key), rule)
    if server.privacy is not None:
        rule = f"has no effect {beside}: nothing is merged that could be protected"
        yield Problem((*path, "privacy"), f"{rule}; got {server.privacy.kind}")
    policy = server.policy.kind
    if policy in POLICIES and POLICIES[policy].reads_loss:
        yield Problem((*path, "policy", "kind"), f"{policy} reads losses: there are none {beside}")
    elif policy in POLICIES and POLICIES[policy].asks(server.policy):
        rule = f"{policy} asks for accuracies with adapt_rounds: there are none {beside}"
        yield Problem((*path, "policy", "adapt_rounds"), rule)
    for index, method in enumerate(methods):
        if method.decides_by_values:
            rule = f"{method.kind} decides by values what is sent: there are none {beside}"
            yield Problem(("methods", str(index), "kind"), rule)
