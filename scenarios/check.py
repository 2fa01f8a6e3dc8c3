"""The last look before a result folder is made: data, model, devices and a user's own code load.

What can be looked at without torch comes first. What variants and seeds share is looked at once: a
study of hundreds of variants of one knob loads its texts and its model once.
"""

import dataclasses
import re
from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeVar

from fl.policies.own import OwnPolicyConfig
from fl.policies.trial import try_policy
from fl.problems import ModelNotFoundError
from scenarios.document import Document
from scenarios.error_log import own_traceback
from scenarios.errors import ScenarioError
from scenarios.heavy_imports import heavy_imports
from scenarios.network import is_cellular, try_network_of
from scenarios.passed_trials import PassedTrials
from scenarios.schema import Scenario
from scenarios.shares import facts_of, shards_of
from scenarios.variants import Variant, placed, variants
from scenarios.yaml_text import Path

_COMPLAINT = re.compile(r"([a-z]\w*(?:\.\w+)*): (.+)", re.DOTALL)
"""How what is put together complains: ``key.key: rule``."""
_SECTIONS = (
    "network",
    "world",
    "radio",
    "clients",
    "data",
    "model",
    "training",
    "rewards",
    "server",
)
_PLACES: dict[str, Path] = {"scheduler": ("radio", "scheduler"), "texts": ("data",)}
"""Where the keys stand that some call by a short name."""
_Key = TypeVar("_Key", bound=Hashable)


def check(scenario: Scenario, places: Document | None = None) -> dict[str, Any]:
    """Load everything that the runs of a scenario need; give name, digest and classes of its data.

    Every variant is put together under the first seed (data, model, method, scheduler). Data are
    shared and devices are drawn under every seed, and each of those must hold its largest step. A
    study that has passed before is not put together again (:mod:`scenarios.passed_trials`).

    Parameters
    ----------
    scenario
        From :func:`scenarios.load.load`, or built in Python.
    places
        Where its keys stand, for messages; they name the scenario when ``None``.

    Raises
    ------
    ScenarioError
        With one line for every problem.
    """
    places = places or Document(data={}, source=scenario.name)
    all_variants = variants(scenario)
    _check_each(scenario, all_variants, places, _network_key, _try_network)
    _check_each(scenario, all_variants, places, _policy_key, _try_policy)
    _check_each(scenario, all_variants, places, _shares_key, _try_shares)
    trials = PassedTrials(all_variants)
    if not trials.has_passed():
        # torch is loaded only here: it takes longer than all of the above
        with heavy_imports():
            from scenarios.check_learning import find_learning_faults  # noqa: PLC0415

        _refuse(
            {
                _line(error, variant, scenario, places): error
                for variant, error in find_learning_faults(all_variants)
            }
        )
        trials.note()
    return facts_of(all_variants[0].scenario)


def _check_each(
    scenario: Scenario,
    all_variants: Sequence[Variant],
    places: Document,
    key_of: Callable[[Scenario], _Key],
    attempt: Callable[[Scenario, Sequence[int]], None],
) -> None:
    """Try something once for all variants that are the same to it; report every fault."""
    faults: dict[_Key, ValueError | None] = {}
    lines: dict[str, ValueError] = {}
    for variant in all_variants:
        key = key_of(variant.scenario)
        if key not in faults:
            try:
                attempt(variant.scenario, scenario.seeds)
                faults[key] = None
            except ValueError as error:
                faults[key] = error
        fault = faults[key]
        if fault is not None:
            lines[_line(fault, variant, scenario, places)] = fault
    _refuse(lines)


def _refuse(lines: dict[str, ValueError]) -> None:
    """Raise what was found, by line, if anything was."""
    if lines:
        tracebacks = {line: own_traceback(error) for line, error in lines.items()}
        own = {line: text for line, text in tracebacks.items() if text is not None}
        raise ScenarioError(list(lines), tracebacks=own)


def _network_key(scenario: Scenario) -> Hashable:
    # a channel does not depend on the number of clients
    num_clients = None if is_cellular(scenario) else scenario.clients.num_clients
    return scenario.network, scenario.world, scenario.radio, num_clients


def _try_network(scenario: Scenario, seeds: Sequence[int]) -> None:
    try_network_of(scenario, seed=seeds[0])


def _policy_key(scenario: Scenario) -> Hashable:
    # settings of an own policy are a dict
    return repr(scenario.server.policy), scenario.clients.num_clients, is_cellular(scenario)


def _try_policy(scenario: Scenario, seeds: Sequence[int]) -> None:
    if isinstance(scenario.server.policy, OwnPolicyConfig):
        num_clients = scenario.clients.num_clients
        try_policy(
            scenario.server.policy,
            num_clients=num_clients,
            seed=seeds[0],
            has_signals=is_cellular(scenario),
        )


def _shares_key(scenario: Scenario) -> Hashable:
    return scenario.data, scenario.clients.num_clients


def _try_shares(scenario: Scenario, seeds: Sequence[int]) -> None:
    for seed in seeds:
        shards_of(scenario, seed=seed)


def _line(error: ValueError, variant: Variant, scenario: Scenario, places: Document) -> str:
    """Say in one line, with its place, what is wrong with a variant."""
    index = scenario.methods.index(variant.scenario.methods[0])
    path, message = _locate(str(error), variant, index)
    if path == ("model", "name") and isinstance(error, ModelNotFoundError):
        message = f"{message}; folders are looked for from {places.base(path).absolute()}"
    return placed(places, path, message, variant.places)


def _locate(complaint: str, variant: Variant, index: int) -> tuple[Path, str]:
    """Return the key of the scenario that an error is about.

    What names no key of the scenario comes from the method, which is put together last: it speaks
    of its own settings and of the layers that it looks for.
    """
    found = _COMPLAINT.fullmatch(complaint)
    first, *rest = found[1].split(".") if found else [""]
    message = found[2] if found else complaint
    method = variant.scenario.methods[0]
    if first in _PLACES:
        return (*_PLACES[first], *rest), message
    if first in _SECTIONS:
        return (first, *rest), message
    if first == "methods":
        return ("methods", index, *rest), message
    if first in {item.name for item in dataclasses.fields(method)}:
        return ("methods", index, first, *rest), message
    return ("methods", index), complaint
