"""Rules between the settings of the server and the rest of a scenario."""

from collections.abc import Iterator, Sequence

from fl import codecs, policies
from fl.methods import MethodConfig
from fl.methods.options import FedAvg
from fl.metrics import METRICS, Task
from fl.privacy.config import ClientPrivacy
from fl.problems import Problem
from fl.server.config import (
    AsynchronousOptions,
    DeadlineServer,
    FedAsyncServer,
    FedBuffServer,
    GenerationConfig,
    HierarchicalServer,
    RoundOptions,
    SemiAsyncServer,
    ServerConfig,
    measured,
    over_selected,
)
from fl.server.staleness import ConstantDiscount


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
    adapt_rounds = getattr(config.policy, "adapt_rounds", None)
    if task != "classification" and adapt_rounds is not None:
        rule = f"needs accuracies, which data.task {task} has none of; got {adapt_rounds}"
        problems.append(Problem((*path, "policy", "adapt_rounds"), rule))
    if config.policy.kind == "poisson" and config.mode not in ("sync", "deadline"):
        rule = f"poisson draws clients round by round, for mode sync or deadline; got {config.mode}"
        problems.append(Problem((*path, "policy", "kind"), rule))
    problems += _find_mode_problems(config, num_clients=num_clients, methods=methods, path=path)
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
    if config.finetune_steps and not any(each.has_global_model for each in methods):
        kinds = ", ".join(method.kind for method in methods)
        rule = f"has no effect: no global model in {kinds}; got {config.finetune_steps}"
        problems.append(Problem((*path, "finetune_steps"), rule))
    problems += _find_finetune_problems(config, path=path)
    if config.downlink == "broadcast" and not any(each.sends for each in methods):
        kinds = ", ".join(method.kind for method in methods)
        rule = f"has no effect: nothing is sent by {kinds}; got broadcast"
        problems.append(Problem((*path, "downlink"), rule))
    if config.privacy is not None:
        problems += _find_privacy_problems(
            config, config.privacy, num_clients=num_clients, methods=methods, path=path
        )
    if config.secure_aggregation is not None:
        problems += _find_masking_problems(config, methods=methods, path=path)
    problems += _find_coding_problems(config, methods=methods, path=path)
    if config.evaluate_every > config.num_rounds:
        rule = f"must be <= num_rounds = {config.num_rounds}, got {config.evaluate_every}"
        problems.append(Problem((*path, "evaluate_every"), rule))
    return problems


def _find_privacy_problems(
    config: ServerConfig,
    privacy: ClientPrivacy,
    *,
    num_clients: int,
    methods: Sequence[MethodConfig],
    path: tuple[str, ...],
) -> Iterator[Problem]:
    """Find modes and methods whose updates are no mean of clipped changes of one version."""
    place = (*path, "privacy")
    if config.merges_stale or config.has_edges:
        rule = "needs a mean of changes that all began from one version: mode sync, or deadline"
        yield Problem(place, f"{rule} with late: dropped; got {config.mode}{_late(config)}")
    if privacy.delta >= 1 / num_clients:
        rule = f"must be < 1 / clients.num_clients = {1 / num_clients:g}, got {privacy.delta:g}"
        yield Problem((*place, "delta"), rule)
    if not any(each.sends for each in methods):
        kinds = ", ".join(method.kind for method in methods)
        yield Problem(place, f"has no effect: nothing is sent by {kinds}; got {privacy.kind}")
    for method in methods:
        if method.normalises_steps:
            rule = f"does not go with normalise_steps of {method.kind}, which rescales changes"
            yield Problem(place, f"{rule} after they are clipped; got {privacy.kind}")
        elif not method.merges_changes:
            rule = (
                f"{method.kind} merges what it is sent by a rule of its own, not as a mean of "
                f"changes that can be clipped; got {privacy.kind}, needs none"
            )
            yield Problem(place, rule)


