"""Settings of the server: when it aggregates, whom it asks, when it stops."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from annotated_types import Gt

from fl import policies
from fl.methods import MethodConfig
from fl.metrics import DEFAULT_METRICS, METRICS, Task
from fl.policies import PolicyConfig
from fl.problems import Problem


@dataclass(frozen=True, kw_only=True)
class GenerationConfig:
    """How much a model writes when what it writes is measured."""

    max_texts: Annotated[int, Gt(0)] = 64
    """Prompts of the common test set that are answered, the first ones in the order of a hash; of a
    client's own, as many at most."""
    max_tokens: Annotated[int, Gt(0)] = 32
    """Tokens of an answer at most."""


@dataclass(frozen=True, kw_only=True)
class SyncServer:
    """Rounds: select, send, wait for every selected client, aggregate."""

    num_rounds: Annotated[int, Gt(0)]
    """Rounds at most."""
    policy: PolicyConfig
    """Who takes part."""
    targets: dict[str, Annotated[float, Gt(0)]] = field(default_factory=dict)
    """Value of each metric that counts as reached."""
    metrics: tuple[str, ...] = ()
    """What is measured beside the metrics that are targets; when there is neither, accuracy, or
    loss and perplexity of language models."""
    generation: GenerationConfig = field(default_factory=GenerationConfig)
    """How much is written for ``rouge_l``."""
    target_split: Literal["personal", "global"] = "personal"
    """Which evaluation the targets are read from; every method has the personal one."""
    stop_at_targets: bool = False
    """End the run at the first evaluation that reaches all targets, that of the start included."""
    evaluate_every: Annotated[int, Gt(0)] = 1
    """Rounds between evaluations; the start and the last round are always evaluated."""
    round_timeout_s: Annotated[float, Gt(0)] | None = None
    """Simulated seconds after which a round takes what has arrived; it waits without end when
    empty."""
    downlink: Literal["unicast", "broadcast"] = "unicast"
    """Whether clients of a round get the model one by one or in one transmission."""
    mode: Literal["sync"] = "sync"


ServerConfig = SyncServer


def measured(config: ServerConfig, task: Task) -> tuple[str, ...]:
    """Name the metrics that a run measures: its targets, those asked for, or the usual ones."""
    asked = tuple(dict.fromkeys([*config.targets, *config.metrics]))
    return asked or DEFAULT_METRICS[task]


def find_problems(
    config: ServerConfig,
    *,
    num_clients: int,
    methods: Sequence[MethodConfig],
    task: Task = "classification",
    path: tuple[str, ...] = ("server",),
) -> list[Problem]:
    """Find broken rules between the settings of the server and the rest of the scenario.

    Parameters
    ----------
    config
        Settings of the server.
    num_clients
        Clients of the scenario.
    methods
        All methods of the study, at least one. A global target needs one with a global model, a
        broadcast one that sends.
    task
        What models learn: it decides what can be measured.
    path
        Where the section stands.
    """
    problems = policies.find_problems(
        config.policy, num_clients=num_clients, path=(*path, "policy")
    )
    problems += _find_metric_problems(config, task=task, path=path)
    if config.stop_at_targets and not config.targets:
        rule = "has no effect without server.targets, got true"
        problems.append(Problem((*path, "stop_at_targets"), rule))
    if config.target_split == "global" and not config.targets:
        rule = "has no effect without server.targets, got global"
        problems.append(Problem((*path, "target_split"), rule))
    if config.target_split == "global" and not any(each.has_global_model for each in methods):
        kinds = ", ".join(method.kind for method in methods)
        rule = f"must be personal: no global model in {kinds}; got global"
        problems.append(Problem((*path, "target_split"), rule))
    if config.downlink == "broadcast" and not any(each.sends for each in methods):
        kinds = ", ".join(method.kind for method in methods)
        rule = f"has no effect: nothing is sent by {kinds}; got broadcast"
        problems.append(Problem((*path, "downlink"), rule))
    if config.evaluate_every > config.num_rounds:
        rule = f"must be <= num_rounds = {config.num_rounds}, got {config.evaluate_every}"
        problems.append(Problem((*path, "evaluate_every"), rule))
    return problems


def _find_metric_problems(
    config: ServerConfig, *, task: Task, path: tuple[str, ...]
) -> Iterator[Problem]:
    known = [name for name, metric in METRICS.items() if metric.task == task]
    places = [("targets", name) for name in config.targets]
    places += [("metrics", str(index)) for index in range(len(config.metrics))]
    for place, name in zip(places, [*config.targets, *config.metrics], strict=True):
        if name not in known:
            rule = f"must be one of {', '.join(known)} ({task}), got {name}"
            yield Problem((*path, *place), rule)
    for name, value in config.targets.items():
        if name in known and METRICS[name].is_fraction and value > 1:
            yield Problem((*path, "targets", name), f"must be <= 1, got {value:g}")
    if config.generation != GenerationConfig() and "rouge_l" not in measured(config, task):
        rule = "has no effect: nothing is written unless rouge_l is among server.metrics or targets"
        yield Problem((*path, "generation"), rule)
