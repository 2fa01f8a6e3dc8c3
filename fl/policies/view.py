"""What a selection policy is: given what the server knows, which clients take part."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from jaxtyping import Float, Int

from fl.network import LinkTable


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Clients that may be selected: columns, one entry a client, ascending by id."""

    client_id: Int[np.ndarray, " client"]
    num_samples: Int[np.ndarray, " client"]
    """Training texts."""
    times_selected: Int[np.ndarray, " client"]
    """Participations so far."""
    last_round: Int[np.ndarray, " client"]
    """Round of the last participation, from 1; 0: there was none."""
    last_loss: Float[np.ndarray, " client"]
    """Mean training loss of the last update that arrived [nat]; NaN: there was none."""
    ask_links: Callable[[Int[np.ndarray, " client"]], LinkTable]
    """Ask the network for the links of some clients now."""

    @cached_property
    def links(self) -> LinkTable:
        """The links of these clients now; the network is asked when this is first read."""
        return self.ask_links(self.client_id)


@dataclass(frozen=True, kw_only=True)
class Selection:
    """All that a policy may look at when it selects."""

    round: int
    """Round about to start, from 1."""
    now_s: float
    """Simulated time [s]."""
    candidates: Candidates
    num_wanted: int | None = None
    """How many clients the server asks for, as one that replaces them one by one does; ``None``: as
    many as the policy's own settings say."""

    def count(self, num_clients: int) -> int:
        """Return how many to select where the policy's settings say ``num_clients``."""
        wanted = num_clients if self.num_wanted is None else self.num_wanted
        return min(wanted, len(self.candidates.client_id))


class Policy(Protocol):
    """Select the clients of a round."""

    def select(
        self, view: Selection, *, rng: np.random.Generator
    ) -> Sequence[int] | Int[np.ndarray, " selected"]:
        """Return ids out of ``view.candidates.client_id``, each at most once.

        ``rng`` is addressed by the round, so a policy that only draws from it selects the same
        clients for every method.
        """
