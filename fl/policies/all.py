"""Selection of everybody."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from fl.policies.drawing import lowest
from fl.policies.view import Selection


@dataclass(frozen=True, kw_only=True)
class AllPolicyConfig:
    """Every client in every round."""

    kind: Literal["all"] = "all"


class AllPolicy:
    """Select all candidates, or as many as the server asks for."""

    def __init__(self, config: AllPolicyConfig) -> None:
        del config  # has no settings

    def select(self, view: Selection, *, rng: np.random.Generator) -> list[int]:
        """Return all candidates, or those whose last participation is longest ago."""
        del rng
        clients = view.candidates
        if view.num_wanted is None:
            return clients.client_id.tolist()
        rows = lowest(clients.last_round, count=view.count(view.num_wanted))
        return clients.client_id[rows].tolist()
