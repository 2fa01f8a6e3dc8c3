"""How evenly a metric is spread over clients at the end: sorted curves, indices, worst tenth."""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes

from analysis.canvas import figure_of, legend_above, one_axes, panel_grid, panels
from analysis.facets import MOST_PANELS, facets_of, has_facets, rival_handles, rival_styles
from analysis.intervals import drawn_half_width, interval_ends, support_of
from analysis.limits import fitted_limits, goes_on_words
from analysis.load import Results
from analysis.participation import jain_index
from analysis.picture import Picture, Subject, add_legend, drawn_words
from analysis.plots import PANEL_IN, curve_handles
from analysis.ranking import MANY_VARIANTS
from analysis.stats import is_better_low, mean_ci
from analysis.style import MUTED, RULE, LineStyle, styles_of, variant_styles, with_background
from analysis.tables import metrics_of
from analysis.text_safety import figure_text, file_name

LEAST_CLIENTS = 5
"""Fewer clients have no curve [our choice]."""
_OF_RUN = ("worst10", "jain_index", "gini_index")
_PANEL_IN = 1.75
_COLUMNS = [
    *("variant", "share_percent", "mean", "half_width", "n", "num_clients"),
    *(f"{name}{end}" for name in _OF_RUN for end in ("", "_half_width")),
]


def gini_index(values: npt.ArrayLike) -> float:
    """Return how unevenly a quantity is spread: 0 where all have the same, up to ``1 - 1 / n``.

    Half the mean absolute difference of all pairs over the mean, Gini 1912 [recollected]. NaN
    where a value is negative or not known, or all are 0.

    Parameters
    ----------
    values
        One a client; shape ``(client,)``.

    Examples
    --------
    >>> gini_index([1.0, 1.0, 1.0]), gini_index([0.0, 0.0, 4.0]), round(gini_index([1.0, 3.0]), 3)
    (0.0, 0.6666666666666666, 0.25)
    """
    ordered = np.sort(np.asarray(values, dtype=np.float64))
    n, total = len(ordered), float(ordered.sum())
    if n == 0 or not total > 0.0 or ordered[0] < 0.0:
        return float("nan")
    return float((2.0 * np.arange(1, n + 1) - n - 1) @ ordered / (n * total))


def fairness_frame(results: Results, *, metric: str, split: str = "personal") -> pd.DataFrame:
    """Return the metric of clients at the end of runs, worst first, and how even it is.

    Clients of a run are sorted; what stands k-th worst is averaged over seeds, so a curve is not of
    one client. Where seeds have different numbers of clients, all are read at the quantiles of the
    fewest (Hazen's).

    Returns
    -------
    pandas.DataFrame
        One row a variant and rank: ``variant``, ``share_percent`` (middle of the rank among
        clients, from the worst), ``mean``, ``half_width``, ``n`` seeds, ``num_clients``; and of
        the variant, mean over seeds with ``_half_width``: ``worst10`` (mean of the worst tenth, at
        least one), ``jain_index`` and ``gini_index`` of the values (NaN where some are negative).
    """
    rows = results.used(results.scores)
    rows = rows[(rows["metric"] == metric) & (rows["split"] == split)].dropna(subset=["value"])
    parts = []
    for variant, own in rows.groupby("variant", sort=False):
        runs = [(seed, _worst_first(run["value"], metric)) for seed, run in own.groupby("seed")]
        count = min(len(values) for _, values in runs)
        share = (np.arange(count) + 0.5) / count
        ranks = pd.concat(
            pd.DataFrame({"share": share, "value": _at_shares(values, share)}) for _, values in runs
        )
        curve = mean_ci(ranks, by="share", value="value").reset_index()
        told = pd.DataFrame([_indices(values) for _, values in runs]).assign(variant=variant)
        of_run = {name: mean_ci(told, by="variant", value=name).iloc[0] for name in _OF_RUN}
        parts.append(
            curve.assign(
                variant=variant,
                share_percent=100.0 * curve["share"],
                num_clients=count,
                **{name: row["mean"] for name, row in of_run.items()},
                **{f"{name}_half_width": row["half_width"] for name, row in of_run.items()},
            )
        )
    if not parts:
        return pd.DataFrame(columns=_COLUMNS)
    return pd.concat(parts, ignore_index=True)[_COLUMNS]


