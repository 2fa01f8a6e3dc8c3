"""Path of a client: position and speed as functions of time."""

from abc import ABC, abstractmethod
from bisect import bisect_right
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float


@runtime_checkable
class Trajectory(Protocol):
    """A path that is a function of time, whatever the order of the calls."""

    def position_m(self, at_s: float) -> Float[np.ndarray, " 2"]:
        """Return the position [m] at an instant >= 0."""

    def speed_mps(self, at_s: float) -> float:
        """Return the speed [m/s] at an instant >= 0; at a change, the speed after it."""

    def stays_until_s(
        self, at_s: float, *, lowest_m: Float[np.ndarray, " 2"], highest_m: Float[np.ndarray, " 2"]
    ) -> float:
        """Return an instant [s] until which the path stays in a box: when it leaves it or turns.

        Parameters
        ----------
        at_s
            Instant >= 0 at which the path is in the box.
        lowest_m, highest_m
            Opposite corners; the sides are parallel to the axes.
        """


class Legs(ABC):
    """A path of straight legs at constant velocity, extended on demand.

    Legs are drawn from one generator in order of time and kept, so the path does not depend on the
    order of the calls.
    """

    def __init__(self) -> None:
        self._started_at_s: list[float] = []
        self._start_m: list[Float[np.ndarray, " 2"]] = []
        self._velocity_mps: list[Float[np.ndarray, " 2"]] = []
        self._end_s = 0.0

    @abstractmethod
    def _next_leg(self) -> tuple[Float[np.ndarray, " 2"], Float[np.ndarray, " 2"], float]:
        """Return start [m], velocity [m/s] and duration [s] of the next leg."""

    def position_m(self, at_s: float) -> Float[np.ndarray, " 2"]:
        """Return the position [m] at an instant >= 0."""
        leg = self._leg(at_s)
        return self._start_m[leg] + self._velocity_mps[leg] * (at_s - self._started_at_s[leg])

    def speed_mps(self, at_s: float) -> float:
        """Return the speed [m/s] at an instant >= 0; at a change, the speed after it."""
        x_mps, y_mps = self._velocity_mps[self._leg(at_s)]
        return float(np.hypot(x_mps, y_mps))

    def stays_until_s(
        self, at_s: float, *, lowest_m: Float[np.ndarray, " 2"], highest_m: Float[np.ndarray, " 2"]
    ) -> float:
        """Return the instant [s] at which the present leg leaves a box, or ends."""
        leg = self._leg(at_s)
        is_last = leg + 1 == len(self._started_at_s)
        leaves_after_s = leaves_box_after_s(
            self._start_m[leg], self._velocity_mps[leg], lowest_m=lowest_m, highest_m=highest_m
        )
        return min(
            self._started_at_s[leg] + leaves_after_s,
            self._end_s if is_last else self._started_at_s[leg + 1],
        )

    def _leg(self, at_s: float) -> int:
        # Written so that NaN and infinity fail too.
        if not 0 <= at_s < np.inf:
            msg = f"at_s: must be >= 0 and finite, got {at_s}"
            raise ValueError(msg)
        while self._end_s <= at_s:
            start_m, velocity_mps, duration_s = self._next_leg()
            self._started_at_s.append(self._end_s)
            self._start_m.append(start_m)
            self._velocity_mps.append(velocity_mps)
            self._end_s += duration_s
        return bisect_right(self._started_at_s, at_s) - 1


def unit_vector(angle_rad: float) -> Float[np.ndarray, " 2"]:
    """Return the unit vector at an angle, counter-clockwise from the x axis."""
    return np.array([np.cos(angle_rad), np.sin(angle_rad)])


def leaves_box_after_s(
    start_m: Float[np.ndarray, " 2"],
    velocity_mps: Float[np.ndarray, " 2"],
    *,
    lowest_m: Float[np.ndarray, " 2"],
    highest_m: Float[np.ndarray, " 2"],
) -> float:
    """Return the time [s] from its start until a straight path leaves a box; inf if at rest.

    Examples
    --------
    >>> corners = {"lowest_m": np.array([0.0, 0.0]), "highest_m": np.array([6.0, 6.0])}
    >>> leaves_box_after_s(np.array([2.0, 2.0]), np.array([1.0, -0.25]), **corners)
    4.0
    """
    axes = zip(
        *(each.tolist() for each in (start_m, velocity_mps, lowest_m, highest_m)), strict=True
    )
    return min(
        ((highest if speed > 0 else lowest) - start) / speed if speed != 0 else np.inf
        for start, speed, lowest, highest in axes
    )


def reflect(
    vector: Float[np.ndarray, " 2"], normal: Float[np.ndarray, " 2"]
) -> Float[np.ndarray, " 2"]:
    """Return a vector reflected at a wall with this unit normal."""
    return vector - 2.0 * float(vector @ normal) * normal
