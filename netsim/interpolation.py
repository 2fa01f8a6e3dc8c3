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
        self.values: Float[np.ndarray, "any ..."] = np.array(values, dtype=float)
        """One value per function (first axis) and knot."""
        self.lowest, self.step = tuple(lowest), tuple(step)
        """First knot and spacing of the knots of each argument."""
        self._flat = self.values.ravel()
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


class PairedTables:
    """Two tables of as many functions each, of an argument of its own and one that both share.

    The place of the shared argument, and the values of both tables, are looked up in one go.

    Parameters
    ----------
    one, other
        Tables of two arguments. The knots of the second are equally spaced; those of both tables
        are on one grid.

    Raises
    ------
    ValueError
        If they do not.

    Examples
    --------
    >>> one = RegularTable(np.array([[[0.0, 1.0], [10.0, 11.0]]]), lowest=(0.0, 0.0), step=(1, 2))
    >>> other = RegularTable(np.array([[[5.0, 7.0], [5.0, 7.0]]]), lowest=(1.0, 2.0), step=(1, 2))
    >>> PairedTables(one, other)(np.array([0.5]), np.array([0.0]), np.array([1.0])).tolist()
    [[[5.5], [5.0]]]
    """

    def __init__(self, one: RegularTable, other: RegularTable) -> None:
        pair = (one, other)
        lowest, step = min(one.lowest[1], other.lowest[1]), one.step[1]
        before = [round((table.lowest[1] - lowest) / step) for table in pair]
        starts = [lowest + count * step for count in before]
        if other.step[1] != step or starts != [table.lowest[1] for table in pair]:
            knots = [(table.lowest[1], table.step[1]) for table in pair]
            msg = f"knots of the second argument must be on one grid, got (lowest, step) {knots}"
            raise ValueError(msg)
        width = max(
            count + table.values.shape[2] for count, table in zip(before, pair, strict=True)
        )
        padded = [
            # held at the ends, as places are clipped
            np.pad(
                table.values,
                ((0, 0), (0, 0), (count, width - count - table.values.shape[2])),
                mode="edge",
            )
            for count, table in zip(before, pair, strict=True)
        ]
        self._flat = np.concatenate([values.ravel() for values in padded])
        self._shared = (lowest, step, width)
        self._lowest = np.array([table.lowest[0] for table in pair])
        self._step = np.array([table.step[0] for table in pair])
        self._last = np.array([values.shape[1] - 1 for values in padded])
        size = [values[0].size for values in padded]
        first = np.array([0, padded[0].size]) + np.arange(len(one.values))[:, None] * size
        self._corners = np.array([first, first + 1, first + width, first + width + 1])

    def __call__(
        self,
        of_one: Float[np.ndarray, "..."],
        of_other: Float[np.ndarray, "..."],
        shared: Float[np.ndarray, "..."],
    ) -> Float[np.ndarray, "any 2 ..."]:
        """Return the functions of both tables at points of one shape, clipped to the grids."""
        axes = (2, *(1,) * of_one.ndim)
        last = self._last.reshape(axes)
        place = (np.array([of_one, of_other]) - self._lowest.reshape(axes)) / self._step.reshape(
            axes
        )
        inside = np.minimum(np.maximum(place, 0.0), last)
        low = np.minimum(inside.astype(np.intp), last - 1)
        lowest, step, width = self._shared
        shared_low, shared_part = find_cell((shared - lowest) / step, width)
        corners = self._corners.reshape(*self._corners.shape, *(1,) * of_one.ndim)
        found = self._flat.take(corners + (low * width + shared_low))
        near = found[:2]
        near = near + (inside - low) * (found[2:] - near)
        return near[0] + shared_part * (near[1] - near[0])
