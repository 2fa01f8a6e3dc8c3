"""FedAsync: every update is mixed into the server's tensors when it arrives."""

from collections.abc import Generator
from functools import partial
from typing import Any

import simpy

from fl.server.config import FedAsyncServer, of_mode
from fl.server.federation import Federation
from fl.server.merging import mixed
from fl.server.modes.asynchronous import run_aggregations


def run_rounds(federation: Federation) -> Generator[simpy.Event, Any, None]:
    """Return the SimPy process of a whole run; a round is one update."""
    server = of_mode(federation.server, FedAsyncServer)
    rule = partial(mixed, alpha=server.alpha, discount=server.discount, of=server.mixes)
    return run_aggregations(federation, rule, num_updates=1)
