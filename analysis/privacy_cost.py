"""What privacy costs: the metric at the end of runs against the epsilon that they promise."""

import math
from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from analysis.canvas import panels
from analysis.intervals import drawn_half_width, interval_ends, support_of
from analysis.limits import fitted_limits, goes_on_words, mark_cut
from analysis.load import Results
from analysis.log_axis import use_log_x
from analysis.picture import Picture, Subject, add_legend, cost_words, drawn_words, mark_costs
from analysis.plots import curve_handles
from analysis.stats import final_values, mean_ci
from analysis.style import MUTED, LineStyle, variant_styles
from analysis.tables import MeanColumn, Table, interval_note, mean_rows, metrics_of
from analysis.text_safety import file_name
from analysis.units import axis_label

CLIENT = "client"
"""Level at which all that a client holds is protected; the other is ``sample``."""
_APART = 0.012
"""How far methods at one epsilon stand apart, in factors of ten."""
_ROOM = 1.5
"""Factor between the outermost epsilons and the edge."""


_OF_SAMPLES = (
    " Runs with training.privacy alone promise it to each text of a client (sample level): the "
    "largest epsilon of all clients."
)


def final_privacy(results: Results) -> pd.DataFrame:
    """Return what each run has promised at its end.

    Returns
    -------
    pandas.DataFrame
        A row a run with ``server.privacy`` or ``training.privacy``: ``variant``, ``seed``,
        ``level`` (``client`` where it has both), ``epsilon`` (NaN without a formal one; the largest
        of all clients at the level of samples), ``delta``, ``noise_std`` (of each number of the
        mean change or gradient) and ``clipped_percent`` (changes or gradients that were shortened,
        of those summed in the whole run).
    """
    rows = results.used(results.privacy)
    rows = rows.assign(level=rows["level"].replace("", CLIENT))  # as in folders without levels
    has_client = (rows["level"] == CLIENT).groupby([rows["variant"], rows["seed"]]).transform("any")
    rows = rows[(rows["level"] == CLIENT) | ~has_client]
    run = ["variant", "seed"]
    runs = rows.groupby(run, sort=False)
    last = rows.groupby([*run, "client_id"], sort=False, dropna=False).tail(1)
    ends = last.groupby(run, sort=False)
    found = ends[["level", "delta"]].first().assign(noise_std=ends["noise_std"].mean())
    found["epsilon"] = ends["epsilon"].max().where(ends["epsilon"].count() == ends.size())
    merged, clipped = runs["num_merged"].sum(), runs["num_clipped"].sum()
    return found.assign(clipped_percent=100.0 * clipped / merged.where(merged > 0)).reset_index()


def privacy_subjects(results: Results) -> list[Subject]:
    """One subject a metric where runs promise an epsilon, and not all of them the same."""
    if not len(results.privacy):
        return []
    if final_privacy(results)["epsilon"].nunique() < 2:
        return []
    return [Subject(metric=metric) for metric in metrics_of(results)]


def privacy_frame(results: Results, subject: Subject) -> pd.DataFrame:
    """Return where runs end, a row a variant and split.

    Returns
    -------
    pandas.DataFrame
        ``variant``, ``method``, ``split``, ``epsilon`` (NaN without a formal one), ``mean`` and
        ``half_width`` of the metric over seeds, ``n``.
    """
    metric = subject.metric
    final = final_values(results.used(results.evaluations))
    final = final[final["metric"] == metric]
    means = mean_ci(final, by=["variant", "split"], value="mean").reset_index()
    epsilon = final_privacy(results).groupby("variant", sort=False)["epsilon"].mean()
    frame = means[means["variant"].isin(epsilon.index)]
    methods = {variant.name: variant.method_label for variant in results.variants}
    frame = frame.assign(
        method=[methods[str(name)] for name in frame["variant"]],
        epsilon=[float(epsilon[str(name)]) for name in frame["variant"]],
    )
    columns = ["variant", "method", "split", "epsilon", "mean", "half_width", "n"]
    return frame[columns].reset_index(drop=True)


