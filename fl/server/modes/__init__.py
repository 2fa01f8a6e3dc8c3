"""Server modes: when the server asks and when it aggregates. One table, one entry a mode."""

from collections.abc import Callable, Generator
from typing import Any

import simpy

from fl.server.federation import Federation
from fl.server.modes import sync

Run = Callable[[Federation], Generator[simpy.Event, Any, None]]
"""Returns the SimPy process of a whole run; it ends with the run."""

MODES: dict[str, Run] = {"sync": sync.run_rounds}
"""By the ``mode`` of the server's settings. ``sync``: rounds that wait for every selected client
[arXiv:1602.05629]."""


def run_server(federation: Federation) -> Generator[simpy.Event, Any, None]:
    """Return the SimPy process of a run in the mode of the federation's server."""
    return MODES[federation.server.mode](federation)
