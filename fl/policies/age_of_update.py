"""Selection by the age of each client's last update, and by the band that a fresh one needs."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Le
from jaxtyping import Float, Int

from fl.policies.drawing import lowest
from fl.policies.view import Selection


@dataclass(frozen=True, kw_only=True)
class AgeOfUpdatePolicyConfig:
    """The clients whose last update is oldest for the airtime that a new one needs.

    The age of an update grows by 1 a round and is 0 after the round in which one arrives.
    """

    num_clients: Annotated[int, Gt(0)]
    """Clients a round."""
    alpha: Annotated[float, Ge(0), Le(1)] = 0.0
    """How age ``a`` counts: ``((a + 1)^(1 - alpha)) / (1 - alpha)``, the logarithm at 1 (our
    reading: an age of 0 counts as well). 0: in proportion; the larger, the more the channel
    decides."""
    kind: Literal["age_of_update"] = "age_of_update"


class AgeOfUpdatePolicy:
    """Select by worth of age over seconds of upload; of equals the shorter upload, then the id.

    Clients out of coverage come last, those that send nothing go by age alone.
    """

    def __init__(self, config: AgeOfUpdatePolicyConfig) -> None:
        self._config = config

    def select(self, view: Selection, *, rng: np.random.Generator) -> list[int]:
        """Return the clients; nothing is drawn."""
        del rng
        clients = view.candidates
        worth = worth_of_age(view.round - 1 - clients.last_received, alpha=self._config.alpha)
        upload_s = clients.upload_s()
        sends = upload_s > 0
        score = np.divide(worth, upload_s, out=worth.copy(), where=sends)
        score[~np.isfinite(upload_s)] = -np.inf
        rows = lowest(-score, upload_s, count=view.count(self._config.num_clients))
        return clients.client_id[rows].tolist()


def worth_of_age(age: Int[np.ndarray, " client"], *, alpha: float) -> Float[np.ndarray, " client"]:
    """Return what an age in rounds is worth, growing and ever more slowly the larger ``alpha``."""
    grown = age + 1.0
    return np.log(grown) if alpha == 1 else grown ** (1 - alpha) / (1 - alpha)
