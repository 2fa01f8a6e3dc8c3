"""FedBuff: updates are merged when so many have arrived, and clients are replaced at once."""

from collections.abc import Generator
from functools import partial
from typing import Any

import simpy

from fl.server.config import FedBuffServer, of_mode
from fl.server.federation import Federation
from fl.server.merging import buffered
from fl.server.modes.asynchronous import run_aggregations


def run_rounds(federation: Federation) -> Generator[simpy.Event, Any, None]:
    """Return the SimPy process of a whole run; a round is one full buffer."""
    server = of_mode(federation.server, FedBuffServer)
    rule = partial(
        buffered,
        server_learning_rate=server.server_learning_rate,
        discount=server.discount,
        normalise=server.normalise,
    )
    return run_aggregations(federation, rule, num_updates=server.buffer_size)
