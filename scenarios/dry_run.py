"""How long a study will take on this machine, from two rounds of every variant.

The rounds are really run, under the first seed, in a folder that is thrown away, and nothing is
read from the store or put there. What a round takes is counted for all rounds, what an evaluation
takes for all evaluations, and the start once. Rounds differ, and the first of a run work out what
later ones reuse, so it is an estimate; a run that stops at its targets ends before.
"""

import dataclasses
import resource
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fl.server.config import ServerConfig
from scenarios.check import check
from scenarios.document import Document
from scenarios.errors import RunFailedError
from scenarios.executors import ExecutorSettings, check_host
from scenarios.heavy_imports import heavy_imports
from scenarios.host_time import PARTS, SIMULATION
from scenarios.progress import Reporter, RunProgress, RunStart, Silent
from scenarios.schema import Scenario
from scenarios.task import RunTask
from scenarios.variants import Variant, variants
from scenarios.workers import Message, run_tasks

PILOT_ROUNDS = 2
"""Rounds of every variant that are run [our choice]."""
_KIB = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantEstimate:
    """What one run of a variant takes."""

    variant: str
    num_rounds: int
    """Of a run, at most."""
    host_s: Mapping[str, float]
    """Host seconds of a run by part: those of :data:`scenarios.host_time.PARTS`, and the
    simulation."""

    @property
    def total_s(self) -> float:
        """Host seconds of a run."""
        return sum(self.host_s.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyEstimate:
    """What a study takes."""

    variants: Sequence[VariantEstimate]
    num_seeds: int
    jobs: int
    """Runs at a time."""
    memory_bytes: int
    """Most resident memory of a process that was needed."""

    @property
    def total_s(self) -> float:
        """Host seconds of all runs, one after the other."""
        return self.num_seeds * sum(each.total_s for each in self.variants)

    @property
    def wall_s(self) -> float:
        """Host seconds until the last run ends, if ``jobs`` at a time are no slower than one.

        Not less than the longest run takes.
        """
        longest_s = max(each.total_s for each in self.variants)
        at_a_time = min(self.jobs, self.num_seeds * len(self.variants))
        return max(self.total_s / at_a_time, longest_s)

    def as_data(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "variants": [
                {**dataclasses.asdict(each), "host_total_s": each.total_s} for each in self.variants
            ],
            "num_seeds": self.num_seeds,
            "jobs": self.jobs,
            "host_total_s": self.total_s,
            "wall_s": self.wall_s,
            "memory_bytes": self.memory_bytes,
        }

    def lines(self) -> list[str]:
        """Return it in words, the longest variant first."""
        found = []
        for each in sorted(self.variants, key=lambda one: -one.total_s):
            parts = sorted(each.host_s.items(), key=lambda part: -part[1])
            told = ", ".join(f"{name} {_in_words(part_s)}" for name, part_s in parts if part_s >= 1)
            rounds = f"{each.num_rounds} rounds"
            found.append(
                f"{each.variant}: about {_in_words(each.total_s)} a run of {rounds}"
                f"{': ' if told else ''}{told}"
            )
        num_runs = self.num_seeds * len(self.variants)
        found.append(
            f"{num_runs} runs: about {_in_words(self.total_s)} one after the other, "
            f"{_in_words(self.wall_s)} with --jobs {self.jobs}; "
            f"{self.memory_bytes / 1e9:.1f} GB a process"
        )
        return found


def estimate(
    scenario: Scenario,
    *,
    executor: ExecutorSettings,
    reporter: Reporter | None = None,
    places: Document | None = None,
) -> StudyEstimate:
    """Run two rounds of every variant and estimate what the study takes.

    Parameters
    ----------
    scenario
        The study.
    executor
        Who would run it.
    reporter
        Told of every round that is run; nothing is shown when it is None.
    places
        Where the keys of the scenario stand, for messages.

    Raises
    ------
    scenarios.errors.ScenarioError
        If it cannot be run.
    scenarios.errors.RunFailedError
        If one of the rounds failed.
    """
    with heavy_imports():
        from scenarios.single import run_single  # noqa: PLC0415
    reporter, all_variants = reporter or Silent(), variants(scenario)
    host = executor.host()
    check_host(host, [each.scenario for each in all_variants])
    check(scenario, places)
    entries: dict[int, Mapping[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="airtune-") as folder, executor.pool() as pool:
        tasks = [
            RunTask(
                variant=_shortened(variant),
                seed=scenario.seeds[0],
                folder=Path(folder) / str(number),
                cohort=executor.max_cohort,
                host=host,
            )
            for number, variant in enumerate(all_variants)
        ]

        def hear(message: Message) -> None:
            if message.kind == "failure":
                msg = f"{all_variants[message.index].name}: failed: {message.summary}"
                raise RunFailedError(msg)
            if isinstance(message.content, RunStart):
                reporter.begin(message.content)
            elif isinstance(message.content, RunProgress):
                reporter.advance(message.content)
            else:
                entries[message.index] = message.content
                label, total_s = all_variants[message.index].label, message.content["host_total_s"]
                reporter.finish(label, scenario.seeds[0], "done", total_s)

        run_tasks(run_single, tasks, num_workers=1, on_message=hear, pool=pool)
    usages = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    return StudyEstimate(
        variants=[
            scaled(variant.label, variant.scenario.server, entries[number])
            for number, variant in enumerate(all_variants)
        ],
        num_seeds=len(scenario.seeds),
        jobs=executor.jobs,
        memory_bytes=_KIB * max(resource.getrusage(who).ru_maxrss for who in usages),
    )


def scaled(label: str, server: ServerConfig, entry: Mapping[str, Any]) -> VariantEstimate:
    """Return what a whole run takes, from the entry of the manifest of a run of two rounds.

    Parameters
    ----------
    label
        Of the variant.
    server
        Of the whole run.
    entry
        Of the short one.
    """
    num_short = min(PILOT_ROUNDS, server.num_rounds)
    times = server.num_rounds / num_short
    every = server.evaluate_every
    evaluations = num_evaluations(server.num_rounds, every) / num_evaluations(num_short, every)
    factors = {"host_start_s": 1.0, "host_eval_s": evaluations}
    parts = {name: factors.get(key, times) * float(entry[key]) for key, name in PARTS.items()}
    known_s = sum(float(entry[key]) for key in PARTS)
    simulation_s = times * max(float(entry["host_total_s"]) - known_s, 0.0)
    return VariantEstimate(
        variant=label,
        num_rounds=server.num_rounds,
        host_s={**parts, SIMULATION: simulation_s},
    )


def num_evaluations(num_rounds: int, every: int) -> int:
    """Return how often a run is evaluated: at the start, every so many rounds, and at the end.

    Examples
    --------
    >>> num_evaluations(10, 4), num_evaluations(10, 5), num_evaluations(2, 7)
    (4, 3, 2)
    """
    return 1 + num_rounds // every + bool(num_rounds % every)


def _shortened(variant: Variant) -> Variant:
    server = variant.scenario.server
    num_rounds = min(PILOT_ROUNDS, server.num_rounds)
    short = dataclasses.replace(server, num_rounds=num_rounds)
    return dataclasses.replace(
        variant, scenario=dataclasses.replace(variant.scenario, server=short)
    )


def _in_words(host_s: float) -> str:
    """Return seconds as a person says them.

    Examples
    --------
    >>> [_in_words(host_s) for host_s in (0.4, 59, 61, 3600, 9000)]
    ['0 s', '59 s', '1 min 1 s', '1 h', '2 h 30 min']
    """
    seconds = round(host_s)
    parts: Iterable[tuple[int, str]]
    if seconds < 3600:
        parts = ((seconds // 60, "min"), (seconds % 60, "s"))
    else:
        parts = ((seconds // 3600, "h"), (seconds % 3600 // 60, "min"))
    told = [f"{count} {unit}" for count, unit in parts if count]
    return " ".join(told) or "0 s"
