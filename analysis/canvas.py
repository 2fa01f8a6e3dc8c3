"""Figures of three sizes, one column or both of a journal page and a slide, and Axes of anybody's.

A function that draws takes an Axes or makes one. Inside :func:`figure_style` it draws in the style
at hand; outside it brings the style of a page along, and gives it to the Axes.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal, cast, get_args

import matplotlib as mpl
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import ScalarFormatter
from matplotlib.transforms import ScaledTranslation, blended_transform_factory

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
_SIZE: ContextVar[Size | None] = ContextVar("size", default=None)
"""``None`` outside the style."""

_FRAME_IN = 0.55
"""Height of labels and legend, which stacked panels share in part."""
LEGEND_ROW_IN = 0.15
"""Height of one row of a legend."""
_LEGEND_EDGE_IN = 0.05
"""What a legend is taller than its rows."""
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
    return _canvas().is_stacked


def _canvas() -> _Canvas:
    return _CANVASES[_SIZE.get() or "double"]


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
    canvas = _canvas()
    if canvas.is_stacked and columns > 1:
        panel_in = (height_in - _FRAME_IN) / rows + 0.8 * _FRAME_IN
        rows, columns, height_in = rows * columns, 1, _FRAME_IN + rows * columns * panel_in
    # the layout is set here as well, so that it holds outside the style
    figure = Figure(figsize=(canvas.width_in, canvas.height * height_in), layout="constrained")
    axes = figure.subplots(rows, columns, sharex=sharex, sharey=sharey, squeeze=False)
    return figure, list(np.ravel(axes))


@dataclass(frozen=True, slots=True)
class PanelGrid:
    """Panels of one kind in rows, of which the last may not be full."""

    count: int
    columns: int
    panel_in: float
    """Height of a panel."""

    def make(self, *, is_shared: bool = True) -> list[Axes]:
        """Return the Axes of a new figure, with common axes or their own; the rest are hidden."""
        canvas, rows = _canvas(), -(-self.count // self.columns)
        size_in = (canvas.width_in, canvas.height * (0.5 + self.panel_in * rows))
        figure = Figure(figsize=size_in, layout="constrained")
        axes = figure.subplots(
            rows, self.columns, sharex=is_shared, sharey=is_shared, squeeze=False
        )
        for ax in axes.flat[self.count :]:
            ax.set_visible(False)
        return list(axes.flat[: self.count])

    def edges(self, place: int) -> tuple[bool, bool]:
        """Whether a panel has none to its left, and none below it."""
        return place % self.columns == 0, place + self.columns >= self.count


def panel_grid(count: int, *, a_row: int, panel_in: float) -> PanelGrid:
    """Return a grid with so many panels a row on a page, two where panels are stacked."""
    return PanelGrid(count, min(2 if is_stacked() else a_row, count), panel_in)


def figure_of(ax: Axes) -> Figure:
    """Return the figure that an Axes stands in."""
    return cast("Figure", ax.get_figure(root=True))


@contextmanager
def one_axes(ax: Axes | None, *, height_in: float) -> Iterator[Axes]:
    """Yield the Axes that is given, or that of a new figure one column wide, to draw on.

    Parameters
    ----------
    ax
        Given by the caller, or ``None``.
    height_in
        Of a new figure.
    """
    with _style_at_hand():
        if ax is None:
            scale = _canvas().text
            size_in = (scale * COLUMN_WIDTH_IN, scale * height_in)
            ax = Figure(figsize=size_in, layout="constrained").subplots()
        if _SIZE.get() is None:
            _dress(ax)
        yield ax


@contextmanager
def many_axes(
    axes: Sequence[Axes] | None, count: int, make: Callable[[], Sequence[Axes]]
) -> Iterator[list[Axes]]:
    """Yield the Axes that are given, one a panel, or those of a new figure, to draw on.

    Parameters
    ----------
    axes
        Given by the caller, at least ``count``; or ``None``.
    count
        Of panels.
    make
        Makes the Axes of a new figure.

    Raises
    ------
    ValueError
        Too few Axes are given.
    """
    with _style_at_hand():
        shown = list(np.ravel(np.asarray(make() if axes is None else axes, dtype=object)))
        if len(shown) < count:
            msg = f"axes: must be {count}, one a panel, got {len(shown)}"
            raise ValueError(msg)
        if _SIZE.get() is None:
            for ax in shown[:count]:
                _dress(ax)
        yield shown[:count]


@contextmanager
def _style_at_hand() -> Iterator[None]:
    """Bring the settings of a page along where no style is in force."""
    if _SIZE.get() is None:
        with mpl.rc_context(RC):  # type: ignore[arg-type]
            yield
    else:
        yield


def _dress(ax: Axes) -> None:
    """Write the look of a page into an Axes, so that it needs no settings when it is drawn."""
    for side, spine in ax.spines.items():
        spine.set(edgecolor=RC["axes.edgecolor"], linewidth=RC["axes.linewidth"])
        spine.set_visible(side in {"left", "bottom"})
    for name, axis in (("x", ax.xaxis), ("y", ax.yaxis)):
        colour, size = (RC[f"{name}tick.{key}"] for key in ("color", "labelsize"))
        ax.tick_params(axis=name, color=colour, labelcolor=colour, labelsize=size)  # type: ignore[arg-type]
        width, length = (RC[f"{name}tick.major.{key}"] for key in ("width", "size"))
        ax.tick_params(axis=name, width=width, length=length)  # type: ignore[arg-type]
        axis.label.set(color=RC["axes.labelcolor"], fontsize=RC["axes.labelsize"])
        axis.label.set_parse_math(False)  # nobody's words are formulas
        formatter = axis.get_major_formatter()
        if isinstance(formatter, ScalarFormatter):
            formatter.set_useOffset(False)
            formatter.set_useMathText(False)
    ax.title.set(color=RC["text.color"], fontsize=RC["axes.titlesize"])
    ax.grid(visible=True, color=RC["grid.color"], linewidth=RC["grid.linewidth"])
    ax.set_axisbelow(True)


def legend_grid(handles: Sequence[Artist], width_in: float) -> tuple[int, int]:
    """Return rows and columns of a legend: as few rows as the width takes, equally long."""
    longest = max(len(str(handle.get_label())) for handle in handles)
    most = max(1, int(width_in / (0.055 * longest + 0.6)))
    rows = math.ceil(len(handles) / most)
    return rows, math.ceil(len(handles) / rows)


def legend_handle_length(handles: Sequence[Artist]) -> float:
    """Return the length of a legend's samples, in font sizes: patches are short."""
    return 1.2 if isinstance(handles[0], Patch) else 3.6


