"""What a person sees while runs go on: one bar a run with simulated time, joules and accuracy."""

from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)

from analysis.text_safety import shortened
from scenarios.output import error_console

_MAX_NAME = 60
"""Longest name of a run beside its bar, in characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunProgress:
    """How far one run is."""

    variant: str
    seed: int
    round: int
    num_rounds: int
    simulated_s: float
    energy_j: float
    metric: str | None
    value: float | None


class Reporter(Protocol):
    """Told of every finished round and of every finished run."""

    def advance(self, progress: RunProgress) -> None:
        """Note one more finished round of a run."""

    def finish(self, variant: str, seed: int, status: str, host_s: float) -> None:
        """Note the end of a run, with its status and host time."""


class Silent:
    """Reports nothing: for use from Python and for ``--json``."""

    def advance(self, progress: RunProgress) -> None:
        """Write nothing."""

    def finish(self, variant: str, seed: int, status: str, host_s: float) -> None:
        """Write nothing."""


class Bars:
    """Bars on a terminal, one line a finished run elsewhere; both on standard error."""

    def __init__(self, num_runs: int) -> None:
        self._console = error_console()
        self._progress = Progress(
            TextColumn("{task.description}", style="bold", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[state]}", markup=False),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._tasks: dict[tuple[str, int], TaskID] = {}
        self._last: dict[tuple[str, int], RunProgress] = {}
        self._all = self._progress.add_task("all runs", total=num_runs, state="")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def advance(self, progress: RunProgress) -> None:
        """Move the bar of a run."""
        key = (progress.variant, progress.seed)
        self._last[key] = progress
        if key not in self._tasks:
            name = _name(progress.variant, progress.seed)
            self._tasks[key] = self._progress.add_task(name, total=progress.num_rounds, state="")
        self._progress.update(self._tasks[key], completed=progress.round, state=_state(progress))

    def finish(self, variant: str, seed: int, status: str, host_s: float) -> None:
        """Close the bar of a run; without a terminal, print its line."""
        key = (variant, seed)
        if key in self._tasks:
            task = self._tasks[key]
            self._progress.update(task, total=self._last[key].round)
        self._progress.advance(self._all)
        if not self._console.is_terminal:
            state = _state(self._last[key]) if key in self._last else ""
            self._console.print(
                f"{_name(variant, seed)}: {status} in {host_s:.1f} s of host time; {state}",
                markup=False,
                emoji=False,
                highlight=False,
            )


def _name(variant: str, seed: int) -> str:
    return f"{shortened(variant, _MAX_NAME)} seed {seed}"


def _state(progress: RunProgress) -> str:
    text = f"{progress.simulated_s:8.1f} s simulated {progress.energy_j:9.1f} J"
    if progress.value is not None:
        text += f"  {progress.metric} {progress.value:.3f}"
    return text
