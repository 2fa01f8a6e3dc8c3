"""Who takes part, how evenly, and what was in vain: tables and figures of policies and modes."""

import numpy as np
import pandas as pd

from analysis.canvas import figure_of, panels
from analysis.censored import not_reached_words
from analysis.limits import goes_on_words
from analysis.load import Results
from analysis.picture import (
    Picture,
    Subject,
    add_legend,
    cost_words,
    drawn_words,
    mark_costs,
    spread_words,
)
from analysis.series import target_frame, waste_frame
from analysis.stacks import draw_stack, stack_handles
from analysis.stats import final_values, mean_ci
from analysis.style import variant_styles
from analysis.tables import Table, metrics_of, splits_of, target_name
from analysis.target_bars import draw_cost_panels
from analysis.text_safety import figure_text, file_name
from analysis.units import with_interval

QUANTITIES = {
    "num_aggregations": 0,
    "seconds_an_aggregation_s": None,
    "num_received": 0,
    "jain_index": 3,
    "never_received_percent": 1,
    "mean_staleness": 2,
    "wasted_percent": 1,
}
"""Columns of the table of participation, and the decimals of each."""

PANELS = ("at_s", "energy_j", "jain_index", "worst10")
"""Panels of the figure: cost to the target, evenness of participation, the worst tenth of clients.
"""


def participation_runs(results: Results) -> pd.DataFrame:
    """Return who took part in every run.

    Returns
    -------
    pandas.DataFrame
        Columns ``variant``, ``seed``, and those of :data:`QUANTITIES`: rounds; seconds of the mean
        one; updates that were merged; their index of Jain et al. over all clients,
        ``(sum x)^2 / (n sum x^2)`` with ``x`` updates of a client, 1 where all have equally many
        and ``1 / n`` where one has them all (NaN without any); clients without an update; mean
        staleness of updates; and what was wasted of the joules of participations and questions.
    """
    questions = results.used(results.questions)
    clients, rounds = results.used(results.clients), results.used(results.rounds)
    num_clients = results.used(results.devices).groupby(["variant", "seed"]).size()
    found = []
    for key, rows in clients.groupby(["variant", "seed"], sort=False):
        own = rounds[(rounds["variant"] == key[0]) & (rounds["seed"] == key[1])]
        received = rows[rows["outcome"] == "received"]
        updates = received.groupby("client_id").size().to_numpy(dtype=np.float64)
        n = int(num_clients.get(key, rows["client_id"].nunique()))
        asked = questions[(questions["variant"] == key[0]) & (questions["seed"] == key[1])]
        spent_j = float(sum((each["compute_j"] + each["radio_j"]).sum() for each in (rows, asked)))
        wasted_j = float(rows["wasted_j"].sum() + asked["wasted_j"].sum())
        has_any = len(updates) > 0
        found.append(
            {
                "variant": key[0],
                "seed": key[1],
                "num_aggregations": len(own),
                "seconds_an_aggregation_s": (own["finished_at_s"] - own["started_at_s"]).mean(),
                "num_received": len(received),
                "jain_index": jain_index(updates, num_clients=n) if has_any else np.nan,
                "never_received_percent": 100.0 * (n - len(updates)) / n,
                "mean_staleness": received["staleness"].mean() if has_any else np.nan,
                "wasted_percent": 100.0 * wasted_j / spent_j if spent_j else 0.0,
            }
        )
    return pd.DataFrame(found, columns=["variant", "seed", *QUANTITIES])


def jain_index(updates: np.ndarray, *, num_clients: int) -> float:
    """Return how evenly updates are spread over clients, in ``[1 / num_clients, 1]``.

    Parameters
    ----------
    updates
        Updates of each client that has any; shape ``(client,)``.
    num_clients
        All clients, those without updates as well.
    """
    return float(updates.sum() ** 2 / (num_clients * (updates**2).sum()))


def participation_table(results: Results) -> Table:
    """Return who took part, one row a variant, means over seeds."""
    runs = participation_runs(results)
    means = {name: mean_ci(runs, by="variant", value=name).to_dict("index") for name in QUANTITIES}
    heads = {
        "num_aggregations": "rounds",
        "seconds_an_aggregation_s": "a round [s]",
        "num_received": "updates",
        "jain_index": "Jain index",
        "never_received_percent": "clients without update [%]",
        "mean_staleness": "staleness",
        "wasted_percent": "wasted energy [%]",
    }
    numbers, text = [], []
    for variant in results.variants:
        if variant.name not in means["num_received"]:
            continue
        row: dict[str, object] = {"variant": variant.name}
        cells: dict[str, str] = {"variant": variant.label}
        for name, decimals in QUANTITIES.items():
            mean, half = (means[name][variant.name][key] for key in ("mean", "half_width"))
            row |= {f"{name}_mean": mean, f"{name}_half_width": half}
            cells[heads[name]] = with_interval(mean, half, decimals=decimals, support="positive")
        numbers.append(row)
        text.append(cells)
    return Table(
        name="participation",
        title="Who took part",
        numbers=pd.DataFrame(numbers),
        text=pd.DataFrame(text),
        notes=(
            "Mean over seeds ± 95 % Student-t half-width. Jain index of the updates received from "
            "each client: 1 where all have equally many, 1/n where one of n clients has them all.",
            "Wasted energy is the part of what participations spent whose updates were not merged"
            f"{_with_questions(results)}.",
        ),
    )