def draw_fairness(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    metric: str,
    styles: Mapping[str, LineStyle] | None = None,
    limits: tuple[float, float] | None = None,
    legend: bool = True,
) -> Axes:
    """Draw the metric of clients from the worst to the best, one curve a variant.

    Parameters
    ----------
    frame
        As :func:`fairness_frame` gives it.
    ax
        Where to draw; ``None`` makes a figure.
    metric
        Name on the y axis.
    styles
        Of each variant; ``None``: those of the frame, named as they are.
    limits
        Of the y axis, where several panels share it.
    legend
        Whether the variants are named above the Axes.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on; the worst tenth of clients is shaded.
    """
    known = styles_of(frame["variant"], styles)
    with one_axes(ax, height_in=PANEL_IN) as drawn:
        drawn.axvspan(0.0, 10.0, color=RULE, alpha=0.6, lw=0, zorder=0.5)
        for variant, rows in frame.groupby("variant", sort=False):
            style = known[str(variant)]
            low, high = _ends(rows, metric)
            x = rows["share_percent"].to_numpy(dtype=np.float64)
            if np.isfinite(low).any() and not style.is_background:
                drawn.fill_between(x, low, high, color=style.colour, alpha=0.12, lw=0)
            drawn.plot(
                x,
                rows["mean"],
                color=style.colour,
                ls=style.dash,
                marker=style.marker,
                markevery=max(1, len(x) // 8),
                markeredgewidth=0,
                lw=0.8 if style.is_background else None,
                zorder=1.8 if style.is_background else None,
            )
        drawn.set_xlim(0.0, 100.0)
        found = limits or _limits(frame, metric)
        if found is not None:
            drawn.set_ylim(found)
        drawn.text(1.0, 0.985, "worst\n10 %", transform=drawn.get_xaxis_transform(), ha="left",
                   va="top", fontsize=6, color=MUTED)  # fmt: skip
        drawn.set_xlabel("clients, worst first [%]")
        drawn.set_ylabel(figure_text(f"{metric.replace('_', ' ')} of a client"))
        if legend:
            handles = curve_handles(known, list(dict.fromkeys(map(str, frame["variant"]))))
            legend_above(drawn, handles, is_new=ax is None)
    return drawn


def fairness_subjects(results: Results) -> list[Subject]:
    """One subject a metric with a target, where scores of several clients are known."""
    rows = results.used(results.scores)
    rows = rows[rows["split"] == "personal"].dropna(subset=["value"])
    return [
        Subject(metric=metric, split="personal")
        for metric in metrics_of(results)
        if metric in results.targets
        and rows[rows["metric"] == metric]["client_id"].nunique() >= LEAST_CLIENTS
    ]


def fairness_rows(results: Results, subject: Subject) -> pd.DataFrame:
    """Return the sorted metric of clients with its indices."""
    metric, split = subject.metric_and_split()
    return fairness_frame(results, metric=metric, split=split)


def draw_fairness_picture(results: Results, subject: Subject, frame: pd.DataFrame) -> Picture:
    """Draw the sorted metric of clients, in panels by setting where there are many variants."""
    metric, _ = subject.metric_and_split()
    if has_facets(results):
        facets, of_rival = facets_of(results, frame), rival_styles(results)
        shown = dict(list(facets.items())[:MOST_PANELS])
        grid = panel_grid(len(shown), a_row=3, panel_in=_PANEL_IN)
        axes, limits = grid.make(), _limits(frame, metric)
        for place, (ax, (setting, variants)) in enumerate(zip(axes, shown.items(), strict=True)):
            own = frame[frame["variant"].isin(variants)]
            styles = {name: of_rival[rival] for name, rival in variants.items()}
            draw_fairness(own, ax, metric=metric, styles=styles, limits=limits, legend=False)
            ax.set_title(figure_text(setting), loc="left", parse_math=False)
            is_left, is_last = grid.edges(place)
            ax.set_ylabel(ax.get_ylabel() if is_left else "")
            ax.set_xlabel(ax.get_xlabel() if is_last else "")
            ax.tick_params(labelbottom=is_last)
        handles, words = rival_handles(shown, of_rival), " One panel a setting."
    else:
        _, axes = panels(PANEL_IN)
        styles = with_background(variant_styles(results.labels), MANY_VARIANTS)
        draw_fairness(frame, axes[0], metric=metric, styles=styles, legend=False)
        named = [name for name, style in styles.items() if not style.is_background]
        have = [name for name in named if (frame["variant"] == name).any()]
        handles = curve_handles({name: styles[name] for name in named}, have)
        grey = len(styles) - len(named)
        words = f" The {grey} variants after the first {len(named)} are grey." if grey else ""
    figure = figure_of(axes[0])
    add_legend(figure, handles)
    counts = sorted(set(frame["num_clients"]))
    count = " to ".join(str(each) for each in dict.fromkeys((counts[0], counts[-1])))
    return Picture(
        name=file_name(f"fairness_{metric}"),
        title=f"Final {metric} of every client, worst first",
        caption=f"Personal models of {count} clients on their own test texts at the end of runs, "
        "sorted within each run: the flatter a curve, the more evenly clients are served. Mean "
        f"over seeds; bands: {drawn_words(frame)}. Shaded: the worst tenth. The data hold Jain and "
        f"Gini index and the mean of the worst tenth.{words}{goes_on_words(figure)}",
        figure=figure,
        data=frame,
    )


def _worst_first(values: "pd.Series[float]", metric: str) -> npt.NDArray[np.float64]:
    ordered: npt.NDArray[np.float64] = np.sort(values.to_numpy(dtype=np.float64))
    return ordered[::-1] if is_better_low(metric) else ordered


def _at_shares(
    values: npt.NDArray[np.float64], share: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Return the value at shares of the clients, the middles of ranks, on the line between two."""
    middles = (np.arange(len(values)) + 0.5) / len(values)
    found: npt.NDArray[np.float64] = np.interp(share, middles, values).astype(np.float64)
    return found


def _indices(values: npt.NDArray[np.float64]) -> dict[str, float]:
    """Return the indices of the values of one run, worst first."""
    has_total = bool((values >= 0.0).all() and values.sum() > 0.0)
    return {
        "worst10": float(values[: max(1, math.ceil(0.1 * len(values) - 1e-9))].mean()),
        "jain_index": jain_index(values, num_clients=len(values)) if has_total else float("nan"),
        "gini_index": gini_index(values),
    }


def _ends(
    rows: pd.DataFrame, metric: str
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    half_width = drawn_half_width(rows["half_width"], rows["n"])
    return interval_ends(rows["mean"], half_width, support=support_of(metric))


def _limits(frame: pd.DataFrame, metric: str) -> tuple[float, float] | None:
    return fitted_limits(frame["mean"], *_ends(frame, metric))
