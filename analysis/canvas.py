"""Figures of three sizes: one column or both of a journal page, and a slide."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal, get_args

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from analysis.style import COLUMN_WIDTH_IN, PAGE_WIDTH_IN, RC

Size = Literal["column", "double", "slide"]
SIZES: tuple[Size, ...] = get_args(Size)


@dataclass(frozen=True, slots=True)
class _Canvas:
    """One size: width, and how much taller, larger and bolder all is than on a page."""

    width_in: float
    height: float = 1.0
    text: float = 1.0
    is_stacked: bool = False
    """Whether panels that stand side by side on a page stand below one another."""


_CANVASES: dict[Size, _Canvas] = {
    "column": _Canvas(width_in=COLUMN_WIDTH_IN, is_stacked=True),
    "double": _Canvas(width_in=PAGE_WIDTH_IN),
    "slide": _Canvas(width_in=10.0, height=1.35, text=1.4),
}
_SIZE: ContextVar[Size] = ContextVar("size", default="double")

_FRAME_IN = 0.55
"""Height of labels and legend, which stacked panels share in part."""
_SCALED = ("font.size", "axes.labelsize", "axes.titlesize", "xtick.labelsize", "ytick.labelsize",
           "legend.fontsize", "lines.linewidth", "lines.markersize", "axes.linewidth")  # fmt: skip


@contextmanager
def figure_style(size: Size = "double") -> Iterator[None]:
    """Draw and save figures inside this block: it holds for both, and ends with it.

    Parameters
    ----------
    size
        ``column`` and ``double``: 3.5 and 7.16 inches, of a two-column journal page, text of 7 and
        8 points; ``slide``: 10 inches, text of 10 and 11 points.
    """
    canvas = _CANVASES[size]
    rc = {**RC, **{key: canvas.text * float(str(RC[key])) for key in _SCALED}}
    token = _SIZE.set(size)
    try:
        with mpl.rc_context(rc):  # type: ignore[arg-type]
            yield
    finally:
        _SIZE.reset(token)


def is_stacked() -> bool:
    """Whether panels stand below one another in the size at hand."""
    return _CANVASES[_SIZE.get()].is_stacked


def panels(
    height_in: float, *, rows: int = 1, columns: int = 1, sharex: bool = False, sharey: bool = False
) -> tuple[Figure, list[Axes]]:
    """Return a figure of the size at hand with its axes, row by row.

    Parameters
    ----------
    height_in
        On a page. Where panels are stacked each keeps its height.
    rows, columns
        Of panels on a page.
    sharex, sharey
        Whether they have one axis; y axes of stacked panels are all labelled.
    """
    canvas = _CANVASES[_SIZE.get()]
    if canvas.is_stacked and columns > 1:
        panel_in = (height_in - _FRAME_IN) / rows + 0.8 * _FRAME_IN
        rows, columns, height_in = rows * columns, 1, _FRAME_IN + rows * columns * panel_in
    # the layout is set here as well, so that it holds outside the style
    figure = Figure(figsize=(canvas.width_in, canvas.height * height_in), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=sharex, sharey=sharey, squeeze=False)
    return figure, list(np.ravel(axes))
