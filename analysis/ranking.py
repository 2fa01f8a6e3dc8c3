"""Where each method of a large study ends, at what cost: one row a method, one dot a setting."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.canvas import figure_of, legend_above, many_axes, panels
from analysis.intervals import Support, drawn_half_width, interval_ends, support_of
from analysis.limits import fitted_limits, mark_cut
from analysis.load import Results
from analysis.log_axis import label_log_x, use_log_x
from analysis.stats import final_values, is_better_low, mean_ci
from analysis.style import INK, PALETTE
from analysis.tables import splits_of
from analysis.text_safety import figure_text
from analysis.units import axis_label, display_unit

_MOST_TICKS = 3
"""Labels that a narrow panel has room for."""
MANY_VARIANTS = 12
"""More curves than this in one picture cannot be told apart: dots take their place."""

WIDE = 4.0
"""Costs further apart than this factor stand on a logarithmic scale."""

_ROW_IN, _FRAME_IN = 0.19, 1.0
_COSTS = ("uplink_mb", "at_s", "energy_j")
_MARKERS = ("o", "s", "^", "D", "v")


def ranking_frame(results: Results, *, metric: str) -> pd.DataFrame:
    """Return the final metric on each split, and total costs, of every variant.

    Returns
    -------
    pandas.DataFrame
        Columns ``variant``, ``method``, ``setting`` (its knobs in words, may be empty),
        ``quantity`` (a split, or the column of a cost), ``mean``, ``half_width``, ``n``. Methods
        come in order of their mean on the personal models, best first (on the last split, where
        there are none); a method without is last.
    """
    final = final_values(results.used(results.evaluations))
    final = final[final["metric"] == metric].assign(uplink_mb=final["uplink_bytes"] / 1e6)
    splits = splits_of(results, metric)
    parts = [
        mean_ci(final[final["split"] == split], by="variant", value="mean").assign(quantity=split)
        for split in splits
    ]
    ends = final.drop_duplicates(["variant", "seed"], keep="last")
    parts += [mean_ci(ends, by="variant", value=cost).assign(quantity=cost) for cost in _COSTS]
    frame = pd.concat([part.reset_index() for part in parts], ignore_index=True)
    known = {variant.name: variant for variant in results.variants}
    frame["method"] = [known[str(name)].method_label for name in frame["variant"]]
    frame["setting"] = [known[str(name)].setting for name in frame["variant"]]
    by = "personal" if "personal" in splits else splits[-1]
    ranked = frame[frame["quantity"] == by].groupby("method")["mean"].mean()
    order = list(ranked.sort_values(ascending=is_better_low(metric)).index)
    order += [method for method in dict.fromkeys(frame["method"]) if method not in order]
    frame["method"] = pd.Categorical(frame["method"], categories=order, ordered=True)
    columns = ["variant", "method", "setting", "quantity", "mean", "half_width", "n"]
    return frame.sort_values(["quantity", "method", "setting"])[columns].reset_index(drop=True)


def draw_ranking(
    frame: pd.DataFrame, axes: Sequence[Axes] | None = None, *, metric: str
) -> list[Axes]:
    """Draw one panel a quantity, one row a method, one dot with its interval a setting.

    Parameters
    ----------
    frame
        As :func:`ranking_frame` gives it.
    axes
        Where to draw, one a split and three more (bytes, seconds, joules); ``None`` makes a figure.
        The settings are named above the first one, or above those of a new figure.
    metric
        Name on the axes of the splits.

    Returns
    -------
    list of matplotlib.axes.Axes
        One a panel.
    """
    known = frame["method"]  # best first; of a CSV file in the order of its rows
    is_ordered = isinstance(known.dtype, pd.CategoricalDtype)
    methods = list(known.cat.categories) if is_ordered else list(dict.fromkeys(known))
    settings = list(dict.fromkeys(frame["setting"]))
    splits = [name for name in dict.fromkeys(frame["quantity"]) if name not in _COSTS]
    quantities = [*splits, *_COSTS]
    height_in, num = _FRAME_IN + _ROW_IN * len(methods), len(quantities)
    with many_axes(axes, num, lambda: panels(height_in, columns=num, sharey=True)[1]) as drawn:
        places = _Places(methods, settings)
        for ax, quantity in zip(drawn, quantities, strict=True):
            rows = frame[frame["quantity"] == quantity]
            _draw_quantity(rows, ax, quantity=quantity, metric=metric, places=places)
        names = [figure_text(str(method)) for method in reversed(methods)]
        drawn[0].set_yticks(range(len(methods)), names, color=INK)
        drawn[0].set_ylim(-0.6, len(methods) - 0.4)
        for label in drawn[0].get_yticklabels():
            label.set_parse_math(False)
        if len(settings) > 1:
            handles, words = drawn[0].get_legend_handles_labels()
            if axes is None:
                figure = figure_of(drawn[0])
                figure.legend(handles, words, loc="outside upper center", ncols=len(settings))
            else:
                legend_above(drawn[0], handles, is_new=False)
    return drawn


@dataclass(frozen=True, slots=True)
class _Places:
    """Where dots stand: a row a method, first on top, and in it a place a setting."""

    methods: Sequence[object]
    settings: Sequence[str]

    def of(self, methods: Iterable[object], setting: str) -> list[float]:
        """Return the heights of the dots of some methods in a setting."""
        num = len(self.settings)
        apart = np.linspace(0.18, -0.18, num) if num > 1 else np.zeros(1)
        row_of = {method: row for row, method in enumerate(reversed(self.methods))}
        return [row_of[method] + apart[self.settings.index(setting)] for method in methods]


def _draw_quantity(
    rows: pd.DataFrame, ax: Axes, *, quantity: str, metric: str, places: _Places
) -> None:
    """Draw the dots of one panel."""
    unit = display_unit(quantity, float(rows["mean"].max())) if quantity in _COSTS else None
    scale = unit.scale if unit is not None else 1.0
    support = support_of(metric if unit is None else quantity)
    for place, setting in enumerate(places.settings):
        own = rows[rows["setting"] == setting]
        ax.errorbar(
            own["mean"] / scale,
            places.of(own["method"], setting),
            xerr=_whiskers(own, support=support) / scale,
            fmt=_MARKERS[place % len(_MARKERS)],
            color=PALETTE[place % len(PALETTE)],
            ms=3.2,
            elinewidth=0.8,
            label=figure_text(setting) or "all",
        )
    if quantity == "uplink_mb":
        use_log_x(ax, scale="symlog")
    elif quantity in _COSTS and rows["mean"].max() > WIDE * rows["mean"].min() > 0:
        use_log_x(ax)
        label_log_x(ax, *ax.get_xlim(), most=_MOST_TICKS)
    elif quantity in _COSTS:
        ax.set_xlim(left=0.0)
    else:
        low, high = _ends(rows, support=support)
        ax.set_xlim(fitted_limits(rows["mean"], low, high))
        at = [places.of([row["method"]], row["setting"])[0] for row in rows.to_dict("records")]
        mark_cut(ax, "x", at=at, low=low, high=high, colour=INK)
    label = axis_label(quantity, unit=unit.symbol) if unit is not None else _words(quantity)
    ax.set_xlabel(label if unit is not None else f"{figure_text(metric)},\n{label}")
    ax.grid(axis="y", visible=True)


def _whiskers(rows: pd.DataFrame, *, support: Support) -> np.ndarray:
    """Return how far intervals reach below and above the means; 0 without one."""
    low, high = _ends(rows, support=support)
    return np.nan_to_num(np.stack([rows["mean"] - low, high - rows["mean"]]))


def _ends(rows: pd.DataFrame, *, support: Support) -> tuple[np.ndarray, np.ndarray]:
    half_width = drawn_half_width(rows["half_width"], rows["n"])
    return interval_ends(rows["mean"], half_width, support=support)


def _words(split: str) -> str:
    words = {"global": "global model", "finetuned": "fine-tuned models"}
    return words.get(split, "personal models")
