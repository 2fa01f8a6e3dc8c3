"""Manhattan mobility: streets on a square grid.

References
----------
UMTS 30.03 (TR 101 112), pedestrians in a Manhattan grid (as recollected): at a crossing straight on
with probability 0.5, left and right 0.25 each; every 5 m the speed changes with probability 0.2;
3 km/h with a deviation of 0.3 km/h, here a tenth of any mean speed.
"""

from functools import lru_cache

import numpy as np
from jaxtyping import Float

from netsim.config.world import ManhattanMobility
from netsim.world.area import Area
from netsim.world.mobility.trajectory import Legs

TURN_PROBABILITIES = (0.5, 0.25, 0.25)
"""Straight on, left, right."""
SPEED_CHANGE_PROBABILITY = 0.2
SPEED_CHECK_M = 5.0
SPEED_STD_FRACTION = 0.1
SPEED_SPREAD_FRACTION = 0.5
"""Largest relative deviation from the mean speed (five standard deviations)."""

MAX_CROSSINGS = 100_000
"""Most crossings of a grid, those of a city of 30 km with blocks of 100 m (our choice): the list of
streets then takes a second and 50 MB."""

Crossing = tuple[int, int]
Street = tuple[Crossing, Crossing]
STEPS: tuple[Crossing, ...] = ((1, 0), (0, 1), (-1, 0), (0, -1))


@lru_cache(maxsize=8)
def streets(area: Area, block_m: float) -> tuple[tuple[Street, ...], frozenset[Street]]:
    """Return the streets in an area as pairs of neighbouring crossings, in both directions.

    Crossings are the points ``block_m * (i, j)``. A street is in the area if nine points along it
    are. The result is a sorted tuple for drawing and a set for look-up.

    Raises
    ------
    ValueError
        If there is no street (blocks too large for the area), or more than :data:`MAX_CROSSINGS`
        crossings (blocks too small).
    """
    x0, y0, x1, y1 = area.bounds_m
    columns = np.arange(np.floor(x0 / block_m), np.ceil(x1 / block_m) + 1)
    rows = np.arange(np.floor(y0 / block_m), np.ceil(y1 / block_m) + 1)
    if len(columns) * len(rows) > MAX_CROSSINGS:
        least_m = np.sqrt((x1 - x0) * (y1 - y0) / MAX_CROSSINGS)
        msg = (
            f"block_m: must leave at most {MAX_CROSSINGS} crossings in the area, about "
            f"{least_m:.3g} m or more, got {block_m:g} with {len(columns) * len(rows)}"
        )
        raise ValueError(msg)
    along = np.linspace(0.0, 1.0, 9)[:, np.newaxis]
    found: list[Street] = []
    for i in columns.astype(int).tolist():
        crossing = np.stack([np.full(len(rows), float(i)), rows], axis=1)
        for step in STEPS[:2]:
            point_m = block_m * (crossing[:, np.newaxis] + along * np.array(step))
            is_inside = area.contains(point_m.reshape(-1, 2)).reshape(len(rows), -1).all(axis=1)
            for j in rows[is_inside].astype(int).tolist():
                far = (i + step[0], j + step[1])
                found += [((i, j), far), (far, (i, j))]
    if not found:
        msg = (
            f"block_m: must leave room for a street between two crossings in the area of "
            f"{x1 - x0:g} m x {y1 - y0:g} m, got {block_m:g}"
        )
        raise ValueError(msg)
    return tuple(sorted(found)), frozenset(found)


def find_street_fault(area: Area, *, block_m: float) -> str | None:
    """Return why a grid of streets cannot be used in an area, or ``None`` if it can."""
    try:
        streets(area, block_m)
    except ValueError as error:
        return str(error).removeprefix("block_m: ")
    return None


class Manhattan(Legs):
    """Movement along streets with turns at crossings and small changes of speed.

    Where a street is missing, its probability is added to that of turning back. With this rule
    every street is entered as often as it is left, so positions uniform along the streets stay
    uniform. The start is drawn from that distribution; ``start_m`` is not used.
    """

    def __init__(
        self,
        config: ManhattanMobility,
        *,
        area: Area,
        start_m: Float[np.ndarray, " 2"],
        client_id: int,
        rng: np.random.Generator,
    ) -> None:
        super().__init__()
        del start_m, client_id
        self._block_m = config.block_m
        self._mean_mps = config.speed_mps
        self._rng = rng
        every, self._streets = streets(area, config.block_m)
        self._from, self._to = every[int(rng.integers(len(every)))]
        self._done_m = float(rng.uniform(0.0, self._block_m))
        self._speed_mps = self._draw_speed_mps()
        self._same_speed_m = self._draw_same_speed_m()

    def _next_leg(self) -> tuple[Float[np.ndarray, " 2"], Float[np.ndarray, " 2"], float]:
        if self._done_m >= self._block_m:
            self._turn()
        if self._same_speed_m <= 0:
            self._speed_mps = self._draw_speed_mps()
            self._same_speed_m = self._draw_same_speed_m()
        from_, to = np.array(self._from, dtype=np.float64), np.array(self._to, dtype=np.float64)
        start_m = self._block_m * from_ + (to - from_) * self._done_m
        length_m = min(self._block_m - self._done_m, self._same_speed_m)
        # Set, not summed: a sum that is rounded below the block would leave a remainder.
        ends_street = length_m == self._block_m - self._done_m
        self._done_m = self._block_m if ends_street else self._done_m + length_m
        self._same_speed_m -= length_m
        return start_m, (to - from_) * self._speed_mps, length_m / self._speed_mps

    def _turn(self) -> None:
        east, north = self._to[0] - self._from[0], self._to[1] - self._from[1]
        draw = self._rng.random()
        if draw < TURN_PROBABILITIES[0]:
            step = (east, north)
        elif draw < TURN_PROBABILITIES[0] + TURN_PROBABILITIES[1]:
            step = (-north, east)
        else:
            step = (north, -east)
        ahead = (self._to[0] + step[0], self._to[1] + step[1])
        if (self._to, ahead) not in self._streets:
            ahead = self._from
        self._from, self._to = self._to, ahead
        self._done_m = 0.0

    def _draw_speed_mps(self) -> float:
        deviation = SPEED_STD_FRACTION * float(self._rng.standard_normal())
        deviation = min(max(deviation, -SPEED_SPREAD_FRACTION), SPEED_SPREAD_FRACTION)
        return self._mean_mps * (1.0 + deviation)

    def _draw_same_speed_m(self) -> float:
        return SPEED_CHECK_M * float(self._rng.geometric(SPEED_CHANGE_PROBABILITY))
