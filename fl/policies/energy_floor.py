"""Selection by battery: nobody below a floor, fuller batteries more often."""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Lt

from fl.policies.drawing import draw_weighted
from fl.policies.view import NobodyFitsError, Selection


@dataclass(frozen=True, kw_only=True)
class EnergyFloorPolicyConfig:
    """Clients at random, those with fuller batteries more often, those below a floor never.

    A device without a battery counts as full.
    """

    num_clients: Annotated[int, Gt(0)]
    """Clients a round."""
    min_fraction: Annotated[float, Ge(0), Lt(1)] = 0.2
    """Charge below which a client is left out, as a part of the full battery (our choice)."""
    alpha: Annotated[float, Ge(0)] = 2.0
    """A client's chance is in proportion to its charge to this power (our choice)."""
    kind: Literal["energy_floor"] = "energy_floor"


class EnergyFloorPolicy:
    """Draw clients above the floor without replacement, in proportion to ``charge^alpha``."""

    def __init__(self, config: EnergyFloorPolicyConfig) -> None:
        self._config = config

    def select(self, view: Selection, *, rng: np.random.Generator) -> list[int]:
        """Draw the clients; fewer than asked for where fewer are above the floor.

        Raises
        ------
        NobodyFitsError
            If no battery is charged to the floor.
        """
        config, clients = self._config, view.candidates
        has_battery = np.isfinite(clients.battery_j) & np.isfinite(clients.battery_capacity_j)
        charge = np.ones(len(has_battery))
        np.divide(clients.battery_j, clients.battery_capacity_j, out=charge, where=has_battery)
        rows = np.flatnonzero(charge >= config.min_fraction)
        if not len(rows):
            msg = (
                f"min_fraction: no battery is charged to {config.min_fraction:g}, the fullest to "
                f"{charge.max():.3g}"
            )
            raise NobodyFitsError(msg)
        count = min(view.count(config.num_clients), len(rows))
        drawn = draw_weighted(charge[rows] ** config.alpha, count, rng=rng)
        return clients.client_id[rows[drawn]].tolist()
