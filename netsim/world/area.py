"""Shapes of the service area: placement of clients and reflection at the border."""

from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

RELATIVE_SLACK = 1e-9
"""Distance outside, over the diameter, up to which points count as inside (rounding)."""


@runtime_checkable
class Area(Protocol):
    """A region of the plane, coordinates in metres; immutable and hashable."""

    def __hash__(self) -> int:
        """Return the hash; equal regions have equal hashes."""

    @property
    def diameter_m(self) -> float:
        """Upper bound of the distance between two points of the area."""

    @property
    def bounds_m(self) -> tuple[float, float, float, float]:
        """Smallest x, smallest y, largest x, largest y."""

    def contains(self, position_m: Float[np.ndarray, "point 2"]) -> Bool[np.ndarray, " point"]:
        """Return which points lie in the area, its border included."""

    def place(self, uniform: Float[np.ndarray, "point 3"]) -> Float[np.ndarray, "point 2"]:
        """Map triples of uniform numbers in [0, 1) to points uniform in the area."""

    def leave(
        self, position_m: Float[np.ndarray, " 2"], direction: Float[np.ndarray, " 2"]
    ) -> tuple[float, Float[np.ndarray, " 2"]]:
        """Return where a straight line from a point of the area first leaves it.

        Parameters
        ----------
        position_m
            A point of the area.
        direction
            Unit vector.

        Returns
        -------
        tuple
            Distance to the border [m], >= 0, and the outward unit normal of the border there.
        """


@dataclass(frozen=True)
class Disc:
    """A disc around the origin."""

    radius_m: float

    @property
    def diameter_m(self) -> float:
        """Twice the radius."""
        return 2.0 * self.radius_m

    @property
    def bounds_m(self) -> tuple[float, float, float, float]:
        """The enclosing square."""
        return (-self.radius_m, -self.radius_m, self.radius_m, self.radius_m)

    def contains(self, position_m: Float[np.ndarray, "point 2"]) -> Bool[np.ndarray, " point"]:
        """Return which points are at most the radius from the origin."""
        limit_m = self.radius_m * (1 + RELATIVE_SLACK)
        return np.hypot(position_m[:, 0], position_m[:, 1]) <= limit_m

    def place(self, uniform: Float[np.ndarray, "point 3"]) -> Float[np.ndarray, "point 2"]:
        """Take the root of the first number as relative radius, the second as angle."""
        radius_m = self.radius_m * np.sqrt(uniform[:, 0])
        angle_rad = 2.0 * np.pi * uniform[:, 1]
        return np.stack([radius_m * np.cos(angle_rad), radius_m * np.sin(angle_rad)], axis=1)

    def leave(
        self, position_m: Float[np.ndarray, " 2"], direction: Float[np.ndarray, " 2"]
    ) -> tuple[float, Float[np.ndarray, " 2"]]:
        """Solve the quadratic equation for the circle."""
        along_m = float(position_m @ direction)
        inside_m2 = self.radius_m**2 - float(position_m @ position_m)
        distance_m = -along_m + np.sqrt(max(along_m**2 + inside_m2, 0.0))
        distance_m = max(float(distance_m), 0.0)
        exit_m = position_m + distance_m * direction
        return distance_m, exit_m / np.hypot(exit_m[0], exit_m[1])


@dataclass(frozen=True)
class Rectangle:
    """A rectangle around the origin, sides along the axes."""

    width_m: float
    height_m: float

    @property
    def diameter_m(self) -> float:
        """The diagonal."""
        return float(np.hypot(self.width_m, self.height_m))

    @property
    def bounds_m(self) -> tuple[float, float, float, float]:
        """The rectangle itself."""
        x_m, y_m = self.width_m / 2, self.height_m / 2
        return (-x_m, -y_m, x_m, y_m)

    def contains(self, position_m: Float[np.ndarray, "point 2"]) -> Bool[np.ndarray, " point"]:
        """Compare both coordinates with half the sides."""
        slack_m = RELATIVE_SLACK * self.diameter_m
        half_m = np.array([self.width_m, self.height_m]) / 2 + slack_m
        return np.all(np.abs(position_m) <= half_m, axis=1)

    def place(self, uniform: Float[np.ndarray, "point 3"]) -> Float[np.ndarray, "point 2"]:
        """Scale the first two numbers."""
        return (uniform[:, :2] - 0.5) * np.array([self.width_m, self.height_m])

    def leave(
        self, position_m: Float[np.ndarray, " 2"], direction: Float[np.ndarray, " 2"]
    ) -> tuple[float, Float[np.ndarray, " 2"]]:
        """Return the nearer of the two sides in this direction."""
        half_m = np.array([self.width_m, self.height_m]) / 2
        ahead_m = np.full(2, np.inf)
        moving = direction != 0
        ahead_m[moving] = (half_m[moving] - position_m[moving] * np.sign(direction[moving])) / (
            np.abs(direction[moving])
        )
        axis = int(ahead_m.argmin())
        normal = np.zeros(2)
        normal[axis] = np.sign(direction[axis])
        return max(float(ahead_m[axis]), 0.0), normal


