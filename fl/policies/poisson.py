"""Selection of each client by a draw of its own."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt, Le

from fl.policies.view import Selection


@dataclass(frozen=True, kw_only=True)
class PoissonPolicyConfig:
    """Every client that is there takes part with the same probability, whoever else does."""

    probability: Annotated[float, Gt(0), Le(1)]
    """With which each client is selected in a round; a round may be without any client."""
    kind: Literal["poisson"] = "poisson"


class PoissonPolicy:
    """Select each client independently with one probability: Poisson sampling."""

    may_select_nobody = True
    """Whether no client at all is an answer."""

    def __init__(self, config: PoissonPolicyConfig) -> None:
        self._probability = config.probability

    def select(self, view: Selection, *, rng: np.random.Generator) -> list[int]:
        """Draw for each candidate; of more than the server asks for, some at random."""
        client_ids = view.candidates.client_id
        chosen = client_ids[rng.random(len(client_ids)) < self._probability]
        if view.num_wanted is not None and len(chosen) > view.num_wanted:
            chosen = rng.choice(chosen, size=view.num_wanted, replace=False)
        return sorted(chosen.tolist())
