"""What a figure is: its data, its drawing and its words; and what all drawings share."""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd
from matplotlib.artist import Artist
from matplotlib.figure import Figure

from analysis.canvas import LEGEND_ROW_IN, legend_grid, legend_handle_length
from analysis.load import Results
from analysis.stats import Cost
from analysis.style import MUTED
from analysis.text_safety import figure_text, visible

TWO_SEEDS = "interval of two seeds"


@dataclass(frozen=True, kw_only=True, slots=True)
class Subject:
    """What one figure of a kind is about; ``None`` where the kind does not ask."""

    metric: str | None = None
    split: str | None = None
    cost: Cost | None = None

    def metric_and_split(self) -> tuple[str, str]:
        """Return metric and split of a kind that asks for both.

        Raises
        ------
        ValueError
            If one is missing.
        """
        if self.metric is None or self.split is None:
            msg = f"subject: must have a metric and a split, got {self}"
            raise ValueError(msg)
        return self.metric, self.split


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One drawn figure with the data that it shows."""

    name: str
    """File name without ending."""
    title: str
    caption: str
    figure: Figure
    data: pd.DataFrame
    in_report: bool = True
    """False for a single panel that the report shows as part of a larger figure."""


@dataclass(frozen=True, kw_only=True)
class FigureKind:
    """One kind of figure: when there are rows for it, its data, and its drawing."""

    needs: Callable[[Results], Sequence[Subject]]
    """Subjects for which the rows suffice; none where they do not."""
    frame: Callable[[Results, Subject], pd.DataFrame]
    """The data of the figure, written beside it as CSV."""
    draw: Callable[[Results, Subject, pd.DataFrame], Picture]
    """The drawing of that data; call within :func:`analysis.style.figure_style`."""


def add_legend(figure: Figure, handles: Sequence[Artist], *, remark: str = "") -> None:
    """Put the legend above the axes: as few rows as the width takes, equally long."""
    width = figure.get_figwidth()
    rows, columns = legend_grid(handles, width)
    rows += 1 if remark else 0
    figure.set_figheight(figure.get_figheight() + LEGEND_ROW_IN * max(0, rows - 2))
    legend = figure.legend(
        handles=list(handles),
        loc="outside upper center",
        ncols=columns,
        columnspacing=1.4,
        handlelength=legend_handle_length(handles),
        borderaxespad=0.2,
        title="\n".join(textwrap.wrap(visible(remark), int(width / 0.06))) or None,
        title_fontproperties={"size": 6.5, "style": "italic"},
    )
    legend.get_title().set_color(MUTED)


def mark_costs(figure: Figure, results: Results) -> None:
    """Write on the figure itself which architecture the costs stand for."""
    if results.cost_label:
        words = f"costs {figure_text(results.cost_label)}"
        figure.supxlabel(words, x=0.99, ha="right", fontsize=6, color=MUTED)


def cost_words(results: Results) -> str:
    """State in a caption which architecture the costs stand for."""
    return f" Costs {results.cost_label}." if results.cost_label else ""


def interval_words(frame: pd.DataFrame) -> str:
    """State in a caption what the intervals are; ``n`` is a column of the frame."""
    counts = sorted({int(n) for n in frame["n"]})
    if counts == [1]:
        return "no interval (one seed)"
    if counts == [2]:
        return f"{TWO_SEEDS} (95 % Student-t, one degree of freedom)"
    listed = " to ".join(str(n) for n in dict.fromkeys((counts[0], counts[-1])))
    return f"95 % Student-t interval (n = {listed} seeds)"


def drawn_words(frame: pd.DataFrame) -> str:
    """State in a caption what bands and whiskers are; of two seeds figures draw the range."""
    if int(frame["n"].max()) == 2:
        return f"range of two seeds (tables give the {TWO_SEEDS}: Student-t, one degree of freedom)"
    return interval_words(frame)


def spread_words(frame: pd.DataFrame) -> str:
    """State in a caption what stands behind a ``±``."""
    if (frame["n"] == 1).all():
        return "without interval (one seed)"
    return f"± {interval_words(frame)}"
