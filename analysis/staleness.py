"""How old merged updates are: aggregations between the model they began from and theirs."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from analysis.canvas import figure_of, legend_above, one_axes, panels
from analysis.intervals import drawn_half_width, interval_ends
from analysis.load import Results
from analysis.picture import Picture, Subject, add_legend, drawn_words
from analysis.plots import PANEL_IN, curve_handles
from analysis.stats import mean_ci
from analysis.style import LineStyle, styles_of, variant_styles

MOST_SHOWN = 12
"""Variants that are drawn, the first ones with stale updates."""
_COLUMNS = ["variant", "staleness", "mean", "half_width", "n", "num_updates"]


def staleness_frame(results: Results) -> pd.DataFrame:
    """Return the shares of merged updates by staleness, mean over seeds of the shares of runs.

    Returns
    -------
    pandas.DataFrame
        One row a variant and staleness from 0 to its largest: ``variant``, ``staleness``, ``mean``
        (share of the merged updates of a run, in [0, 1]), ``half_width``, ``n`` seeds with
        updates, ``num_updates`` (of all seeds). Variants whose updates are all fresh have one row.
    """
    rows = results.used(results.clients)
    rows = rows[rows["outcome"] == "received"]
    parts = []
    for variant, own in rows.groupby("variant", sort=False):
        counts = pd.crosstab(own["seed"], own["staleness"])
        counts = counts.reindex(columns=range(int(own["staleness"].max()) + 1), fill_value=0)
        shares = counts.div(counts.sum(axis=1), axis=0).reset_index()
        long = shares.melt("seed", var_name="staleness", value_name="share")
        means = mean_ci(long, by="staleness", value="share").reset_index()
        sums = counts.sum(axis=0).reindex(means["staleness"]).to_numpy()
        parts.append(means.assign(variant=variant, num_updates=sums))
    if not parts:
        return pd.DataFrame(columns=_COLUMNS)
    return pd.concat(parts, ignore_index=True)[_COLUMNS]


def draw_staleness(
    frame: pd.DataFrame,
    ax: Axes | None = None,
    *,
    styles: Mapping[str, LineStyle] | None = None,
    legend: bool = True,
) -> Axes:
    """Draw the histogram of staleness of every variant as joined points with whiskers.

    Parameters
    ----------
    frame
        As :func:`staleness_frame` gives it.
    ax
        Where to draw; ``None`` makes a figure.
    styles
        Of each variant; ``None``: those of the frame, named as they are.
    legend
        Whether the variants are named above the Axes.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on.
    """
    known = styles_of(frame["variant"], styles)
    variants = list(dict.fromkeys(map(str, frame["variant"])))
    with one_axes(ax, height_in=PANEL_IN) as drawn:
        for place, variant in enumerate(variants):
            rows, style = frame[frame["variant"] == variant], known[variant]
            half_width = drawn_half_width(rows["half_width"], rows["n"])
            mean = rows["mean"].to_numpy(dtype="float64")
            low, high = interval_ends(mean, half_width, support="fraction")
            apart = 0.06 * (place - (len(variants) - 1) / 2)
            whiskers = 100.0 * pd.DataFrame({"low": mean - low, "high": high - mean})
            drawn.errorbar(
                rows["staleness"].to_numpy(dtype="float64") + apart,
                100.0 * mean,
                yerr=whiskers.fillna(0.0).clip(lower=0.0).to_numpy().T,
                color=style.colour,
                linestyle=style.dash,
                marker=style.marker,
                markeredgewidth=0,
                elinewidth=0.8,
                lw=1.1,
            )
        drawn.set_ylim(bottom=0.0)
        drawn.set_xlim(-0.5, max([*frame["staleness"], 1]) + 0.5)
        drawn.xaxis.set_major_locator(MaxNLocator(integer=True))
        drawn.set_xlabel("staleness [aggregations]")
        drawn.set_ylabel("merged updates [%]")
        if legend and variants:
            legend_above(drawn, curve_handles(known, variants), is_new=ax is None)
    return drawn


def staleness_subjects(results: Results) -> tuple[Subject, ...]:
    """Whether any merged update was stale."""
    rows = results.used(results.clients)
    is_stale = (rows["outcome"] == "received") & (rows["staleness"] > 0)
    return (Subject(),) if is_stale.any() else ()


def staleness_rows(results: Results, subject: Subject) -> pd.DataFrame:
    """Return the shares of merged updates by staleness."""
    return staleness_frame(results)


def draw_staleness_picture(results: Results, subject: Subject, frame: pd.DataFrame) -> Picture:
    """Draw the variants with stale updates, one page wide."""
    stale = list(dict.fromkeys(frame.loc[frame["staleness"] > 0, "variant"]))
    shown = [each.name for each in results.variants if each.name in stale][:MOST_SHOWN]
    fresh = [name for name in dict.fromkeys(frame["variant"]) if name not in stale]
    styles = variant_styles(results.labels)
    drawn = frame[frame["variant"].isin(shown)]
    _, (ax,) = panels(PANEL_IN)
    draw_staleness(drawn, ax, styles=styles, legend=False)
    figure = figure_of(ax)
    add_legend(figure, curve_handles(styles, shown))
    rest = len(stale) - len(shown)
    words = f" All updates are fresh in {len(fresh)} of {len(fresh) + len(stale)} variants, which "
    words += "are not drawn."
    return Picture(
        name="staleness",
        title="How stale merged updates are",
        caption="Aggregations between the model that a client began from and the one into which "
        "its update was merged: shares of the merged updates of a run, mean over seeds; whiskers: "
        f"{drawn_words(drawn)}; variants stand a little apart.{words if fresh else ''}"
        f"{f' Further variants, in the data alone: {rest}.' if rest else ''}",
        figure=figure,
        data=frame,
    )
