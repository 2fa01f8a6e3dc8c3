"""Selection of everybody."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from fl.policies.view import Selection


@dataclass(frozen=True, kw_only=True)
class AllPolicyConfig:
    """Every client in every round."""

    kind: Literal["all"] = "all"


class AllPolicy:
    """Select all candidates."""

    def __init__(self, config: AllPolicyConfig) -> None:
        del config  # has no settings

    def select(self, view: Selection, *, rng: np.random.Generator) -> list[int]:
        """Return all candidates; nothing is drawn."""
        del rng
        return [int(each) for each in view.candidates.client_id]
