"""What personal models earn: rewards by preference, gains with intervals, and what was written.

Scores are those of the scenario's rewards on what the models write to test prompts.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from scipy.stats import spearmanr

from analysis.canvas import figure_of, many_axes, panel_grid
from analysis.load import Results
from analysis.picture import Picture, Subject
from analysis.stats import mean_ci
from analysis.style import MUTED, PALETTE
from analysis.tables import Table
from analysis.text_safety import figure_text, file_name
from analysis.units import with_interval

MOST_PANELS = 9
"""Variants in the figure; the first ones where there are more."""
PANELS_A_ROW = 3
MOST_PROMPTS = 3
"""Prompts of each variant in the table of answers."""
MOST_CHARACTERS = 160
"""Longest text in a cell of that table."""
GAINS = {
    "helpfulness": "helpfulness",
    "safety": "safety",
    "reward": "own reward",
    "independent": "independent reward",
}
"""Columns whose change over the run is told where a study has them, and their heads."""
CORRELATIONS = {
    "helpfulness_by_weight": "weight to helpfulness",
    "safety_by_weight": "weight to safety",
}
"""Rank correlations over the clients of a run, and their heads."""


def reward_runs(results: Results) -> pd.DataFrame:
    """Return what the clients of every run earn at its end, and how much that has changed.

    Returns
    -------
    pandas.DataFrame
        One row a variant and seed: ``helpfulness``, ``safety``, ``reward`` and ``independent`` at
        the last evaluation, mean over clients (NaN of an independent reward that is not there); the
        same with ``_gain``, less those of the first; and the
        columns of :data:`CORRELATIONS`: Spearman's rank correlation over clients between the weight
        of helpfulness and either score at the end, NaN where one of them is the same for all.
    """
    found = []
    for key, rows in results.used(results.rewards).groupby(["variant", "seed"], sort=False):
        first = rows[rows["round"] == rows["round"].min()]
        last = rows[rows["round"] == rows["round"].max()]
        row: dict[str, object] = {"variant": key[0], "seed": key[1]}
        for name in GAINS:
            row[name] = last[name].mean()
            row[f"{name}_gain"] = last[name].mean() - first[name].mean()
        weight = last["helpfulness_weight"].to_numpy(dtype=np.float64)
        for column in CORRELATIONS:
            score = last[column.removesuffix("_by_weight")].to_numpy(dtype=np.float64)
            row[column] = _rank_correlation(weight, score)
        found.append(row)
    names = [*GAINS, *(f"{name}_gain" for name in GAINS), *CORRELATIONS]
    return pd.DataFrame(found, columns=["variant", "seed", *names])


def _rank_correlation(first: np.ndarray, second: np.ndarray) -> float:
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(spearmanr(first, second).statistic)


def reward_table(results: Results) -> Table | None:
    """Return rewards, gains and rank correlations, one row a variant; ``None`` without any."""
    runs = reward_runs(results)
    if runs.empty:
        return None
    gains = {name: head for name, head in GAINS.items() if runs[name].notna().any()}
    columns = [
        *((f"{name}_gain", f"{head}, gain") for name, head in gains.items()),
        ("reward", "own reward at the end"),
        *CORRELATIONS.items(),
    ]
    numbers, text = [], []
    for variant in results.variants:
        own = runs[runs["variant"] == variant.name]
        if own.empty:
            continue
        row: dict[str, object] = {"variant": variant.name}
        cells: dict[str, str] = {"variant": variant.label}
        for name, head in columns:
            known = own.dropna(subset=[name])
            if known.empty:
                row |= {f"{name}_mean": np.nan, f"{name}_half_width": np.nan}
                cells[head] = "-"
                continue
            means = mean_ci(known, by="variant", value=name).iloc[0]
            row |= {f"{name}_mean": means["mean"], f"{name}_half_width": means["half_width"]}
            cells[head] = with_interval(means["mean"], means["half_width"], decimals=3)
        numbers.append(row)
        text.append(cells)
    return Table(
        name="rewards",
        title="What personal models earn",
        numbers=pd.DataFrame(numbers),
        text=pd.DataFrame(text),
        notes=(
            "Mean over clients, then over seeds ± 95 % Student-t half-width; gain: end less start. "
            "Own reward: each client's by its own weight of helpfulness and safety."
            + (" Independent reward: of it nobody learns." if "independent" in gains else ""),
            "Weight to helpfulness (safety): Spearman's rank correlation over clients between the "
            "weight of helpfulness and the score at the end; - where all clients are alike.",
        ),
    )


def answer_table(results: Results) -> Table | None:
    """Return what models wrote before and after, a few prompts each; ``None`` without any."""
    answers = results.used(results.answers)
    found: list[dict[str, str]] = []
    for variant in results.variants:
        own = answers[answers["variant"] == variant.name]
        own = own[own["seed"] == own["seed"].min()]
        # a personal model where there is one, else the global model
        client = own["client_id"].min()
        own = own[own["client_id"].isna() if pd.isna(client) else own["client_id"] == client]
        for text_id in sorted(own["text_id"].unique())[:MOST_PROMPTS]:
            rows = own[own["text_id"] == text_id].sort_values("round")
            found.append(
                {
                    "variant": variant.label,
                    "client": "server" if pd.isna(client) else str(int(client)),
                    "prompt": _short(rows["prompt"].iloc[0]),
                    "before": _short(rows["answer"].iloc[0]),
                    "after": _short(rows["answer"].iloc[-1]),
                }
            )
    if not found:
        return None
    frame = pd.DataFrame(found)
    return Table(
        name="answers",
        title="What models write, before and after",
        numbers=frame,
        text=frame,
        notes=(
            "The first test prompts of the first client under the first seed, at the first and the "
            "last evaluation; all that were kept are in answers.csv of each run.",
        ),
    )


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= MOST_CHARACTERS else f"{line[: MOST_CHARACTERS - 3]}..."


def preference_subjects(results: Results) -> tuple[Subject, ...]:
    """Whether answers of personal models were scored."""
    return (Subject(),) if len(results.used(results.rewards)) else ()


def preference_rows(results: Results, subject: Subject) -> pd.DataFrame:
    """Return the scores of every client at the first and the last evaluation of each run.

    Returns
    -------
    pandas.DataFrame
        Columns ``variant``, ``seed``, ``client_id``, ``helpfulness_weight``, ``helpfulness_start``,
        ``safety_start``, ``helpfulness``, ``safety``.
    """
    rows = results.used(results.rewards)
    by_run = rows.groupby(["variant", "seed"])["round"]
    key = ["variant", "seed", "client_id", "helpfulness_weight"]
    first = rows[rows["round"] == by_run.transform("min")]
    last = rows[rows["round"] == by_run.transform("max")]
    start = first[[*key, "helpfulness", "safety"]]
    end = last[[*key, "helpfulness", "safety"]]
    return start.merge(end, on=key, suffixes=("_start", ""))


def draw_preferences(results: Results, subject: Subject, frame: pd.DataFrame) -> Picture:
    """Draw safety over helpfulness of every client, coloured by its weight, a panel a variant."""
    names = {v.name: v.label for v in results.variants if (frame["variant"] == v.name).any()}
    axes = draw_preference_panels(frame, labels=dict(list(names.items())[:MOST_PANELS]))
    return Picture(
        name=file_name("preferences"),
        title="Helpfulness and safety of every client, by what it cares for",
        caption="Mean score of what each personal model writes to its client's test prompts, at "
        "the start (open grey circles) and at the end (dots, all seeds), joined by a line. Colour: "
        "how much helpfulness counts for the client; safety counts the rest.",
        figure=figure_of(axes[0]),
        data=frame,
    )


def draw_preference_panels(
    frame: pd.DataFrame,
    axes: Sequence[Axes] | None = None,
    *,
    labels: Mapping[str, str] | None = None,
) -> list[Axes]:
    """Draw safety over helpfulness of every client, coloured by its weight, a panel a variant.

    Parameters
    ----------
    frame
        As :func:`preference_rows` gives it.
    axes
        Where to draw, one a variant; ``None`` makes a figure.
    labels
        Titles of the panels by variant, in their order; ``None``: all variants of the frame.

    Returns
    -------
    list of matplotlib.axes.Axes
        One a panel. The bar that says what colours mean stands beside them.
    """
    shown = labels or {str(name): str(name) for name in dict.fromkeys(frame["variant"])}
    grid = panel_grid(len(shown), a_row=PANELS_A_ROW, panel_in=2.0)
    scale = Normalize(0.0, 1.0)
    with many_axes(axes, len(shown), grid.make) as drawn:
        colours = LinearSegmentedColormap.from_list("weight", [PALETTE[1], "#b9b9b9", PALETTE[0]])
        for place, (ax, (name, label)) in enumerate(zip(drawn, shown.items(), strict=True)):
            _draw_clients(ax, frame[frame["variant"] == name], colours=colours, scale=scale)
            ax.set_title(figure_text(label), loc="left", parse_math=False)
            is_left, is_last = grid.edges(place) if axes is None else (True, True)
            if is_left:
                ax.set_ylabel("safety")
            if is_last:
                ax.set_xlabel("helpfulness")
                ax.tick_params(labelbottom=True)
        figure = figure_of(drawn[0])
        beside = drawn if axes is not None else figure.axes
        bar = figure.colorbar(
            ScalarMappable(norm=scale, cmap=colours), ax=beside, shrink=0.8, aspect=30, pad=0.015
        )
        bar.set_label("weight of helpfulness")
        bar.outline.set_visible(False)
    return drawn


def _draw_clients(
    ax: Axes, own: pd.DataFrame, *, colours: LinearSegmentedColormap, scale: Normalize
) -> None:
    ends: Sequence[str] = ("helpfulness_start", "safety_start", "helpfulness", "safety")
    for x0, y0, x1, y1 in own[list(ends)].to_numpy(dtype=np.float64):
        ax.plot([x0, x1], [y0, y1], color=MUTED, linewidth=0.4, alpha=0.5, zorder=1)
    ax.scatter(
        own["helpfulness_start"],
        own["safety_start"],
        s=12,
        facecolors="none",
        edgecolors=MUTED,
        linewidths=0.6,
        zorder=2,
    )
    ax.scatter(
        own["helpfulness"],
        own["safety"],
        c=own["helpfulness_weight"],
        cmap=colours,
        norm=scale,
        s=16,
        linewidths=0,
        zorder=3,
    )
