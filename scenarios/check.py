"""The last look before a result folder is made: data, model, devices and a user's own code load."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from fl.devices import draw_devices
from scenarios.errors import ScenarioError
from scenarios.load import Variant, variants
from scenarios.prepare import facts_of, shards_of, streams_of, texts_of
from scenarios.schema import Scenario
from scenarios.single import assemble


class _NoRows:
    """A recorder for a run that is only put together."""

    def round(self, row: object, clients: object) -> None:
        """Keep nothing."""

    def evaluation(self, row: object) -> None:
        """Keep nothing."""


def check(scenario: Scenario) -> dict[str, Any]:
    """Load everything that the runs of a scenario need; give name and digest of its data.

    Every variant is put together under the first seed (model, method, scheduler). Data are shared
    and devices are drawn under every seed, and each of those must hold its largest step.

    Raises
    ------
    ScenarioError
        With one line for every problem.
    """
    problems: list[str] = []
    all_variants = variants(scenario)
    for variant in all_variants:
        try:
            _check_variant(variant, scenario.seeds)
        except ValueError as error:
            problems.append(f"{scenario.name}: {error}")
    if problems:
        raise ScenarioError(list(dict.fromkeys(problems)))
    return facts_of(all_variants[0].scenario)


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
