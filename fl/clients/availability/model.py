"""What availability is: a function of seed, client and time, asked of many clients at once."""

from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float, Int

ClientIds = Int[np.ndarray, " client"]
Instants = Float[np.ndarray, " client"]


class Availability(Protocol):
    """When clients are there. Answers never depend on what was asked before."""

    def is_available(self, client_ids: ClientIds, *, at_s: float) -> Bool[np.ndarray, " client"]:
        """Return which of some clients are there at an instant >= 0 [s].

        At the instant of a change, what it changes to holds.
        """

    def next_change_s(self, client_ids: ClientIds, *, after_s: float) -> Instants:
        """Return when each of some clients next comes or leaves, later than an instant [s].

        inf where it never does.
        """


class Always:
    """Clients that are always there."""

    def is_available(self, client_ids: ClientIds, *, at_s: float) -> Bool[np.ndarray, " client"]:
        """Return that all are there."""
        del at_s
        return np.ones(len(client_ids), dtype=np.bool_)

    def next_change_s(self, client_ids: ClientIds, *, after_s: float) -> Instants:
        """Return inf."""
        del after_s
        return np.full(len(client_ids), np.inf)
