"""The last look before a result folder is made: data, model, devices and a user's own code load."""

from typing import Any

from scenarios.errors import ScenarioError
from scenarios.load import variants
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

    Every variant is put together under the first seed (model, method, device memory, scheduler),
    and the data is shared under every seed.

    Raises
    ------
    ScenarioError
        With one line for every problem.
    """
    problems: list[str] = []
    cells = variants(scenario)
    for cell in cells:
        try:
            corpus = texts_of(cell.scenario).corpus
            for seed in scenario.seeds:
                shards_of(cell.scenario, corpus, streams_of(seed))
            assemble(cell, scenario.seeds[0], recorder=_NoRows())
        except ValueError as error:
            problems.append(f"{scenario.name}: {error}")
    if problems:
        raise ScenarioError(list(dict.fromkeys(problems)))
    return facts_of(cells[0].scenario)
