"""Server modes: when the server asks and when it aggregates. One table, one entry a mode."""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

import simpy

from fl.server.config import SyncServer
from fl.server.federation import Federation
from fl.server.modes import sync


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeEntry:
    """One mode of the server."""

    config: type[Any]
    """Class of its settings."""
    run: Callable[[Federation], Generator[simpy.Event, Any, None]]
    """Return the SimPy process of a whole run; it ends with the run."""
    summary: str
    source: str
    """Where the mode comes from."""


MODES: dict[str, ModeEntry] = {
    "sync": ModeEntry(
        config=SyncServer,
        run=sync.run_rounds,
        summary="rounds that wait for every selected client",
        source="arXiv:1602.05629",
    ),
}


def run_server(federation: Federation) -> Generator[simpy.Event, Any, None]:
    """Return the SimPy process of a run in the mode of the federation's server."""
    return MODES[federation.server.mode].run(federation)
