"""Gantt chart of one round, or of a window of an asynchronous run: one lane a client."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from analysis.canvas import figure_of, legend_above, one_axes, panels
from analysis.load import Results
from analysis.picture import Picture, Subject, cost_words
from analysis.style import INK, PAPER, PHASE_COLOURS, REASON_COLOURS
from analysis.text_safety import figure_text

PHASES = ("download", "compute", "upload", "wait")
"""Phases of a participation; ``wait`` is all time between them: for access, for the next update."""
MAX_LANES = 40
"""Most clients that are drawn, evenly from the first to the last to end [our choice]."""
_WINDOW = 2.0
"""Length of an asynchronous window, in medians of the durations of participations."""
_LANE_IN = 0.13
_HATCHES = {"compute": "", "upload": "////", "download": "....", "wait": ""}
_COLUMNS = [
    *("variant", "seed", "round", "participation_id", "client_id"),
    *("phase", "from_s", "to_s", "outcome"),
]


class _Transfer(NamedTuple):
    direction: str
    requested_at_s: float
    started_at_s: float
    """NaN where it never had access."""
    finished_at_s: float


def gantt_subjects(results: Results) -> list[Subject]:
    """One subject where transfers tell the participation that they belong to."""
    has_ids = all("participation_id" in rows for rows in (results.clients, results.transfers))
    if not has_ids or results.used(results.rounds).empty:
        return []
    return [Subject()] if _chosen_run(results) is not None else []


def gantt_frame(results: Results, subject: Subject | None = None) -> pd.DataFrame:
    """Return the phases of the participations of a typical round of the first run with transfers.

    The round is that of median length. Where clients work across aggregations (asynchronous
    modes), it is a window around the middle aggregation, two median participations long.

    Returns
    -------
    pandas.DataFrame
        One row a phase: ``variant``, ``seed``, ``round``, ``participation_id``, ``client_id``,
        ``phase`` (of :data:`PHASES`), ``from_s``, ``to_s`` [simulated seconds], ``outcome`` of the
        participation; one of phase ``cut`` where its update was not merged, at the time it was
        given up; and one of phase ``round`` (both ids -1) for every aggregation in the window.
    """
    run = _chosen_run(results)
    if run is None:
        return pd.DataFrame(columns=_COLUMNS)
    clients, transfers, rounds, devices = (
        _of_run(rows, run)
        for rows in (results.clients, results.transfers, results.rounds, results.devices)
    )
    power_w = dict(zip(devices["client_id"], devices["compute_w"], strict=True))
    of_participation = _by_participation(transfers)
    rows: list[dict[str, Any]] = []
    for row in clients.to_dict("records"):
        own = of_participation.get(row["participation_id"])
        if own is not None:
            rows += _phases(row, own, compute_w=power_w.get(row["client_id"], 0.0))
    work = pd.DataFrame(rows, columns=_COLUMNS[2:])
    is_async = _crosses_aggregations(work, rounds)
    frame = work if is_async else pd.concat([work, _waits(work, rounds)], ignore_index=True)
    first_s, last_s = _window(work, rounds, is_async=is_async)
    is_cut = frame["phase"] == "cut"
    is_inside = (frame["from_s"] < last_s) & (frame["to_s"] > first_s)
    shown = frame[is_inside | (is_cut & frame["to_s"].between(first_s, last_s))]
    ends = rounds[(rounds["finished_at_s"] > first_s) & (rounds["finished_at_s"] <= last_s)]
    told: dict[str, Any] = {
        "participation_id": -1,
        "client_id": -1,
        "phase": "round",
        "outcome": "",
    }
    at_s = ends["finished_at_s"]
    marks = pd.DataFrame({"round": ends["round"], "from_s": at_s, "to_s": at_s}).assign(**told)
    both = pd.concat([shown, marks], ignore_index=True)
    clipped = both.assign(
        from_s=both["from_s"].clip(first_s, last_s), to_s=both["to_s"].clip(first_s, last_s)
    )
    return clipped.assign(variant=run[0], seed=run[1])[_COLUMNS]


def draw_gantt(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the phases of every client over time; a cross marks what was cut off.

    Parameters
    ----------
    frame
        As :func:`gantt_frame` gives it.
    ax
        Where to draw; ``None`` makes a figure.

    Returns
    -------
    Axes
        With a legend above.
    """
    is_new = ax is None
    lanes = _lanes(frame)
    with one_axes(ax, height_in=_height_in(frame)) as drawn:
        handles: list[Artist] = []
        for phase in PHASES:
            own = frame[(frame["phase"] == phase) & frame["client_id"].isin(lanes)]
            if own.empty:
                continue
            look: dict[str, Any] = {"color": PHASE_COLOURS[phase], "hatch": _HATCHES[phase]}
            drawn.barh(
                [lanes[client] for client in own["client_id"]],
                own["to_s"] - own["from_s"],
                left=own["from_s"],
                height=0.18 if phase == "wait" else 0.72,
                edgecolor=PAPER,
                linewidth=0.0,
                facecolor=look["color"],
                hatch=look["hatch"],
            )
            handles.append(
                Patch(facecolor=look["color"], hatch=look["hatch"], edgecolor=PAPER, label=phase)
            )
        handles += _draw_marks(frame, drawn, lanes)
        drawn.set_ylim(max(len(lanes), 1) - 0.4, -0.6)
        drawn.set_yticks(range(len(lanes)), [str(client) for client in lanes])
        if len(lanes) > 16:
            drawn.tick_params(axis="y", labelsize=5.5)
        drawn.grid(visible=False, axis="y")
        if len(frame) and frame["to_s"].max() > frame["from_s"].min():
            drawn.set_xlim(frame["from_s"].min(), frame["to_s"].max())
        drawn.set_xlabel("simulated time [s]")
        drawn.set_ylabel("client")
        legend_above(drawn, handles, is_new=is_new)
        return drawn


