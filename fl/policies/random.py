"""Selection uniformly at random."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt

from fl.policies.view import Selection


@dataclass(frozen=True, kw_only=True)
class RandomPolicyConfig:
    """The same number of clients every round, drawn without replacement."""

    num_clients: Annotated[int, Gt(0)]
    """Clients a round."""
    kind: Literal["random"] = "random"


class RandomPolicy:
    """Select uniformly without replacement; every client is equally likely."""

    def __init__(self, config: RandomPolicyConfig) -> None:
        self._num_clients = config.num_clients

    def select(self, view: Selection, *, rng: np.random.Generator) -> list[int]:
        """Draw the cohort; all clients when fewer are there than asked for."""
        client_ids = view.candidates.client_id
        count = view.count(self._num_clients)
        chosen = rng.choice(len(client_ids), size=count, replace=False)
        return sorted(client_ids[chosen].tolist())
