"""The semi-asynchronous server: aggregates by the number of updates, or when time is up."""

from collections.abc import Generator
from functools import partial
from typing import Any

import simpy

from fl.server.config import SemiAsyncServer, of_mode
from fl.server.federation import Federation
from fl.server.merging import discounted
from fl.server.modes.asynchronous import run_aggregations


def run_rounds(federation: Federation) -> Generator[simpy.Event, Any, None]:
    """Return the SimPy process of a whole run."""
    server = of_mode(federation.server, SemiAsyncServer)
    return run_aggregations(
        federation,
        partial(discounted, discount=server.discount),
        num_updates=server.num_updates,
        time_s=server.time_s,
        restart=server.restart,
    )
