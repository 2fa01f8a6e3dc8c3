"""What a person sees while runs go on: one bar a run with simulated time, joules and metric."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from analysis.text_safety import shortened
from scenarios.output import error_console

MAX_NAME = 200
"""Longest name of a run beside its bar, in characters."""
BAR_WIDTH = 16
WIDE = 110
"""Columns of a terminal from which on bars are drawn beside the numbers."""
NUMBERS = 66
"""Columns of a line that numbers take; the rest is for the name of the run."""
OTHER_LINES = 3
"""Lines of a terminal that are not for runs: all runs together, the cursor, one to spare."""
KEPT = "done before"
"""Status of a run that an earlier start of the study had done."""

RunKey = tuple[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStart:
    """A run begins."""

    variant: str
    seed: int
    num_rounds: int


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
    """Told of the begin of every run, of every finished round, and of the end of every run."""

    def begin(self, start: RunStart) -> None:
        """Note that a run begins."""

    def advance(self, progress: RunProgress) -> None:
        """Note one more finished round of a run."""

    def finish(self, variant: str, seed: int, status: str, host_s: float) -> None:
        """Note the end of a run, with its status and host time."""


class Silent:
    """Reports nothing: for use from Python and for ``--json``."""

    def begin(self, start: RunStart) -> None:
        """Write nothing."""

    def advance(self, progress: RunProgress) -> None:
        """Write nothing."""

    def finish(self, variant: str, seed: int, status: str, host_s: float) -> None:
        """Write nothing."""


class Several:
    """Tells several reporters, in order."""

    def __init__(self, reporters: Sequence[Reporter]) -> None:
        self._reporters = tuple(reporters)

    def begin(self, start: RunStart) -> None:
        """Tell each."""
        for each in self._reporters:
            each.begin(start)

    def advance(self, progress: RunProgress) -> None:
        """Tell each."""
        for each in self._reporters:
            each.advance(progress)

    def finish(self, variant: str, seed: int, status: str, host_s: float) -> None:
        """Tell each."""
        for each in self._reporters:
            each.finish(variant, seed, status, host_s)


class Bars:
    """On a terminal a bar for each run that goes on; a line for each that ended. Standard error.

    Parameters
    ----------
    num_runs
        Runs of the study, those that were done before among them.
    """

    def __init__(self, num_runs: int) -> None:
        self._console = error_console()
        self._progress = Progress(
            *_columns(self._console),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._tasks: dict[RunKey, TaskID] = {}
        self._last: dict[RunKey, RunProgress] = {}
        self._num_runs, self._num_ended = num_runs, 0
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

    def begin(self, start: RunStart) -> None:
        """Show the bar of a run, if there is room."""
        name = run_name(start.variant, start.seed)
        task = self._progress.add_task(name, total=start.num_rounds, state="starts", visible=False)
        self._tasks[start.variant, start.seed] = task
        self._fit()

    def advance(self, progress: RunProgress) -> None:
        """Move the bar of a run."""
        key = (progress.variant, progress.seed)
        self._last[key] = progress
        if key not in self._tasks:
            self.begin(RunStart(variant=key[0], seed=key[1], num_rounds=progress.num_rounds))
        state = run_state(progress)
        self._progress.update(self._tasks[key], completed=progress.round, state=state)
        self._move_all()

    def finish(self, variant: str, seed: int, status: str, host_s: float) -> None:
        """Take the bar of a run away and print how it ended."""
        key = (variant, seed)
        if key in self._tasks:
            self._progress.remove_task(self._tasks.pop(key))
        self._num_ended += 1
        self._move_all()
        self._fit()
        if status == KEPT and self._console.is_terminal:
            return
        last = self._last.pop(key, None)
        self._console.print(
            ending(variant, seed, status, host_s, last),
            markup=False,
            emoji=False,
            highlight=False,
            style="red" if status == "failed" else None,
            soft_wrap=not self._console.is_terminal,
        )

    def _move_all(self) -> None:
        """Count runs that go on by the part of their rounds that is done."""
        parts = (
            last.round / last.num_rounds for key, last in self._last.items() if key in self._tasks
        )
        self._progress.update(self._all, completed=self._num_ended + sum(parts))

    def _fit(self) -> None:
        """Show as many runs as the terminal has lines for, those that began first; tell the rest.

        A line that is too narrow for a name is broken into several.
        """
        room = self._console.height - OTHER_LINES
        is_wide = self._console.width >= WIDE
        name_width = max(8, self._console.width - NUMBERS - BAR_WIDTH * is_wide)
        tasks = {task.id: task for task in self._progress.tasks}
        hidden = 0
        for index, task in enumerate(self._tasks.values()):
            num_lines = math.ceil(len(tasks[task].description) / name_width)
            room -= num_lines if is_wide else max(2, num_lines)
            is_shown = room >= 0 or index == 0
            hidden += not is_shown
            self._progress.update(task, visible=is_shown)
        self._progress.update(self._all, state=f"{hidden} more go on" if hidden else "")


def _columns(console: Console) -> list[ProgressColumn]:
    """Return what stands in a line: texts are folded, never cut; bars only where there is room."""
    name = TextColumn(
        "{task.description}",
        style="bold",
        markup=False,
        table_column=Column(overflow="fold", ratio=1),
    )
    is_wide = console.width >= WIDE
    place = Column(overflow="fold", no_wrap=is_wide)
    state = TextColumn("{task.fields[state]}", markup=False, table_column=place)
    bar = [BarColumn(bar_width=BAR_WIDTH)] if is_wide else []
    return [name, *bar, MofNCompleteColumn(), state, TimeRemainingColumn(compact=True)]


def run_name(variant: str, seed: int) -> str:
    """Return how a run is called; a long label loses its middle."""
    return f"{shortened(variant, MAX_NAME)} seed {seed}"


def run_state(progress: RunProgress) -> str:
    """Return simulated time, joules of clients, and the metric."""
    text = f"{progress.simulated_s:.1f} s simulated  {progress.energy_j:.1f} J"
    if progress.value is not None:
        text += f"  {progress.metric} {progress.value:.3f}"
    return text


def ending(variant: str, seed: int, status: str, host_s: float, last: RunProgress | None) -> str:
    """Return the line of a run that ended.

    Examples
    --------
    >>> ending("fedit", 1, "failed", 2.0, None)
    'fedit seed 1: failed after 2.0 s of host time'
    """
    took = "after" if status == "failed" else "in"
    line = f"{run_name(variant, seed)}: {status} {took} {host_s:.1f} s of host time"
    return line if last is None else f"{line}; {run_state(last)}"
