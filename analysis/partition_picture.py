"""Who holds texts of which classes: one circle a client and class, its area the number of texts."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from analysis.canvas import figure_of, one_axes, panels
from analysis.load import Results
from analysis.picture import Picture, Subject
from analysis.style import PALETTE
from analysis.text_safety import figure_text, shortened

MOST_CLIENTS = 40
"""Clients that are drawn, evenly from the first to the last [our choice]."""
MOST_CLASSES = 20
"""Classes that are drawn, those with the most texts."""
MOST_PANELS = 3
"""Partitions that are drawn."""
_CLASS_IN, _FRAME_IN = 0.24, 0.75
_LONGEST = 24
_COLUMNS = ["variant", "seed", "setting", "client_id", "class_name", "num_train"]


def partition_frame(results: Results) -> pd.DataFrame:
    """Return the training texts of each class by client, of every partition of the first seed.

    Variants that share the texts alike have one partition, told by the first of them.

    Returns
    -------
    pandas.DataFrame
        One row a partition, client and class of which it holds a text: ``variant``, ``seed``,
        ``setting`` (case and knobs of the variant in words), ``client_id``, ``class_name``,
        ``num_train``.
    """
    rows = results.used(results.classes)
    parts: list[pd.DataFrame] = []
    seen: set[bytes] = set()
    for variant in results.variants:
        own = rows[rows["variant"] == variant.name]
        own = own[own["seed"] == own["seed"].min()]
        columns = own[["client_id", "class_name", "num_train"]].reset_index(drop=True)
        key = columns.to_csv().encode()
        if len(own) and key not in seen:
            seen.add(key)
            parts.append(own.assign(setting=variant.setting))
    if not parts:
        return pd.DataFrame(columns=_COLUMNS)
    return pd.concat(parts, ignore_index=True)[_COLUMNS]


def draw_partition(frame: pd.DataFrame, ax: Axes | None = None) -> Axes:
    """Draw the texts of clients by class, one circle each.

    Parameters
    ----------
    frame
        One partition, as :func:`partition_frame` gives it.
    ax
        Where to draw; ``None`` makes a figure.

    Returns
    -------
    matplotlib.axes.Axes
        What was drawn on. The area of a circle is the number of texts, as a part of the largest.
    """
    classes, clients = _classes(frame), _clients(frame)
    with one_axes(ax, height_in=_FRAME_IN + _CLASS_IN * max(len(classes), 3)) as drawn:
        shown = frame[frame["client_id"].isin(clients) & frame["class_name"].isin(classes)]
        places = {client: place for place, client in enumerate(clients)}
        most = max([*shown["num_train"], 1])
        width_in = drawn.get_window_extent().width / figure_of(drawn).dpi
        room_pt = 72.0 * min(_CLASS_IN, width_in / max(len(clients), 1))
        drawn.scatter(
            [places[client] for client in shown["client_id"]],
            [classes.index(str(name)) for name in shown["class_name"]],
            s=(1.15 * room_pt) ** 2 / most * shown["num_train"].to_numpy(dtype=np.float64),
            color=PALETTE[0],
            alpha=0.8,
            linewidths=0,
            clip_on=False,
        )
        names = [figure_text(shortened(name, _LONGEST)) for name in classes]
        drawn.set_yticks(range(len(classes)), names)
        for label in drawn.get_yticklabels():
            label.set_parse_math(False)
        step = max(1, -(-len(clients) // 12))
        drawn.set_xticks(range(0, len(clients), step), [str(each) for each in clients[::step]])
        drawn.set_xlim(-0.7, max(len(clients), 1) - 0.3)
        drawn.set_ylim(max(len(classes), 1) - 0.4, -0.6)
        drawn.tick_params(length=0)
        drawn.set_xlabel("client")
    return drawn


def partition_subjects(results: Results) -> tuple[Subject, ...]:
    """Whether clients hold texts of several classes."""
    rows = results.used(results.classes)
    is_split = all(len(set(rows[name])) > 1 for name in ("class_name", "client_id"))
    return (Subject(),) if is_split else ()


def partition_rows(results: Results, subject: Subject) -> pd.DataFrame:
    """Return the training texts of each class by client."""
    return partition_frame(results)


def draw_partition_picture(results: Results, subject: Subject, frame: pd.DataFrame) -> Picture:
    """Draw the first partitions, one panel each, one page wide."""
    keys = list(dict.fromkeys(frame["variant"]))
    shown = keys[:MOST_PANELS]
    num_classes = min(frame["class_name"].nunique(), MOST_CLASSES)
    height_in = _FRAME_IN + _CLASS_IN * max(num_classes, 3)
    figure, axes = panels(height_in * len(shown), rows=len(shown))
    for ax, key in zip(axes, shown, strict=True):
        own = frame[frame["variant"] == key]
        draw_partition(own, ax)
        if len(shown) > 1:
            ax.set_title(figure_text(str(own["setting"].iloc[0])), loc="left", parse_math=False)
    num_clients = int(frame["client_id"].nunique())
    left_out = num_clients - len(_clients(frame[frame["variant"] == shown[0]]))
    rest, more = len(keys) - len(shown), frame["class_name"].nunique() - num_classes
    return Picture(
        name="partition",
        title="Who holds which texts",
        caption="Training texts of each class by client, seed "
        f"{int(frame['seed'].iloc[0])} (one split of the data: no interval, n = {num_clients} "
        "clients). The area of a circle is the number of texts, as a part of the largest of its "
        "panel."
        f"{f' {left_out} of {num_clients} clients are left out.' if left_out else ''}"
        f"{f' Classes with fewer texts, in the data alone: {more}.' if more else ''}"
        f"{f' Further partitions, in the data alone: {rest}.' if rest else ''}",
        figure=figure,
        data=frame,
    )


def _classes(frame: pd.DataFrame) -> list[str]:
    """Return the classes that are drawn, by name."""
    sums = frame.groupby("class_name")["num_train"].sum().sort_values(ascending=False)
    return sorted(map(str, sums.index[:MOST_CLASSES]))


def _clients(frame: pd.DataFrame) -> list[int]:
    """Return the clients that are drawn; of many some, evenly from the first to the last."""
    known = sorted({int(each) for each in frame["client_id"]})
    if len(known) <= MOST_CLIENTS:
        return known
    step = (len(known) - 1) / (MOST_CLIENTS - 1)
    return [known[round(place * step)] for place in range(MOST_CLIENTS)]