def draw_gantt_picture(results: Results, subject: Subject, frame: pd.DataFrame) -> Picture:
    """Draw a typical round, and name the run that it is of."""
    _, (ax,) = panels(_height_in(frame))
    draw_gantt(frame, ax)
    variant, seed = str(frame["variant"].iloc[0]), int(frame["seed"].iloc[0])
    marks = frame[frame["phase"] == "round"]["round"]
    num_clients = frame.loc[frame["client_id"] >= 0, "client_id"].nunique()
    left_out = num_clients - len(_lanes(frame))
    is_round = len(marks) == 1 and frame.loc[marks.index[0], "to_s"] == frame["to_s"].max()
    what = f"Round {int(marks.iloc[0])}" if is_round else "A part"
    ending = (
        "The dashed line is the end of the round, where updates are merged: with a deadline, that."
        if is_round
        else "Dashed lines: aggregations."
    )
    some = f" {left_out} of {num_clients} clients are left out." if left_out else ""
    return Picture(
        name="gantt",
        title="One round, client by client" if is_round else "A part of a run, client by client",
        caption=f"{what} of {figure_text(results.labels[variant])}, seed {seed} (one run: no "
        "interval), typical in length: what each selected client does. The thin line is waiting: "
        f"for access to the radio, or for the others. {ending} Crosses: updates that were not "
        f"merged, where they were given up.{some}{cost_words(results)}",
        figure=figure_of(ax),
        data=frame,
    )


def _draw_marks(frame: pd.DataFrame, ax: Axes, lanes: dict[int, int]) -> list[Artist]:
    """Draw ends of rounds and cut-offs; return their legend entries."""
    handles: list[Artist] = []
    ends_s = frame.loc[frame["phase"] == "round", "to_s"]
    for end_s in ends_s:
        ax.axvline(end_s, color=INK, lw=0.8, ls=(0, (4, 2)), zorder=3, clip_on=False)
    if len(ends_s):
        handles.append(Line2D([], [], color=INK, lw=0.8, ls=(0, (4, 2)), label="aggregation"))
    cuts = frame[(frame["phase"] == "cut") & frame["client_id"].isin(lanes)]
    for reason, own in cuts.groupby(cuts["outcome"].map(_reason), sort=True):
        colour = REASON_COLOURS.get(str(reason), INK)
        look = {"ls": "", "marker": "X", "markersize": 6, "color": colour, "markeredgecolor": INK}
        ax.plot(own["to_s"], [lanes[client] for client in own["client_id"]],
                clip_on=False, zorder=4, markeredgewidth=0.5, **look)  # type: ignore[arg-type]  # fmt: skip
        handles.append(Line2D([], [], label=figure_text(str(reason)), **look))  # type: ignore[arg-type]
    return handles


def _height_in(frame: pd.DataFrame) -> float:
    return 0.95 + _LANE_IN * max(len(_lanes(frame)), 4)


def _reason(outcome: str) -> str:
    return outcome.partition(":")[0].replace("_", " ")


def _lanes(frame: pd.DataFrame) -> dict[int, int]:
    """Return the lane of each client, those that end first on top; evenly chosen if too many."""
    own = frame[frame["client_id"] >= 0]
    work = own[own["phase"] != "wait"].groupby("client_id")["to_s"].max()
    waits = own.groupby("client_id")["to_s"].max()
    order = work.reindex(waits.index).fillna(waits).sort_values(kind="stable").index
    if len(order) > MAX_LANES:
        order = order[np.linspace(0, len(order) - 1, MAX_LANES).round().astype(int)]
    return {int(client): place for place, client in enumerate(order)}