def _find_masking_problems(
    config: ServerConfig, *, methods: Sequence[MethodConfig], path: tuple[str, ...]
) -> Iterator[Problem]:
    """Find what does not go with a server that learns sums alone."""
    place = (*path, "secure_aggregation")
    if config.mode != "sync":
        rule = "needs clients that begin together and are summed together, mode sync"
        yield Problem(place, f"{rule}; got {config.mode}")
    if config.uplink_codecs:
        found = ", ".join(each.kind for each in config.uplink_codecs)
        rule = f"does not go with uplink_codecs: masked numbers are of its own bits; got {found}"
        yield Problem(place, rule)
    if not any(each.sends for each in methods):
        kinds = ", ".join(method.kind for method in methods)
        yield Problem(place, f"has no effect: nothing is sent by {kinds}")
    for method in methods:
        if not method.merges_changes:
            rule = (
                f"the server must read the updates of {method.kind} one by one, it merges them by "
                "a rule of its own; needs none"
            )
            yield Problem(place, rule)
        elif method.normalises_steps:
            rule = f"does not go with normalise_steps of {method.kind}, which needs each change"
            yield Problem(place, rule)
        elif method.shows_activations:
            rule = f"hides nothing with {method.kind}, whose server is sent activations of texts"
            yield Problem(place, f"{rule}; needs none")


def _find_coding_problems(
    config: ServerConfig, *, methods: Sequence[MethodConfig], path: tuple[str, ...]
) -> Iterator[Problem]:
    """Find codecs that do not go together, or with what is sent."""
    up, down = config.uplink_codecs, config.downlink_codecs
    yield from codecs.find_problems(up, is_of_changes=True, path=(*path, "uplink_codecs"))
    yield from codecs.find_problems(down, is_of_changes=False, path=(*path, "downlink_codecs"))
    sending = [each for each in methods if each.sends]
    if not sending:
        kinds = ", ".join(method.kind for method in methods)
        rule = f"has no effect: nothing is sent by {kinds}"
        for key, found in (("uplink_codecs", up), ("downlink_codecs", down)):
            if found:
                yield Problem((*path, key), f"{rule}; got {', '.join(each.kind for each in found)}")
        if config.tensor_names == "agreed":
            yield Problem((*path, "tensor_names"), f"{rule}; got agreed")
    for method in sending:
        if codecs.selects(up) and not method.merges_changes:
            rule = (
                f"{method.kind} merges what it is sent by a rule of its own, not as changes of "
                "which some can be left out; got top_k, int8 would do"
            )
            yield Problem((*path, "uplink_codecs"), rule)
        if down and method.adds_up_downloads:
            rule = (
                f"clients of {method.kind} add up what they are sent, and with it what codecs "
                f"change; got {', '.join(each.kind for each in down)}, needs none"
            )
            yield Problem((*path, "downlink_codecs"), rule)


def _find_mode_problems(
    config: ServerConfig,
    *,
    num_clients: int,
    methods: Sequence[MethodConfig],
    path: tuple[str, ...],
) -> Iterator[Problem]:
    """Find settings of one mode that do not go with policy, clients or methods."""
    if isinstance(config, RoundOptions) and config.over_selection > 1:
        yield from _find_over_selection_problems(config, num_clients=num_clients, path=path)
    if (
        isinstance(config, DeadlineServer)
        and config.late == "dropped"
        and config.discount != ConstantDiscount()
    ):
        rule = f"has no effect with late: dropped, got {config.discount.kind}"
        yield Problem((*path, "discount"), rule)
    if isinstance(config, AsynchronousOptions):
        yield from _find_asynchronous_problems(config, num_clients=num_clients, path=path)
    if isinstance(config, HierarchicalServer):
        yield from _find_edge_problems(config, methods=methods, path=path)
    if isinstance(config, FedAsyncServer | HierarchicalServer):
        yield from _find_unequal_steps(config, methods=methods, path=path)
    if config.merges_stale:
        yield from _find_stale_problems(config, methods=methods, path=path)


def _find_over_selection_problems(
    config: RoundOptions, *, num_clients: int, path: tuple[str, ...]
) -> Iterator[Problem]:
    place = (*path, "over_selection")
    count, num_started = over_selected(config)
    if count is None or num_started is None:
        rule = f"needs a policy with num_clients, {config.policy.kind} has none"
        yield Problem(place, f"{rule}; got {config.over_selection:g}")
    elif num_started == count:
        rule = f"has no effect: {config.over_selection:g} x {count} clients are {count}"
        yield Problem(place, rule)
    elif count <= num_clients < num_started:
        rule = f"needs {num_started} clients, clients.num_clients is {num_clients}"
        yield Problem(place, f"{rule}; got {config.over_selection:g}")


def _find_asynchronous_problems(
    config: AsynchronousOptions, *, num_clients: int, path: tuple[str, ...]
) -> Iterator[Problem]:
    """Find an aggregation that never comes, or that asks for more clients than are at work."""
    if isinstance(config, SemiAsyncServer) and config.num_updates is config.time_s is None:
        rule = "missing; needs num_updates, time_s or both, got neither"
        yield Problem((*path, "num_updates"), rule)
    at_work = getattr(config.policy, "num_clients", num_clients)
    if config.num_merged is not None and config.num_merged > at_work:
        key = "buffer_size" if isinstance(config, FedBuffServer) else "num_updates"
        rule = f"must be <= the clients at work at a time, {at_work}; got {config.num_merged}"
        yield Problem((*path, key), rule)


