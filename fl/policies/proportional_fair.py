"""Selection by the channel of now over what each client's channel usually is."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt

from fl.policies.client_values import ClientValues
from fl.policies.drawing import lowest
from fl.policies.view import Selection


@dataclass(frozen=True, kw_only=True)
class ProportionalFairPolicyConfig:
    """The clients whose signal-to-noise ratio is highest over their own average.

    So a client far from its site is selected as often as one nearby, each when its channel is good.
    """

    num_clients: Annotated[int, Gt(0)]
    """Clients a round."""
    window_rounds: Annotated[float, Ge(1)] = 20.0
    """Rounds that the average reaches back: each round counts ``1 / window_rounds``, those before
    it the rest (our choice); 1: the round before alone."""
    kind: Literal["proportional_fair"] = "proportional_fair"


class ProportionalFairPolicy:
    """Select by the ratio of signal-to-noise ratio and its moving average.

    The average begins with the ratio without fading. Of equals the smallest ids come first, clients
    out of coverage last.
    """

    def __init__(self, config: ProportionalFairPolicyConfig) -> None:
        self._num_clients = config.num_clients
        self._weight = 1.0 / config.window_rounds
        self._mean_snr = ClientValues()

    def select(self, view: Selection, *, rng: np.random.Generator) -> list[int]:
        """Return the clients with the best channels for themselves; nothing is drawn."""
        del rng
        clients = view.candidates
        now = _linear(clients.links.snr_db)
        before = self._mean_snr.of(clients.client_id)
        is_new = ~(before > 0)
        before[is_new] = _linear(clients.links.mean_snr_db)[is_new]
        is_covered = (now > 0) & (before > 0)
        ratio = np.divide(now, before, out=np.full(len(now), -1.0), where=is_covered)
        self._mean_snr.set(
            clients.client_id, np.where(is_covered, before + self._weight * (now - before), before)
        )
        rows = lowest(-ratio, count=view.count(self._num_clients))
        return clients.client_id[rows].tolist()


def _linear(snr_db: np.ndarray) -> np.ndarray:
    return 10.0 ** (snr_db / 10.0)