def legend_above(ax: Axes, handles: Sequence[Artist], *, is_new: bool) -> None:
    """Put the legend of an Axes above it, where no data can be; a title goes above the legend.

    Parameters
    ----------
    ax
        The Axes.
    handles
        At least one.
    is_new
        Whether the figure was made for this Axes: it grows with the legend.
    """
    if not handles:
        return
    figure = figure_of(ax)
    width_in = figure.get_figwidth() if is_new else ax.get_window_extent().width / figure.dpi
    rows, columns = legend_grid(handles, width_in)
    if is_new:
        figure.set_figheight(figure.get_figheight() + LEGEND_ROW_IN * max(0, rows - 2))
    ax.legend(
        handles=list(handles),
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=columns,
        columnspacing=1.4,
        handlelength=legend_handle_length(handles),
        borderaxespad=0.2,
    )
    # titles stay clear of inset Axes, but not of legends: an empty inset as high as the legend
    top = figure.dpi_scale_trans + ScaledTranslation(0.0, 1.0, ax.transAxes)  # type: ignore[arg-type]
    place = blended_transform_factory(ax.transAxes, top)
    spacer = ax.inset_axes((0.0, 0.0, 1.0, LEGEND_ROW_IN * rows + _LEGEND_EDGE_IN), transform=place)
    spacer.set_axis_off()
    spacer.set_in_layout(False)
