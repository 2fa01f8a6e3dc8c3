"""Static clients."""

import numpy as np
from jaxtyping import Float

from netsim.config.world import StaticMobility
from netsim.world.area import Area


class Static:
    """A constant position: the placed one, or that of the scenario's list."""

    def __init__(
        self,
        config: StaticMobility,
        *,
        area: Area,
        start_m: Float[np.ndarray, " 2"],
        client_id: int,
        rng: np.random.Generator,
    ) -> None:
        del area, rng
        if config.positions_m is None:
            self._position_m = start_m
        elif client_id < len(config.positions_m):
            self._position_m = np.array(config.positions_m[client_id], dtype=np.float64)
        else:
            msg = (
                f"positions_m: must hold a place for client {client_id}, "
                f"got {len(config.positions_m)} places"
            )
            raise ValueError(msg)

    def position_m(self, at_s: float) -> Float[np.ndarray, " 2"]:
        """Return the position [m], the same at every instant."""
        del at_s
        return self._position_m.copy()

    def speed_mps(self, at_s: float) -> float:
        """Return 0."""
        del at_s
        return 0.0

    def stays_until_s(
        self, at_s: float, *, lowest_m: Float[np.ndarray, " 2"], highest_m: Float[np.ndarray, " 2"]
    ) -> float:
        """Return inf: a static client stays for ever."""
        del at_s, lowest_m, highest_m
        return np.inf
