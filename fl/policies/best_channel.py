"""Selection by the state of the channel."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt

from fl.policies.drawing import lowest
from fl.policies.view import Selection


@dataclass(frozen=True, kw_only=True)
class BestChannelPolicyConfig:
    """The clients with the highest signal-to-noise ratio now, fading included."""

    num_clients: Annotated[int, Gt(0)]
    """Clients a round."""
    kind: Literal["best_channel"] = "best_channel"


class BestChannelPolicy:
    """Select by signal-to-noise ratio; of equals the smallest ids, out of coverage last."""

    def __init__(self, config: BestChannelPolicyConfig) -> None:
        self._num_clients = config.num_clients

    def select(self, view: Selection, *, rng: np.random.Generator) -> list[int]:
        """Return the clients with the best links; nothing is drawn."""
        del rng
        clients = view.candidates
        rows = lowest(-clients.links.snr_db, count=view.count(self._num_clients))
        return clients.client_id[rows].tolist()