def waste_table(results: Results) -> Table | None:
    """Return the joules in vain by reason, one row a variant; ``None`` where there were none."""
    frame = waste_frame(results)
    if frame.empty:
        return None
    parts = list(dict.fromkeys(frame["part"]))
    text = []
    for variant in results.variants:
        own = frame[frame["variant"] == variant.name].set_index("part")
        if len(own):
            cells = {
                part: with_interval(
                    own.loc[part, "mean"], own.loc[part, "half_width"], support="positive"
                )
                for part in parts
            }
            first = own.iloc[0]
            total = with_interval(first["total"], first["total_half_width"], support="positive")
            text.append({"variant": variant.label, "all [J]": total, **cells})
    return Table(
        name="waste",
        title="Energy in vain, by reason",
        numbers=frame,
        text=pd.DataFrame(text),
        notes=(
            f"Joules of participations whose update was not merged{_with_questions(results)}, "
            "computing and radio: mean over seeds ± 95 % Student-t half-width.",
        ),
    )


def _with_questions(results: Results) -> str:
    """Say that questions of policies count too, where there were any."""
    return ", and questions without use" if len(results.questions) else ""


def participation_subjects(results: Results) -> list[Subject]:
    """One subject a metric with a target, where clients took part and have models of their own."""
    if len(results.variants) < 2 or not len(results.used(results.clients)):
        return []
    return [
        Subject(metric=metric)
        for metric in metrics_of(results)
        if metric in results.targets and "personal" in splits_of(results, metric)
    ]


def participation_frame(results: Results, subject: Subject) -> pd.DataFrame:
    """Return the panels of the figure, one row a variant, panel and seed.

    Returns
    -------
    pandas.DataFrame
        As :func:`analysis.series.target_frame`, with :data:`PANELS` in column ``cost``.
    """
    metric = subject.metric or ""
    split = target_split(results, metric)
    target = results.targets[metric]
    costs = target_frame(results, metric=metric, target=target, splits=[split])
    runs = participation_runs(results)[["variant", "seed", "jain_index"]]
    final = final_values(results.used(results.evaluations))
    final = final[(final["metric"] == metric) & (final["split"] == "personal")]
    parts = [costs[costs["cost"].isin(PANELS)]]
    for name, rows in (("jain_index", runs), ("worst10", final)):
        means = mean_ci(rows, by="variant", value=name)
        means = means.assign(num_reached=means["n"])
        single = rows[["variant", "seed"]].assign(value=rows[name], cost=name, split=split)
        parts.append(single.merge(means, left_on="variant", right_index=True))
    return pd.concat(parts, ignore_index=True)[list(costs.columns)]


def draw_participation(results: Results, subject: Subject, frame: pd.DataFrame) -> Picture:
    """Draw what the target cost beside how evenly clients took part, one page wide."""
    metric = subject.metric or ""
    split = target_split(results, metric)
    styles = variant_styles(results.labels)
    order = [(v.name, split) for v in results.variants if (frame["variant"] == v.name).any()]
    axes = draw_cost_panels(frame, columns=PANELS, rows=order, styles=styles, bar_in=0.22)
    figure = figure_of(axes[0])
    name = target_name(metric, results.targets[metric])
    for ax in axes[:2]:
        ax.set_xlabel(f"{ax.get_xlabel()}\nto {figure_text(name)}")
    axes[2].set_xlabel("Jain index of updates")
    axes[3].set_xlabel(figure_text(f"{metric}, worst 10 %"))
    is_one_method = len({variant.method_label for variant in results.variants}) == 1
    short = {v.name: (v.setting if is_one_method and v.setting else v.label)
             for v in results.variants}  # fmt: skip
    axes[0].set_yticks(range(len(order)), [figure_text(short[name]) for name, _ in order])
    mark_costs(figure, results)
    model = "the global model" if split == "global" else "the personal models"
    return Picture(
        name=file_name(f"participation_{metric}"),
        title=f"Cost to {name}, and who took part",
        caption=f"Time and energy until {model} had {name}; how evenly the updates came from all "
        f"clients over the run (1: all equally many); mean {metric} of the worst tenth of clients "
        "at the end. Bars (upright ticks on a logarithmic axis): mean over seeds, only where every "
        f"seed got there; whiskers: {drawn_words(frame)}; dots: single seeds."
        f"{not_reached_words(frame[frame['cost'] == 'at_s'], results.labels)}"
        f"{goes_on_words(figure)}{cost_words(results)}",
        figure=figure,
        data=frame,
    )


def target_split(results: Results, metric: str) -> str:
    """Return the split of the scenario's targets; the personal models where nothing has it."""
    split = str(results.manifest.data.get("target_split") or "personal")
    return split if split in splits_of(results, metric) else "personal"


def waste_subjects(results: Results) -> tuple[Subject, ...]:
    """Whether any joule was in vain."""
    tables = (results.used(each) for each in (results.clients, results.questions))
    return (Subject(),) if any((each["wasted_j"] > 0).any() for each in tables) else ()


def waste_rows(results: Results, subject: Subject) -> pd.DataFrame:
    """Return joules in vain by reason."""
    return waste_frame(results)


def draw_waste_picture(results: Results, subject: Subject, frame: pd.DataFrame) -> Picture:
    """Draw the joules of participations in vain by reason, one page wide."""
    variants = [v.name for v in results.variants if (frame["variant"] == v.name).any()]
    figure, (ax,) = panels(0.95 + 0.26 * len(variants))
    labels = {name: results.labels[name] for name in variants}
    draw_stack(frame, ax, column="wasted_j", labels=labels, room=0.3, legend=False)
    add_legend(figure, list(stack_handles(frame).values()))
    mark_costs(figure, results)
    return Picture(
        name="waste",
        title="Energy in vain, by reason",
        caption="What participations spent whose update was not merged"
        f"{_with_questions(results)}, computing and radio, by reason: mean over seeds, "
        f"total {spread_words(frame)}.{cost_words(results)}",
        figure=figure,
        data=frame,
    )
