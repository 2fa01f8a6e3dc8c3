"""Selection in turn."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt

from fl.policies.drawing import lowest
from fl.policies.view import Selection


@dataclass(frozen=True, kw_only=True)
class RoundRobinPolicyConfig:
    """The same number of clients every round, in turn."""

    num_clients: Annotated[int, Gt(0)]
    """Clients a round."""
    kind: Literal["round_robin"] = "round_robin"


class RoundRobinPolicy:
    """Select those whose last participation is longest ago; of equals the smallest ids."""

    def __init__(self, config: RoundRobinPolicyConfig) -> None:
        self._num_clients = config.num_clients

    def select(self, view: Selection, *, rng: np.random.Generator) -> list[int]:
        """Return the clients whose turn it is; nothing is drawn."""
        del rng
        clients = view.candidates
        rows = lowest(clients.last_round, count=view.count(self._num_clients))
        return clients.client_id[rows].tolist()
