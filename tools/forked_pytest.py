"""Runs of pytest on a copy of the project, each in a process of its own, forked from this one.

A run begins where the libraries are loaded already. How it ends is told apart: tests pass, notice
something, do not end in time, or pytest itself cannot do its work, which says nothing about the
code. The time allowed follows from what the same tests need on the unchanged code.
"""

import contextlib
import math
import multiprocessing
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import pytest
from hypothesis import Phase, settings

ROOT = Path(__file__).resolve().parent.parent

LEAST_LIMIT_S = 30.0
"""No run of tests is stopped before it has had this time of a processor."""
LIMIT_FACTOR = 5.0
"""A run that takes this many times the processor time of the unchanged code is taken as endless."""
WALL_FACTOR = 4.0
"""Wall-clock time after which a run is stopped, over its limit of processor time: it waits."""
UNCHANGED_LIMIT_S = 900.0
"""Processor time for tests of the unchanged code."""

_CANNOT_START = 70
"""Exit code of a run that fails before pytest begins; pytest has none above 5."""


class Ending(StrEnum):
    """How a run of tests ended."""

    PASSED = "passed"
    FAILED = "failed"
    """A test failed, or a module of tests could not be imported."""
    TIMEOUT = "timeout"
    """Stopped at its limit of processor time or of wall-clock time."""
    ERROR = "error"
    """pytest could not do its work: an internal error, a wrong command, or no tests found."""


@dataclass(frozen=True, kw_only=True)
class Run:
    """One run of tests that is over."""

    ending: Ending
    processor_s: float
    """Processor time of the run and of the processes that it waited for."""
    wall_s: float
    reason: str
    """The exit code or the signal, in words."""


class UnchangedTestsError(RuntimeError):
    """Tests do not pass on the unchanged code, so they can tell nothing about a change."""


class UnchangedRuns:
    """Processor time of tests on the unchanged code, each group measured once.

    Parameters
    ----------
    copy
        Folder of the copy, unchanged whenever a group is measured.
    """

    def __init__(self, copy: Path) -> None:
        self._copy = copy
        self._processor_s: dict[tuple[str, ...], float] = {}

    def limit_s(self, tests: Sequence[str]) -> float:
        """Return the processor time that a changed run of these tests may take [s].

        Raises
        ------
        UnchangedTestsError
            If the tests do not pass.
        """
        key = tuple(tests)
        if key not in self._processor_s:
            run = run_tests(tests, copy=self._copy, limit_s=UNCHANGED_LIMIT_S)
            if run.ending != Ending.PASSED:
                msg = f"{' '.join(tests)}: must pass on the unchanged code, got {run.reason}"
                raise UnchangedTestsError(msg)
            self._processor_s[key] = run.processor_s
        return max(LEAST_LIMIT_S, LIMIT_FACTOR * self._processor_s[key])


def run_tests(tests: Sequence[str], *, copy: Path, limit_s: float) -> Run:
    """Run tests on a copy of the project until one fails.

    Parameters
    ----------
    tests
        Files or folders in the copy.
    copy
        Folder of the copy.
    limit_s
        Processor time after which the run is stopped; it may wait as well, up to
        :data:`WALL_FACTOR` times as long by the clock on the wall.
    """
    spent_s, started_s = _processor_s_of_children(), time.monotonic()
    process = multiprocessing.get_context("fork").Process(
        target=_run_pytest, args=(tests, copy, limit_s)
    )
    process.start()
    try:
        process.join(WALL_FACTOR * limit_s)
        is_waiting = process.is_alive()
    finally:
        process.kill()
        process.join()
        # What the tests have started ends with them.
        if process.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    ending, reason = (
        (Ending.TIMEOUT, f"no end after {WALL_FACTOR * limit_s:g} s")
        if is_waiting
        else _ending_of(process.exitcode or 0)
    )
    return Run(
        ending=ending,
        processor_s=_processor_s_of_children() - spent_s,
        wall_s=time.monotonic() - started_s,
        reason=reason,
    )


def _ending_of(code: int) -> tuple[Ending, str]:
    """Return how a run ended that left this exit code, negative for a signal, and in words."""
    if code == -signal.SIGXCPU:
        return Ending.TIMEOUT, "the limit of processor time"
    if code < 0:
        return Ending.ERROR, f"signal {-code}"
    if code == _CANNOT_START:
        return Ending.ERROR, "no start of pytest"
    reason = f"exit code {code} of pytest"
    match code:
        case pytest.ExitCode.OK:
            return Ending.PASSED, reason
        # With -x, pytest is interrupted by a module of tests that cannot be imported.
        case pytest.ExitCode.TESTS_FAILED | pytest.ExitCode.INTERRUPTED:
            return Ending.FAILED, reason
        case _:
            return Ending.ERROR, reason


def _processor_s_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _run_pytest(tests: Sequence[str], copy: Path, limit_s: float) -> None:
    """Run tests in this process, which ends with the exit code of pytest."""
    code = _CANNOT_START
    try:
        os.setsid()
        # At the first limit comes a signal that tells why, at the second the end.
        seconds = math.ceil(limit_s)
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 5))
        _silence()
        _import_from(copy)
        # Hypothesis need not look for the smallest example: it takes minutes.
        phases = (Phase.explicit, Phase.generate)
        settings.register_profile("mutants", derandomize=True, deadline=None, phases=phases)
        options = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-profile=mutants"]
        code = int(pytest.main([*options, *tests]))
    finally:
        os._exit(code)


def _silence() -> None:
    with Path(os.devnull).open("r+b") as nothing:
        for stream in (0, 1, 2):
            os.dup2(nothing.fileno(), stream)


def _is_ours(file: str) -> bool:
    """Whether a module is of the project, whose folder may hold the libraries too."""
    return Path(file).is_relative_to(ROOT) and not Path(file).is_relative_to(sys.prefix)


def _import_from(copy: Path) -> None:
    """Import the project from the copy from now on, in this process and those it starts."""
    for name, module in list(sys.modules.items()):
        # Libraries may ask for the command that was started, which can be ours.
        if _is_ours(str(getattr(module, "__file__", None) or "")) and name != "__main__":
            del sys.modules[name]
    os.chdir(copy)
    os.environ["PYTHONPATH"] = str(copy)
    sys.path.insert(0, str(copy))
