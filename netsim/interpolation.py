"""Multilinear interpolation of functions tabulated on regular grids."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Int, Shaped


def find_cell(
    place: Float[np.ndarray, "..."], num_knots: int
) -> tuple[Int[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Return the lower neighbouring knot of each place and the fraction to the next, clipped.

    Parameters
    ----------
    place
        Distance from the first knot in steps; clipped to the knots.
    num_knots
        Number of knots, at least 2.

    Examples
    --------
    >>> low, part = find_cell(np.array([-1.0, 0.25, 2.0]), 3)
    >>> low.tolist(), part.tolist()
    ([0, 0, 1], [0.0, 0.25, 1.0])
    """
    # np.clip takes several times as long for a few values.
    inside = np.minimum(np.maximum(place, 0.0), num_knots - 1.0)
    low = np.minimum(inside.astype(np.intp), num_knots - 2)
    return low, inside - low


def hat_weights(
    at: Float[np.ndarray, " point"], knots: Float[np.ndarray, " knot"]
) -> Float[np.ndarray, "point knot"]:
    """Return the weights of linear interpolation between ascending knots, clipped to the ends.

    Averages over points with these weights preserve the mean over all points when they are
    interpolated at the points.

    Examples
    --------
    >>> hat_weights(np.array([0.0, 2.5]), np.array([1.0, 2.0, 4.0])).tolist()
    [[1.0, 0.0, 0.0], [0.0, 0.75, 0.25]]
    """
    weight = np.zeros((len(at), len(knots)))
    if len(knots) == 1:
        return weight + 1.0
    low, part = find_cell(np.interp(at, knots, np.arange(len(knots))), len(knots))
    point = np.arange(len(at))
    weight[point, low] = 1.0 - part
    weight[point, low + 1] = part
    return weight


class RegularTable:
    """Functions of the same arguments, tabulated on one regular grid.

    Parameters
    ----------
    values
        One value per function (first axis) and knot (one axis per argument).
    lowest, step
        First knot and spacing of the knots of each argument.

    Examples
    --------
    >>> table = RegularTable(np.array([[[0.0, 1.0], [10.0, 11.0]]]), lowest=(0.0, 0.0), step=(1, 2))
    >>> table(np.array([0.5, 9.0]), np.array([1.0, 1.0])).tolist()
    [[5.5, 10.5]]
    """

    def __init__(
        self,
        values: Shaped[np.ndarray, "any ..."],
        *,
        lowest: Sequence[float],
        step: Sequence[float],
    ) -> None:
        self._flat = np.array(values, dtype=float).ravel()
        shape = values.shape[1:]
        strides = [int(np.prod(shape[axis + 1 :])) for axis in range(len(shape))]
        self._axes = list(zip(lowest, step, shape, strides, strict=True))
        corners = np.prod(shape, dtype=np.intp) * np.arange(len(values))[None]
        for stride in reversed(strides):  # lower and upper half of an argument, split by the others
            corners = np.concatenate([corners, corners + stride])
        self._corners = corners

    def __call__(self, *at: Float[np.ndarray, "..."]) -> Float[np.ndarray, "any ..."]:
        """Return the functions at points, clipped to the grid; the arguments broadcast."""
        first: npt.NDArray[np.intp] = np.zeros((), dtype=np.intp)
        parts = []
        for value, (lowest, step, num_knots, stride) in zip(at, self._axes, strict=True):
            low, part = find_cell((value - lowest) / step, num_knots)
            first = np.asarray(first + (low if stride == 1 else low * stride))
            parts.append(part)
        corners = self._corners.reshape(*self._corners.shape, *(1,) * first.ndim)
        found = self._flat.take(corners + first)
        for part in parts:
            half = len(found) // 2
            near = found[:half]
            found = near + part * (found[half:] - near)
        return found[0]