def draw_privacy(frame: pd.DataFrame, axes: Sequence[Axes], *, metric: str) -> None:
    """Draw the metric against epsilon, a line a method; without a formal epsilon as a level.

    Parameters
    ----------
    frame
        As :func:`privacy_frame` gives it.
    axes
        One for each split of the frame, in its order; they get the same limits.
    metric
        Name of the metric.
    """
    half = drawn_half_width(frame["half_width"], frame["n"])
    low, high = interval_ends(frame["mean"], half, support=support_of(metric))
    shown = frame.assign(low=low, high=high)
    limits = fitted_limits(shown["mean"], shown["low"], shown["high"])
    first, last = frame["epsilon"].min(), frame["epsilon"].max()
    styles = _styles(frame)
    splits = list(dict.fromkeys(frame["split"]))
    for ax, split in zip(axes, splits, strict=True):
        use_log_x(ax)
        ax.set_xlim(first / _ROOM, last * _ROOM)
        if limits is not None:
            ax.set_ylim(*limits)
        _draw_split(shown[shown["split"] == split], ax, styles)
        ax.set_xlabel("epsilon at the end of the run\n(smaller: more private)")
        if len(splits) > 1:
            ax.set_title(split)
    axes[0].set_ylabel(axis_label(metric))


def _draw_split(shown: pd.DataFrame, ax: Axes, styles: Mapping[str, LineStyle]) -> None:
    for place, (method, rows) in enumerate(shown.groupby("method", sort=False)):
        style = styles[str(method)]
        line = rows.dropna(subset=["epsilon"]).sort_values("epsilon")
        at = line["epsilon"] * 10.0 ** (_APART * (place - (len(styles) - 1) / 2))
        gaps = [line["mean"] - line["low"], line["high"] - line["mean"]]
        ax.errorbar(at, line["mean"], yerr=gaps, color=style.colour, linestyle=style.dash,
                    marker=style.marker, elinewidth=0.8, label=style.label)  # fmt: skip
        mark_cut(ax, "y", at=at, low=line["low"], high=line["high"], colour=style.colour)
        for level in rows.loc[rows["epsilon"].isna(), "mean"]:
            ax.axhline(level, color=style.colour, linestyle=style.dash, linewidth=0.7, alpha=0.7)


def draw_privacy_picture(results: Results, subject: Subject, frame: pd.DataFrame) -> Picture:
    """Draw one panel a split, one page wide."""
    metric = subject.metric or ""
    figure, axes = panels(2.7, columns=frame["split"].nunique(), sharey=True)
    draw_privacy(frame, axes, metric=metric)
    deltas = sorted(final_privacy(results)["delta"].unique())
    styles = _styles(frame)
    handles = curve_handles(styles, list(styles))
    if frame["epsilon"].isna().any():
        handles.append(Line2D([], [], color=MUTED, linewidth=0.7, label="no formal epsilon"))
    add_legend(figure, handles)
    mark_costs(figure, results)
    return Picture(
        name=file_name(f"{metric}_vs_epsilon"),
        title=f"{metric[0].upper()}{metric[1:]} against epsilon",
        caption=f"{metric[0].upper()}{metric[1:]} at the end of the runs against the epsilon that "
        f"all their rounds promise together, delta = {', '.join(f'{each:g}' for each in deltas)}. "
        "Thin level lines: runs without a formal epsilon (no noise, say). Mean over seeds; "
        f"whiskers: {drawn_words(frame)}.{goes_on_words(figure)}{cost_words(results)}",
        figure=figure,
        data=frame,
    )


def privacy_table(results: Results) -> Table | None:
    """Return what runs promise, a row a variant; ``None`` without ``server.privacy``."""
    if not len(results.used(results.privacy)):
        return None
    final = final_privacy(results)
    heads = {
        "epsilon": ("epsilon", 2),
        "noise_std": ("noise of the mean", 3),
        "clipped_percent": ("shortened [%]", 1),
    }
    columns = {
        name: MeanColumn(head, _means(final, name), decimals=decimals)
        for name, (head, decimals) in heads.items()
        if final[name].notna().any()
    }
    counts = mean_ci(final, by="variant", value="delta")["n"]
    numbers, text = mean_rows(results, columns, counts)
    deltas = ", ".join(f"{each:g}" for each in sorted(final["delta"].unique()))
    return Table(
        name="privacy",
        title="What the runs promise",
        numbers=numbers,
        text=text,
        notes=(
            f"Epsilon of all rounds together at delta = {deltas}; empty without a formal one."
            + ("" if (final["level"] == CLIENT).all() else _OF_SAMPLES),
            "Shortened: changes of clients, or gradients of texts, longer than the clipping norm.",
            interval_note(int(counts.min())),
        ),
    )


def _styles(frame: pd.DataFrame) -> dict[str, LineStyle]:
    methods = [str(method) for method in dict.fromkeys(frame["method"])]
    return variant_styles({method: method for method in methods})


def _means(rows: pd.DataFrame, value: str) -> pd.DataFrame:
    known = rows[rows[value].map(math.isfinite)]
    return mean_ci(known, by="variant", value=value)
