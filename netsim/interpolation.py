"""Functions tabulated at regular knots, looked up by multilinear interpolation."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from jaxtyping import Float, Int, Shaped


def find_cell(
    place: Float[np.ndarray, "..."], num_knots: int
) -> tuple[Int[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Give the lower of two knots around each place, and how far it is to the next; edges hold.

    Parameters
    ----------
    place
        In steps from the first knot.
    num_knots
        At least 2.

    Examples
    --------
    >>> low, part = find_cell(np.array([-1.0, 0.25, 2.0]), 3)
    >>> low.tolist(), part.tolist()
    ([0, 0, 1], [0.0, 0.25, 1.0])
    """
    # not np.clip, which takes several times as long for a few values
    inside = np.minimum(np.maximum(place, 0.0), num_knots - 1.0)
    low = np.minimum(inside.astype(np.intp), num_knots - 2)
    return low, inside - low


def hat_weights(
    at: Float[np.ndarray, " point"], knots: Float[np.ndarray, " knot"]
) -> Float[np.ndarray, "point knot"]:
    """Give the weights of linear interpolation between ascending knots, held beyond the ends.

    Means taken with them keep the mean over all points when they are interpolated again.

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
    """Several functions of the same arguments at the same knots.

    Parameters
    ----------
    values
        One value a function and knot; axes after the first are those of the arguments.
    lowest, step
        First knot and distance of knots of each argument.

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
        for stride in reversed(strides):  # near and far half of an argument, each halved by others
            corners = np.concatenate([corners, corners + stride])
        self._corners = corners

    def __call__(self, *at: Float[np.ndarray, "..."]) -> Float[np.ndarray, "any ..."]:
        """Give the functions at points whose arguments broadcast; beyond the knots edges hold."""
        first: npt.NDArray[np.intp] = np.zeros((), dtype=np.intp)
        parts = []
        for value, (lowest, step, num_knots, stride) in zip(at, self._axes, strict=True):
            low, part = find_cell((value - lowest) / step, num_knots)
            first = np.asarray(first + low * stride)
            parts.append(part)
        corners = self._corners.reshape(*self._corners.shape, *(1,) * first.ndim)
        found = self._flat.take(corners + first)
        for part in parts:
            half = len(found) // 2
            near = found[:half]
            found = near + part * (found[half:] - near)
        return found[0]
