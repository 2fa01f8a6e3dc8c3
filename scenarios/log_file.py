"""``--log FILE``: a line for each event of a study, with the time of day, appended to a file."""

import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from scenarios.errors import ScenarioError
from scenarios.output import MutedStream
from scenarios.progress import RunKey, RunProgress, RunStart, ending, run_name, run_state


class LogFile:
    """A reporter that writes lines; on a disk that is full it stays silent, and the study goes on.

    Parameters
    ----------
    path
        The file; lines are added to what it holds.

    Raises
    ------
    ScenarioError
        It cannot be opened.
    """

    def __init__(self, path: str | Path) -> None:
        try:
            self._file = Path(path).open("a", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115 -- closed on exit
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise ScenarioError([f"--log {path}: cannot be written: {reason}"]) from None
        self._stream = MutedStream(self._file)
        self._started_s: dict[RunKey, float] = {}
        self._last: dict[RunKey, RunProgress] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is not None:
            self.note(f"stopped: {kind.__name__}")
        self._file.close()

    def note(self, text: str) -> None:
        """Write one line."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        self._stream.write(f"{now} {' '.join(text.split())}\n")
        self._stream.flush()

    def begin(self, start: RunStart) -> None:
        """Note that a run begins."""
        self._started_s[start.variant, start.seed] = time.perf_counter()
        self.note(f"{run_name(start.variant, start.seed)}: begins, {start.num_rounds} rounds")

    def advance(self, progress: RunProgress) -> None:
        """Note a round, and the host time that the rest will take if it goes on like this."""
        key = (progress.variant, progress.seed)
        self._last[key] = progress
        passed_s = time.perf_counter() - self._started_s.setdefault(key, time.perf_counter())
        line = (
            f"{run_name(*key)}: round {progress.round} of {progress.num_rounds}, "
            f"{run_state(progress)}, {passed_s:.1f} s of host time"
        )
        if progress.round:
            left_s = passed_s * (progress.num_rounds / progress.round - 1)
            line = f"{line}, {left_s:.0f} s left"
        self.note(line)

    def finish(self, variant: str, seed: int, status: str, host_s: float) -> None:
        """Note how a run ended."""
        self.note(ending(variant, seed, status, host_s, self._last.pop((variant, seed), None)))