SIDE_NORMALS = np.stack(
    [np.cos(np.radians(60.0 * np.arange(6))), np.sin(np.radians(60.0 * np.arange(6)))], axis=1
)
"""Outward normals of a hexagon's sides: 0, 60, ... degrees. Its corners are at 30, 90, ..."""


@dataclass(frozen=True)
class Hexagons:
    """A union of hexagons of a grid with distance ``isd_m`` between centres."""

    centre_m: tuple[tuple[float, float], ...]
    isd_m: float

    @cached_property
    def _centre_m(self) -> Float[np.ndarray, "hexagon 2"]:
        return np.array(self.centre_m)

    @cached_property
    def corner_m(self) -> Float[np.ndarray, "6 2"]:
        """Corners of one hexagon about its centre, counter-clockwise from 30 degrees."""
        angle_rad = np.radians(30.0 + 60.0 * np.arange(6))
        return self.isd_m / np.sqrt(3.0) * np.stack([np.cos(angle_rad), np.sin(angle_rad)], axis=1)

    @cached_property
    def diameter_m(self) -> float:
        """Distance between the outermost centres plus the diameter of a hexagon."""
        gap_m = self._centre_m[:, np.newaxis] - self._centre_m[np.newaxis]
        return float(np.hypot(gap_m[..., 0], gap_m[..., 1]).max() + 2 * self.isd_m / np.sqrt(3.0))

    @cached_property
    def bounds_m(self) -> tuple[float, float, float, float]:
        """Extremes of all corners."""
        corner_m = (self._centre_m[:, np.newaxis] + self.corner_m[np.newaxis]).reshape(-1, 2)
        low_m, high_m = corner_m.min(axis=0), corner_m.max(axis=0)
        return (float(low_m[0]), float(low_m[1]), float(high_m[0]), float(high_m[1]))

    @cached_property
    def border(self) -> tuple[np.ndarray, np.ndarray]:
        """Mid-points and outward normals of the sides that no other hexagon shares."""
        middle_m, normal = [], []
        for centre_m in self._centre_m:
            for side in SIDE_NORMALS:
                gap_m = self._centre_m - (centre_m + self.isd_m * side)
                if np.hypot(gap_m[:, 0], gap_m[:, 1]).min() > 0.5 * self.isd_m:
                    middle_m.append(centre_m + 0.5 * self.isd_m * side)
                    normal.append(side)
        return np.array(middle_m), np.array(normal)

    def contains(self, position_m: Float[np.ndarray, "point 2"]) -> Bool[np.ndarray, " point"]:
        """Return which points lie in one of the hexagons."""
        limit_m = 0.5 * self.isd_m + RELATIVE_SLACK * self.diameter_m
        relative_m = position_m[:, np.newaxis] - self._centre_m[np.newaxis]
        inside = np.abs(relative_m @ SIDE_NORMALS[:3].T) <= limit_m
        return inside.all(axis=2).any(axis=1)

    def place(self, uniform: Float[np.ndarray, "point 3"]) -> Float[np.ndarray, "point 2"]:
        """Select a hexagon, one of the three rhombi that tile it, and a point in the rhombus."""
        choice = np.minimum(
            (uniform[:, 0] * 3 * len(self.centre_m)).astype(np.int64), 3 * len(self.centre_m) - 1
        )
        hexagon, rhombus = np.divmod(choice, 3)
        first_m, second_m = self.corner_m[2 * rhombus], self.corner_m[(2 * rhombus + 2) % 6]
        return self._centre_m[hexagon] + uniform[:, 1:2] * first_m + uniform[:, 2:3] * second_m

    def leave(
        self, position_m: Float[np.ndarray, " 2"], direction: Float[np.ndarray, " 2"]
    ) -> tuple[float, Float[np.ndarray, " 2"]]:
        """Return the first outer side that the line crosses outwards."""
        middle_m, normal = self.border
        outward = normal @ direction
        with np.errstate(divide="ignore", invalid="ignore"):
            ahead_m = np.einsum("ij,ij->i", middle_m - position_m, normal) / outward
        ahead_m = np.where(outward > 0, ahead_m, np.inf)
        slack_m = RELATIVE_SLACK * self.diameter_m
        crossing_m = position_m + np.where(np.isfinite(ahead_m), ahead_m, 0.0)[:, None] * direction
        along_m = np.hypot(*(crossing_m - middle_m).T)
        half_side_m = 0.5 * self.isd_m / np.sqrt(3.0)
        hit = np.isfinite(ahead_m) & (ahead_m >= -slack_m) & (along_m <= half_side_m + slack_m)
        if not hit.any():
            msg = f"position_m: must lie in the area, got {position_m.tolist()}"
            raise ValueError(msg)
        side = int(np.where(hit, ahead_m, np.inf).argmin())
        return max(float(ahead_m[side]), 0.0), normal[side]
