"""The last look before a result folder is made: data, model, devices and a user's own code load."""

import dataclasses
import re
from collections.abc import Sequence
from typing import Any

from fl.clients.devices import draw_devices
from scenarios.document import Document
from scenarios.errors import ScenarioError
from scenarios.load import Variant, placed, variants
from scenarios.prepare import facts_of, shards_of, streams_of, texts_of
from scenarios.schema import Scenario
from scenarios.single import assemble
from scenarios.yaml_text import Path

_COMPLAINT = re.compile(r"([a-z]\w*(?:\.\w+)*): (.+)", re.DOTALL)
"""How what is put together complains: ``key.key: rule``."""
_SECTIONS = ("world", "radio", "clients", "data", "model", "training", "server")
_PLACES: dict[str, Path] = {"scheduler": ("radio", "scheduler"), "texts": ("data",)}
"""Where the keys stand that some call by a short name."""


class _NoRows:
    """A recorder for a run that is only put together."""

    def round(self, row: object, clients: object) -> None:
        """Keep nothing."""

    def evaluation(self, row: object) -> None:
        """Keep nothing."""


def check(scenario: Scenario, places: Document | None = None) -> dict[str, Any]:
    """Load everything that the runs of a scenario need; give name and digest of its data.

    Every variant is put together under the first seed (model, method, scheduler). Data are shared
    and devices are drawn under every seed, and each of those must hold its largest step.

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
    problems: list[str] = []
    places = places or Document(data={}, source=scenario.name)
    all_variants = variants(scenario)
    for variant in all_variants:
        try:
            _check_variant(variant, scenario.seeds)
        except ValueError as error:
            index = scenario.methods.index(variant.scenario.methods[0])
            path, message = _locate(str(error), variant, index)
            problems.append(placed(places, path, message, variant.knobs))
    if problems:
        raise ScenarioError(list(dict.fromkeys(problems)))
    return facts_of(all_variants[0].scenario)


def _locate(complaint: str, variant: Variant, index: int) -> tuple[Path, str]:
    """Tell the key of the scenario that a complaint is about from what it says of it.

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


def _check_variant(variant: Variant, seeds: Sequence[int]) -> None:
    """Put a variant together once, then give it shards and devices of the other seeds.

    Raises
    ------
    ValueError
        If a seed cannot be run.
    """
    first, *others = seeds
    _, _, federation = assemble(variant, first, recorder=_NoRows())
    clients, corpus = variant.scenario.clients, texts_of(variant.scenario).corpus
    for seed in others:
        streams = streams_of(seed)
        # A federation refuses devices that are too small. The backbone has the same size under
        # every seed, so that of the first one serves for all.
        dataclasses.replace(
            federation,
            shards=shards_of(variant.scenario, corpus, streams),
            devices=draw_devices(clients.devices, num_clients=clients.num_clients, streams=streams),
        )
