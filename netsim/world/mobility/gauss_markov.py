"""Gauss-Markov mobility: a velocity with exponentially decaying correlation.

References
----------
B. Liang and Z. Haas, INFOCOM 1999 (as recollected):
``v_n = a v_{n-1} + (1 - a) v_mean + sigma sqrt(1 - a^2) w_n``, per component.
"""

import numpy as np
from jaxtyping import Float

from netsim.config.world import GaussMarkovMobility
from netsim.world.area import Area
from netsim.world.mobility.trajectory import Legs, reflect, unit_vector


class GaussMarkov(Legs):
    """AR(1) velocity components around a mean velocity of each client.

    The mean velocity has the configured mean speed and a uniform direction; it and the present
    velocity are reflected at the border. The start is stationary (velocity N(mean, std^2) in each
    component). Reflection preserves area and the noise is isotropic, so uniform positions stay
    uniform.
    """

    def __init__(
        self,
        config: GaussMarkovMobility,
        *,
        area: Area,
        start_m: Float[np.ndarray, " 2"],
        client_id: int,
        rng: np.random.Generator,
    ) -> None:
        super().__init__()
        del client_id
        self._config = config
        self._area = area
        self._rng = rng
        self._place_m = start_m
        self._mean_mps = config.mean_speed_mps * unit_vector(rng.uniform(0.0, 2.0 * np.pi))
        self._now_mps = self._mean_mps + config.speed_std_mps * rng.standard_normal(2)
        self._step_left_s = config.step_s

    def _next_leg(self) -> tuple[Float[np.ndarray, " 2"], Float[np.ndarray, " 2"], float]:
        if self._step_left_s <= 0:
            self._change_velocity()
        start_m, velocity_mps = self._place_m, self._now_mps
        speed_mps = float(np.hypot(velocity_mps[0], velocity_mps[1]))
        if speed_mps == 0:
            duration_s, self._step_left_s = self._step_left_s, 0.0
            return start_m, velocity_mps, duration_s
        free_m, normal = self._area.leave(start_m, velocity_mps / speed_mps)
        if free_m < speed_mps * self._step_left_s:
            duration_s = free_m / speed_mps
            self._step_left_s -= duration_s
            self._now_mps = reflect(velocity_mps, normal)
            self._mean_mps = reflect(self._mean_mps, normal)
        else:
            duration_s, self._step_left_s = self._step_left_s, 0.0
        self._place_m = start_m + velocity_mps * duration_s
        return start_m, velocity_mps, duration_s

    def _change_velocity(self) -> None:
        memory = self._config.memory
        noise_mps = self._config.speed_std_mps * self._rng.standard_normal(2)
        self._now_mps = (
            memory * self._now_mps
            + (1 - memory) * self._mean_mps
            + np.sqrt(1 - memory**2) * noise_mps
        )
        self._step_left_s = self._config.step_s
