"""Selection under an energy budget of each client, by drift plus penalty (after arXiv:2004.04314).

Each client has a virtual queue of what it spent over its budget: ``q <- max(q + E - H, 0)`` a
round, with its joules ``E`` and the budget ``H``. A client is worth ``V - q E`` in units of its
budget; only those of positive worth are selected, or the best one where there is none. The paper
also shares the band by this rule; here the network's scheduler shares it.
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt

from fl.policies.client_values import ClientValues
from fl.policies.drawing import lowest
from fl.policies.view import Candidates, Selection


@dataclass(frozen=True, kw_only=True)
class LyapunovPolicyConfig:
    """As many clients as keep to a mean energy a round, those with most budget left first.

    Energy is that of participations: computing and radio.
    """

    num_clients: Annotated[int, Gt(0)]
    """Clients a round at most."""
    budget_j: Annotated[float, Gt(0)]
    """Mean joules a round that each client may spend, rounds in which it rests included."""
    v: Annotated[float, Gt(0)] = 10.0
    """Weight of a participation against what was spent over budget (our choice): the larger, the
    more clients take part and the longer a mean may stay above the budget."""
    kind: Literal["lyapunov"] = "lyapunov"


class LyapunovPolicy:
    """Select by ``v - q E``; of equals who took part least, then who spends least, then by id.

    Clients out of coverage come last, and are selected only when nobody else is there.
    """

    def __init__(self, config: LyapunovPolicyConfig) -> None:
        self._config = config
        self._queue = ClientValues()
        self._spent = ClientValues()
        self._round = ClientValues()

    def select(self, view: Selection, *, rng: np.random.Generator) -> list[int]:
        """Return the clients; nothing is drawn."""
        del rng
        config, clients = self._config, view.candidates
        queue = self._updated_queue(clients, round_id=view.round)
        foreseen = (clients.compute_j + clients.upload_j()) / config.budget_j
        is_out = ~np.isfinite(foreseen)
        worth = np.where(is_out, -np.inf, config.v - queue * np.where(is_out, 0.0, foreseen))
        count = view.count(config.num_clients)
        order = lowest(-worth, clients.times_selected, foreseen, count=count)
        num_worth_it = max(1, int((worth[order] > 0).sum()))
        return clients.client_id[order[:num_worth_it]].tolist()

    def _updated_queue(self, clients: Candidates, *, round_id: int) -> np.ndarray:
        """Return the queues of the candidates now, in units of the budget.

        A client that was away for some rounds has spent in the first of them, if at all.
        """
        ids, budget_j = clients.client_id, self._config.budget_j
        queue = np.nan_to_num(self._queue.of(ids), nan=0.0)
        spent = clients.spent_j / budget_j
        more = spent - np.nan_to_num(self._spent.of(ids), nan=0.0)
        before = self._round.of(ids)
        is_new = np.isnan(before)
        num_rounds = np.where(is_new, round_id - 1, round_id - np.where(is_new, 0, before))
        has_passed = num_rounds > 0
        queue = np.where(has_passed, np.maximum(queue + more - 1.0, 0.0), queue + more)
        queue = np.maximum(queue - np.maximum(num_rounds - 1, 0), np.where(has_passed, 0.0, queue))
        self._queue.set(ids, queue)
        self._spent.set(ids, spent)
        self._round.set(ids, np.full(len(ids), float(round_id)))
        return queue
