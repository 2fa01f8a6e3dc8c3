"""Random waypoint mobility, in steady state from the start.

References
----------
W. Navidi and T. Camp, "Stationary distributions for the random waypoint mobility model", IEEE
Trans. Mobile Computing 3(1), 2004 (abstract read, the rest as recollected): a path that starts at a
uniform position with a uniform speed gets slower and more central with time; in steady state it
starts within a leg or pause.
"""

import numpy as np
from jaxtyping import Float

from netsim.config.world import RandomWaypointMobility
from netsim.world.area import Area
from netsim.world.mobility.trajectory import Legs

CANDIDATES = 64
MAX_BATCHES = 100_000


class RandomWaypoint(Legs):
    """Straight legs between uniform points, each at its own uniform speed, then a pause.

    A leg stays in the area: if the area is not convex, a waypoint that cannot be reached in a
    straight line is drawn again. The start is an exact sample of the steady state for any area: a
    cycle (leg, speed, pause) is drawn, accepted with a probability proportional to its duration,
    and entered at a uniform instant. The stationary distribution is not uniform (denser in the
    centre), so ``start_m`` is not used.
    """

    def __init__(
        self,
        config: RandomWaypointMobility,
        *,
        area: Area,
        start_m: Float[np.ndarray, " 2"],
        client_id: int,
        rng: np.random.Generator,
    ) -> None:
        super().__init__()
        del start_m, client_id
        if not 0 < config.min_speed_mps <= config.max_speed_mps:
            msg = (
                f"min_speed_mps: must be > 0 and <= max_speed_mps, "
                f"got {config.min_speed_mps} and {config.max_speed_mps}"
            )
            raise ValueError(msg)
        self._config = config
        self._area = area
        self._rng = rng
        self._is_started = False
        self._place_m = np.zeros(2)
        self._pause_left_s = 0.0

    def _next_leg(self) -> tuple[Float[np.ndarray, " 2"], Float[np.ndarray, " 2"], float]:
        if not self._is_started:
            self._is_started = True
            return self._first_leg()
        if self._pause_left_s > 0:
            pause_s, self._pause_left_s = self._pause_left_s, 0.0
            return self._place_m, np.zeros(2), pause_s
        while True:
            target_m = self._area.place(self._rng.random((1, 3)))[0]
            if self._is_reachable(self._place_m, target_m):
                break
        speed_mps = self._rng.uniform(self._config.min_speed_mps, self._config.max_speed_mps)
        return self._leg_to(target_m, speed_mps)

    def _leg_to(
        self, target_m: Float[np.ndarray, " 2"], speed_mps: float
    ) -> tuple[Float[np.ndarray, " 2"], Float[np.ndarray, " 2"], float]:
        start_m, gap_m = self._place_m, target_m - self._place_m
        length_m = float(np.hypot(gap_m[0], gap_m[1]))
        self._place_m = target_m
        self._pause_left_s = self._config.pause_s
        velocity_mps = gap_m * (speed_mps / length_m) if length_m > 0 else np.zeros(2)
        return start_m, velocity_mps, length_m / speed_mps

    def _first_leg(self) -> tuple[Float[np.ndarray, " 2"], Float[np.ndarray, " 2"], float]:
        """Return the rest of a cycle from a uniform instant; long cycles are likelier."""
        from_m, to_m, speed_mps = self._longer_cycle()
        gap_m = to_m - from_m
        leg_s = float(np.hypot(gap_m[0], gap_m[1])) / speed_mps
        elapsed_s = self._rng.uniform(0.0, leg_s + self._config.pause_s)
        if elapsed_s < leg_s:
            self._place_m = from_m + gap_m * (elapsed_s / leg_s)
            return self._leg_to(to_m, speed_mps)
        self._place_m = to_m
        return to_m, np.zeros(2), leg_s + self._config.pause_s - elapsed_s

    def _longer_cycle(self) -> tuple[Float[np.ndarray, " 2"], Float[np.ndarray, " 2"], float]:
        config, area, rng = self._config, self._area, self._rng
        longest_s = config.pause_s + area.diameter_m / config.min_speed_mps
        for _ in range(MAX_BATCHES):
            from_m = area.place(rng.random((CANDIDATES, 3)))
            to_m = area.place(rng.random((CANDIDATES, 3)))
            speed_mps = rng.uniform(config.min_speed_mps, config.max_speed_mps, CANDIDATES)
            cycle_s = config.pause_s + np.hypot(*(to_m - from_m).T) / speed_mps
            kept = rng.random(CANDIDATES) * longest_s < cycle_s
            for k in np.flatnonzero(kept):
                if self._is_reachable(from_m[k], to_m[k]):
                    return from_m[k], to_m[k], float(speed_mps[k])
        msg = (
            f"min_speed_mps: too small beside max_speed_mps for a steady state to be sampled, "
            f"got {config.min_speed_mps} and {config.max_speed_mps}"
        )
        raise ValueError(msg)

    def _is_reachable(self, from_m: Float[np.ndarray, " 2"], to_m: Float[np.ndarray, " 2"]) -> bool:
        gap_m = to_m - from_m
        length_m = float(np.hypot(gap_m[0], gap_m[1]))
        if length_m == 0:
            return False
        return self._area.leave(from_m, gap_m / length_m)[0] >= length_m * (1 - 1e-9)
