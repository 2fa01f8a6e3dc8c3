"""The order for one run, as it is handed to a worker process."""

from dataclasses import dataclass
from pathlib import Path

from fl.execution.host import PLAIN, Host
from scenarios.variants import Variant


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTask:
    """One run to do: all that a worker process needs."""

    variant: Variant
    seed: int
    folder: Path
    store: Path | None = None
    """Folder of results of jobs; ``None``: every job is run."""
    store_max_bytes: int | None = None
    """Most bytes in that folder; ``None``: no limit."""
    states: Path | None = None
    """Folder for what clients hold of their own where memory is short of it, gone at the end;
    ``None``: all of it is in memory."""
    cohort: int | None = None
    """Most clients that are trained at once; ``None``: one after the other."""
    host: Host = PLAIN
    """What of the machine jobs run on."""
