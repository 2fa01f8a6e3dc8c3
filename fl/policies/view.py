"""What a selection policy is: given what the server knows, which clients take part."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from fl.network import LinkTable
from fl.rows import ClientRow


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyView:
    """All that a policy may look at when it selects."""

    round: int
    """Round about to start, from 1."""
    now_s: float
    client_ids: Sequence[int]
    """Clients that may be selected, ascending."""
    num_samples: Sequence[int]
    """Training texts of each of them, same order."""
    links: Callable[[Sequence[int]], LinkTable]
    """Ask the network for the links of some clients now."""
    history: Sequence[ClientRow]
    """Every finished part so far, oldest first."""


class Policy(Protocol):
    """Select the clients of a round."""

    def select(self, view: PolicyView, *, rng: np.random.Generator) -> list[int]:
        """Give ids out of ``view.client_ids``, each at most once.

        ``rng`` is addressed by the round, so a policy that only draws from it selects the same
        clients for every method.
        """
