"""What a target costs each method in each setting of a study, and whether their order changes.

A setting is a case with a choice of matrix knobs. In all settings of a seed the methods meet the
same world and the same split of the data. Where a study has one method, and cases and knobs, the
values of the last knob are compared in the place of methods: policies in two networks, say.
"""

import itertools
import math
from collections.abc import Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter
from scipy.stats import kendalltau

from analysis.canvas import is_stacked, legend_above, many_axes, panels
from analysis.intervals import drawn_half_width, interval_ends
from analysis.load import Results
from analysis.manifest import setting_words
from analysis.series import target_frame
from analysis.stats import mean_ci
from analysis.style import variant_styles
from analysis.tables import Table, followed_splits, target_name
from analysis.text_safety import figure_text, file_name
from analysis.units import axis_label, display_unit, words_of

PANELS = ("at_s", "energy_j")
"""Costs that are shown; bytes and rounds do not depend on the network."""


def compared(results: Results) -> dict[str, tuple[str, str]]:
    """Return, for each variant by name, what is compared (a method, or a value) and its setting."""
    has_methods = len({variant.method_label for variant in results.variants}) > 1
    found = {}
    for each in results.variants:
        if has_methods or len(each.knobs) < 2:
            found[each.name] = (each.method_label, each.setting)
        else:
            *others, (_, value) = each.knobs.items()
            found[each.name] = (str(value), setting_words(dict(others)))
    return found


def has_settings(results: Results) -> bool:
    """Whether several methods, or values of the last knob, ran in several settings."""
    rivals, settings = (set(each) for each in zip(*compared(results).values(), strict=True))
    return len(rivals) > 1 and len(settings) > 1


def settings_of(results: Results) -> list[str]:
    """Return the settings in the order of the scenario."""
    return list(dict.fromkeys(setting for _, setting in compared(results).values()))


def settings_frame(results: Results, *, metric: str) -> pd.DataFrame:
    """Return what the target of a metric cost, one row a method, setting, split and cost.

    Returns
    -------
    pandas.DataFrame
        Columns ``variant``, ``method``, ``setting``, ``split``, ``cost`` (its column), ``mean``
        and ``half_width`` (NaN unless every seed reached the target), ``num_reached``, ``n``;
        settings in the order of the scenario.
    """
    frame = target_frame(
        results,
        metric=metric,
        target=results.targets[metric],
        splits=followed_splits(results, metric),
    )
    frame = frame[frame["cost"].isin(PANELS)].drop_duplicates(["variant", "split", "cost"])
    known = compared(results)
    frame = frame.assign(
        method=[known[str(name)][0] for name in frame["variant"]],
        setting=[known[str(name)][1] for name in frame["variant"]],
    )
    columns = ["variant", "method", "setting", "split", "cost", "mean", "half_width"]
    return frame[[*columns, "num_reached", "n"]].reset_index(drop=True)


def draw_settings(
    frame: pd.DataFrame,
    axes: Sequence[Axes] | None = None,
    *,
    settings: Sequence[str] | None = None,
    legend: bool = True,
) -> list[Axes]:
    """Draw one row of panels a split, one panel a cost: settings along x, one line a method.

    Splits on which no method reached the target have no row.

    Parameters
    ----------
    frame
        As :func:`settings_frame` gives it.
    axes
        Where to draw, two a split (seconds, joules), row by row; ``None`` makes a figure.
    settings
        From left to right; ``None``: those of the frame.
    legend
        Whether the methods are named above the first panel.

    Returns
    -------
    list of matplotlib.axes.Axes
        One a panel.
    """
    shown = list(dict.fromkeys(frame["setting"]) if settings is None else settings)
    splits = list(dict.fromkeys(frame.dropna(subset=["mean"])["split"]))
    num, height_in = len(splits), 0.55 + 2.35 * len(splits)

    def grid() -> list[Axes]:
        return panels(height_in, rows=num, columns=len(PANELS), sharex=True)[1]

    with many_axes(axes, num * len(PANELS), grid) as drawn:
        for ax, (split, cost) in zip(drawn, itertools.product(splits, PANELS), strict=True):
            own = frame[(frame["split"] == split) & (frame["cost"] == cost)]
            words = _draw_setting_lines(frame, own, ax, cost=cost, settings=shown)
            ax.set_ylabel(f"{words}\nto target, {split}" if len(splits) > 1 else words)
        is_below = is_stacked() and axes is None
        for ax in drawn[-1:] if is_below else drawn[-len(PANELS) :]:
            names = [figure_text(setting).replace(", ", ",\n") for setting in shown]
            ax.set_xticks(range(len(shown)), names, rotation=25, ha="right")
            ax.set_xlim(-0.5, len(shown) - 0.5)  # settings in which nobody got there, too
            for label in ax.get_xticklabels():
                label.set_parse_math(False)
        if legend:
            handles, _ = drawn[0].get_legend_handles_labels()
            legend_above(drawn[0], handles, is_new=axes is None)
    return drawn


