"""Power of choice: of some clients drawn, those with the highest loss (arXiv:2010.01243)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt

from fl.policies.drawing import draw_weighted, lowest
from fl.policies.view import Selection


@dataclass(frozen=True, kw_only=True)
class PowerOfChoicePolicyConfig:
    """The highest losses of the present model among clients that are drawn and asked.

    Who is asked downloads the model, scores its training texts and answers with 4 bytes: simulated
    seconds, joules and bytes. Nobody is asked when as many are drawn as take part.
    """

    num_clients: Annotated[int, Gt(0)]
    """Clients a round."""
    num_candidates: Annotated[int, Gt(0)]
    """Clients that are drawn, by their numbers of texts; at least ``num_clients``."""
    losses: Literal["asked", "last"] = "asked"
    """``asked``: of the present model. ``last``: training losses of the last updates, for nothing;
    clients without one come first (rpow-d of the paper)."""
    kind: Literal["power_of_choice"] = "power_of_choice"


def find_problems(config: PowerOfChoicePolicyConfig) -> Iterator[tuple[str, str]]:
    """Find settings that do not go together: key, and rule with the value found."""
    if config.num_candidates < config.num_clients:
        rule = f"must be >= num_clients = {config.num_clients}, got {config.num_candidates}"
        yield "num_candidates", rule


def asks(config: PowerOfChoicePolicyConfig) -> bool:
    """Whether clients are asked for their losses."""
    return config.losses == "asked"


class PowerOfChoicePolicy:
    """Draw clients and select those with the highest losses; those without an answer come last.

    Of equals those come first that were drawn first.
    """

    def __init__(self, config: PowerOfChoicePolicyConfig) -> None:
        self._config = config
        self._drawn: list[int] | None = None

    def ask(self, view: Selection, *, rng: np.random.Generator) -> list[int]:
        """Draw clients; return those whose losses are wanted."""
        self._drawn = self._draw(view, rng=rng)
        is_open = len(self._drawn) > view.count(self._config.num_clients)
        return self._drawn if is_open and self._config.losses == "asked" else []

    def select(self, view: Selection, *, rng: np.random.Generator) -> list[int]:
        """Return those with the highest losses among the clients drawn."""
        drawn, self._drawn = self._drawn or [], None
        clients = view.candidates
        # Some may have left since they were drawn; where all have, nobody is asked a second time.
        ids = np.array(drawn, dtype=np.int64)
        ids = ids[np.isin(ids, clients.client_id)]
        if not len(ids):
            ids = np.array(self._draw(view, rng=rng))
        rows = np.searchsorted(clients.client_id, ids)
        if self._config.losses == "asked":
            loss = np.nan_to_num(clients.asked_loss[rows], nan=-np.inf)
        else:
            loss = np.nan_to_num(clients.last_loss[rows], nan=np.inf)
        count = min(view.count(self._config.num_clients), len(rows))
        return clients.client_id[rows[lowest(-loss, count=count)]].tolist()

    def _draw(self, view: Selection, *, rng: np.random.Generator) -> list[int]:
        clients = view.candidates
        wanted = max(self._config.num_candidates, view.count(self._config.num_clients))
        count = min(wanted, len(clients.client_id))
        drawn = draw_weighted(clients.num_samples.astype(np.float64), count, rng=rng)
        return clients.client_id[drawn].tolist()
