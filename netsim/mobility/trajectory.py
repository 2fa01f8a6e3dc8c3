"""A client's path: where it is and how fast it goes at any instant, asked in any order."""

from abc import ABC, abstractmethod
from bisect import bisect_right
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float


@runtime_checkable
class Trajectory(Protocol):
    """A path that is a function of time: the same answer whenever and however often asked."""

    def position_m(self, at_s: float) -> Float[np.ndarray, " 2"]:
        """Give the place at an instant >= 0."""

    def speed_mps(self, at_s: float) -> float:
        """Give the speed at an instant >= 0; at a change, that after it."""


class Legs(ABC):
    """A path of straight legs at constant velocity, made only as far as somebody asked.

    Legs come from one generator in the order of time and are kept, hence the path does not depend
    on the order of questions.
    """

    def __init__(self) -> None:
        self._started_at_s: list[float] = []
        self._start_m: list[Float[np.ndarray, " 2"]] = []
        self._velocity_mps: list[Float[np.ndarray, " 2"]] = []
        self._end_s = 0.0

    @abstractmethod
    def _next_leg(self) -> tuple[Float[np.ndarray, " 2"], Float[np.ndarray, " 2"], float]:
        """Give start, velocity and duration [s] of the leg that follows the last one."""

    def position_m(self, at_s: float) -> Float[np.ndarray, " 2"]:
        """Give the place at an instant >= 0."""
        leg = self._leg(at_s)
        return self._start_m[leg] + self._velocity_mps[leg] * (at_s - self._started_at_s[leg])

    def speed_mps(self, at_s: float) -> float:
        """Give the speed at an instant >= 0; at a change, that after it."""
        x_mps, y_mps = self._velocity_mps[self._leg(at_s)]
        return float(np.hypot(x_mps, y_mps))

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
    """Give the direction at an angle, counter-clockwise from the x axis."""
    return np.array([np.cos(angle_rad), np.sin(angle_rad)])


def reflect(
    vector: Float[np.ndarray, " 2"], normal: Float[np.ndarray, " 2"]
) -> Float[np.ndarray, " 2"]:
    """Mirror a vector at a wall with this unit normal."""
    return vector - 2.0 * float(vector @ normal) * normal