def _find_stale_problems(
    config: ServerConfig, *, methods: Sequence[MethodConfig], path: tuple[str, ...]
) -> Iterator[Problem]:
    """Find methods whose updates cannot be merged into later tensors than they began from."""
    for method in methods:
        if method.takes_turns:
            rule = (
                f"cannot merge stale updates of {method.kind}: its versions train different "
                "tensors, and rest on others that have moved since"
            )
        elif not method.merges_changes:
            rule = (
                f"cannot merge stale updates of {method.kind}: it merges them by a rule of its "
                "own, not as changes that can be moved to later tensors"
            )
        else:
            continue
        yield Problem((*path, "mode"), f"{rule}; got {config.mode}{_late(config)}")


def _find_unequal_steps(
    config: FedAsyncServer | HierarchicalServer,
    *,
    methods: Sequence[MethodConfig],
    path: tuple[str, ...],
) -> Iterator[Problem]:
    """Find methods that normalise steps where the server averages no clients of unequal steps."""
    reason = (
        "one update is merged at a time"
        if isinstance(config, FedAsyncServer)
        else "sites average their clients, and make no steps"
    )
    for method in methods:
        if method.normalises_steps:
            rule = f"does not go with normalise_steps of {method.kind}: {reason}"
            yield Problem((*path, "mode"), f"{rule}; got {config.mode}")


def _find_edge_problems(
    config: HierarchicalServer, *, methods: Sequence[MethodConfig], path: tuple[str, ...]
) -> Iterator[Problem]:
    """Find methods for which a mean of means is not the mean."""
    is_wanted = config.averages == "products"
    # flexlora averages products whatever is asked for
    choosing = [each for each in methods if each.can_average_products and each.merges_changes]
    for method in methods:
        rule = _why_not_at_two_levels(method, is_wanted=is_wanted)
        if rule is not None:
            message = f"cannot average at two levels for {method.kind}: {rule}; got {config.mode}"
            yield Problem((*path, "mode"), message)
    if is_wanted and not choosing:
        kinds = ", ".join(method.kind for method in methods)
        rule = f"has no effect: no products can be averaged in place of factors of {kinds}"
        yield Problem((*path, "averages"), f"{rule}; got products")
    for method in choosing if is_wanted else ():
        optimiser = getattr(method, "server_optimiser", FedAvg())
        if optimiser != FedAvg():
            rule = f"needs server_optimiser fedavg, {method.kind} has {optimiser.kind}"
            yield Problem((*path, "averages"), f"{rule}; got products")


def _why_not_at_two_levels(method: MethodConfig, *, is_wanted: bool) -> str | None:
    """Return why a mean of means is not the mean; ``is_wanted``: products are averaged."""
    if method.takes_turns:
        return "its turns go by aggregations of the server, which sites do not wait for"
    if method.can_average_products and (is_wanted or not method.merges_changes):
        return None
    if not method.merges_changes:
        return "it merges updates by a rule of its own, not as a mean that sites can take"
    if not method.averages_factors:
        return None
    bias = "it averages the factors of products one by one, whose bias two levels would compound"
    if not method.can_average_products:
        return bias
    return f"{bias}; averages: products averages their products, ffa_lora freezes one factor"


def _late(config: ServerConfig) -> str:
    return ", late: carried" if isinstance(config, DeadlineServer) else ""


def _find_finetune_problems(config: ServerConfig, *, path: tuple[str, ...]) -> list[Problem]:
    every = config.finetune_every
    if every is None:
        return []
    here = (*path, "finetune_every")
    if not config.finetune_steps:
        return [Problem(here, f"has no effect without server.finetune_steps, got {every}")]
    if every % config.evaluate_every:
        rule = f"must be a multiple of evaluate_every = {config.evaluate_every}, got {every}"
        return [Problem(here, rule)]
    return []


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
    found = [METRICS[name] for name in measured(config, task) if name in METRICS]
    if config.generation != GenerationConfig() and not any(each.is_written for each in found):
        written = ", ".join(name for name, metric in METRICS.items() if metric.is_written)
        rule = f"has no effect: none of {written} is among server.metrics or targets"
        yield Problem((*path, "generation"), rule)