def _chosen_run(results: Results) -> tuple[str, int] | None:
    """Return the first used run with rounds and with transfers of its participations."""
    if "participation_id" not in results.transfers:
        return None
    is_used = results.runs["is_used"]
    for variant in results.variants:
        mine = results.runs[is_used & (results.runs["variant"] == variant.name)]
        for seed in sorted(mine["seed"]):
            run = variant.name, int(seed)
            has_ids = _of_run(results.transfers, run)["participation_id"].notna().any()
            if has_ids and len(_of_run(results.rounds, run)):
                return run
    return None


def _of_run(rows: pd.DataFrame, run: tuple[str, int]) -> pd.DataFrame:
    return rows[(rows["variant"] == run[0]) & (rows["seed"] == run[1])]


def _by_participation(transfers: pd.DataFrame) -> dict[Any, list[_Transfer]]:
    """Return the transfers that ended by participation, in the order of their requests.

    A participation of which none ended has an empty list.
    """
    order = transfers.sort_values("requested_at_s", kind="stable")
    columns = ["direction", "requested_at_s", "started_at_s", "finished_at_s"]
    found: dict[Any, list[_Transfer]] = {}
    for key, *values in order[["participation_id", *columns]].itertuples(index=False, name=None):
        of_key = found.setdefault(key, [])
        if not np.isnan(values[-1]):
            of_key.append(_Transfer(*values))
    return found


def _phases(
    row: dict[Any, Any], sent: Sequence[_Transfer], *, compute_w: float
) -> Iterator[dict[str, Any]]:
    """Yield the phases of one participation, in order, and the cut-off at its end.

    Computing lies between a download and the request of what follows; where nothing follows, it is
    as long as its joules tell at the device's power.
    """
    told = {name: row[name] for name in ("round", "participation_id", "client_id", "outcome")}
    parts: list[tuple[str, float, float]] = []
    for each in sent:
        begin_s = each.finished_at_s if np.isnan(each.started_at_s) else each.started_at_s
        parts.append(("wait", each.requested_at_s, begin_s))
        way = "download" if each.direction == "downlink" else "upload"
        parts.append((way, begin_s, each.finished_at_s))
    is_down = [each.direction == "downlink" for each in sent]
    asked_s, ended_s = [each.requested_at_s for each in sent], [each.finished_at_s for each in sent]
    for place, (one, other) in enumerate(itertools.pairwise(is_down)):
        if one and not other:
            parts.append(("compute", ended_s[place], asked_s[place + 1]))
    last_s = ended_s[-1] if ended_s else 0.0
    if ended_s and is_down[-1] and row["compute_j"] > 0.0 and compute_w > 0.0:
        end_s = last_s + row["compute_j"] / compute_w
        parts.append(("compute", last_s, end_s))
        last_s = end_s
    for phase, from_s, to_s in sorted(parts, key=lambda part: part[1]):
        if to_s > from_s:
            yield {**told, "phase": phase, "from_s": from_s, "to_s": to_s}
    if row["outcome"] != "received" and ended_s:
        yield {**told, "phase": "cut", "from_s": last_s, "to_s": last_s}


def _crosses_aggregations(work: pd.DataFrame, rounds: pd.DataFrame) -> bool:
    """Whether any participation began before the round that it counts for."""
    began_s = dict(zip(rounds["round"], rounds["started_at_s"], strict=True))
    starts = work.groupby("participation_id").agg({"round": "first", "from_s": "min"})
    round_s = starts["round"].map(began_s)  # NaN of a round that has not ended
    return bool((starts["from_s"] < round_s - 1e-9).any())


def _waits(work: pd.DataFrame, rounds: pd.DataFrame) -> pd.DataFrame:
    """Return how long each client that delivered waits for the end of its round."""
    ended_s = dict(zip(rounds["round"], rounds["finished_at_s"], strict=True))
    last = work[work["outcome"] == "received"].sort_values("to_s", kind="stable")
    last = last.groupby("participation_id", sort=False).tail(1)
    to_s = last["round"].map(ended_s)
    return last.assign(phase="wait", from_s=last["to_s"], to_s=to_s)[to_s > last["to_s"]]


def _window(work: pd.DataFrame, rounds: pd.DataFrame, *, is_async: bool) -> tuple[float, float]:
    """Return begin and end of the round of median length, or of the asynchronous window."""
    if not is_async:
        lengths_s = rounds["finished_at_s"] - rounds["started_at_s"]
        order = rounds.assign(length_s=lengths_s).sort_values(["length_s", "round"])
        middle = order.iloc[(len(order) - 1) // 2]
        return float(middle["started_at_s"]), float(middle["finished_at_s"])
    each = work.groupby("participation_id")
    length_s = _WINDOW * float((each["to_s"].max() - each["from_s"].min()).median())
    ends_s = rounds["finished_at_s"].sort_values()
    first_s = max(0.0, float(ends_s.iloc[(len(ends_s) - 1) // 2]) - length_s / 2.0)
    return first_s, min(float(ends_s.iloc[-1]), first_s + length_s)
