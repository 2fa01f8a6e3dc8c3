"""Random direction mobility: constant velocity, reflected at the border."""

import numpy as np
from jaxtyping import Float

from netsim.config.world import RandomDirectionMobility
from netsim.world.area import Area
from netsim.world.mobility.trajectory import Legs, reflect, unit_vector


class RandomDirection(Legs):
    """Constant speed in a uniform direction, reflected at the border.

    Reflection preserves area, so positions that are uniform at the start stay uniform. It is the
    usual model of 3GPP evaluations.
    """

    def __init__(
        self,
        config: RandomDirectionMobility,
        *,
        area: Area,
        start_m: Float[np.ndarray, " 2"],
        client_id: int,
        rng: np.random.Generator,
    ) -> None:
        super().__init__()
        del client_id
        self._speed_mps = config.speed_mps
        self._area = area
        self._place_m = start_m
        self._direction = unit_vector(rng.uniform(0.0, 2.0 * np.pi))

    def _next_leg(self) -> tuple[Float[np.ndarray, " 2"], Float[np.ndarray, " 2"], float]:
        start_m, direction = self._place_m, self._direction
        length_m, normal = self._area.leave(start_m, direction)
        self._place_m = start_m + length_m * direction
        after = reflect(direction, normal)
        # Normalised again, or the length would drift over thousands of reflections.
        self._direction = after / np.hypot(after[0], after[1])
        return start_m, self._speed_mps * direction, length_m / self._speed_mps