def _draw_setting_lines(
    frame: pd.DataFrame, own: pd.DataFrame, ax: Axes, *, cost: str, settings: Sequence[str]
) -> str:
    """Draw the lines of one panel, of all methods of the frame; return the words of its cost."""
    methods = list(dict.fromkeys(frame["method"]))
    styles = variant_styles({method: method for method in methods})
    unit = display_unit(cost, float(own["mean"].max()))
    for place, method in enumerate(methods):
        line = own[own["method"] == method].set_index("setting").reindex(settings)
        style, apart = styles[method], 0.05 * (place - (len(methods) - 1) / 2)
        mean = line["mean"] / unit.scale
        half_width = drawn_half_width(line["half_width"], line["n"]) / unit.scale
        low, high = interval_ends(mean, half_width, support="positive")
        ax.errorbar(
            [x + apart for x in range(len(settings))],
            mean,
            yerr=[mean - low, high - mean],
            color=style.colour,
            linestyle=style.dash,
            marker=style.marker,
            elinewidth=0.8,
            label=style.label,
        )
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    ax.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    ax.yaxis.set_minor_formatter(NullFormatter())
    return axis_label(cost, unit=unit.symbol)


def order_table(results: Results, *, metric: str) -> Table:
    """Return the order of the methods by what the target cost, in each setting.

    ``swaps`` are pairs of methods whose order is not that of the first setting; of ``clear_swaps``
    the difference, paired by seed, leaves out 0 in both settings. ``tau`` is Kendall's rank
    correlation with the first setting, over methods that reached the target with every seed in
    both: 1 is the same order, -1 the reverse; ``p`` is the chance of one as far from 0 were both
    orders independent.
    """
    target = results.targets[metric]
    splits = followed_splits(results, metric)
    runs = target_frame(results, metric=metric, target=target, splits=splits)
    known = compared(results)
    runs["method"] = [known[str(name)][0] for name in runs["variant"]]
    runs["setting"] = [known[str(name)][1] for name in runs["variant"]]
    settings = settings_of(results)
    rows = []
    for split, cost in itertools.product(splits, PANELS):
        own = runs[(runs["split"] == split) & (runs["cost"] == cost)]
        first = own[own["setting"] == settings[0]]
        rows += [
            {"split": split, "cost": cost, "setting": setting}
            | _order(own[own["setting"] == setting], first)
            for setting in settings
        ]
    numbers = pd.DataFrame(rows)
    words = {cost: words_of(cost) for cost in PANELS}
    text = numbers.assign(
        cost=[words[str(cost)] for cost in numbers["cost"]],
        tau=["" if math.isnan(tau) else f"{tau:.2f}" for tau in numbers["tau"]],
        p=["" if math.isnan(p) else f"{p:.2g}" for p in numbers["p"]],
        swaps=numbers["swaps"].astype(str),
        clear_swaps=numbers["clear_swaps"].astype(str),
    ).rename(
        columns={
            "split": "model",
            "tau": "Kendall's tau",
            "p": "by chance",
            "clear_swaps": "of these clear",
        }
    )
    return Table(
        name=file_name(f"order_{metric}_{target:g}"),
        title=f"Order of the methods by the cost to {target_name(metric, target)}",
        numbers=numbers,
        text=text,
        notes=(
            "Cheapest first, means over seeds; methods that a seed did not bring to the target are "
            "left out.",
            f"Swaps: pairs in another order than under “{settings[0]}”; clear: 95 % intervals of "
            "the difference, paired by seed, leave out 0 in both settings.",
            "By chance: how likely a tau as far from 0 is between two independent orders.",
        ),
    )


def _order(here: pd.DataFrame, first: pd.DataFrame) -> dict[str, object]:
    """Return the order of methods in a setting, and how it differs from that of the first."""
    costs, reference = _whole(here), _whole(first)
    ranked = costs.mean().sort_values()
    both = [method for method in ranked.index if method in reference.columns]
    pairs = list(itertools.combinations(both, 2))
    swapped = [
        (one, two)
        for one, two in pairs
        if (costs[one] - costs[two]).mean() * (reference[one] - reference[two]).mean() < 0
    ]
    clear = [
        (one, two)
        for one, two in swapped
        if _is_clear(costs[one] - costs[two]) and _is_clear(reference[one] - reference[two])
    ]
    return {
        "order": " < ".join(map(str, ranked.index)),
        "tau": 1 - 2 * len(swapped) / len(pairs) if pairs else math.nan,
        "p": kendalltau(costs.mean()[both], reference.mean()[both]).pvalue if pairs else math.nan,
        "swaps": len(swapped),
        "clear_swaps": len(clear),
    }


def _whole(rows: pd.DataFrame) -> pd.DataFrame:
    """Return cost by seed and method, of methods that every seed brought to the target."""
    wide = rows.pivot(index="seed", columns="method", values="value")  # noqa: PD010
    return wide.dropna(axis="columns")


def _is_clear(gaps: "pd.Series[float]") -> bool:
    row = mean_ci(pd.DataFrame({"pair": 0, "gap": gaps}), by="pair", value="gap").iloc[0]
    return bool(abs(row["mean"]) > row["half_width"])
