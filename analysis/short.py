"""Long tables on a terminal: the rows that tell most, and where all of them are."""

import dataclasses

import numpy as np
import pandas as pd

from analysis.stats import is_better_low
from analysis.tables import SPLITS, Table
from analysis.totals import TOTALS

MOST_ROWS = 12
"""A table with more rows is shortened."""
SHOWN_ROWS = 6
"""Rows that are shown of it."""

_PAIR = ["variant", "baseline"]


def is_long(table: Table) -> bool:
    """Whether a table has too many rows for a terminal."""
    return len(table.text) > MOST_ROWS


def shortened(table: Table, *, where: str) -> Table | None:
    """Return a long table with few of its rows; ``None`` where none of them tells more than others.

    Comparisons come by their p value, smallest first, or by the number of intervals that leave out
    0; a summary by the first metric, best first, of personal models where there are any; costs to a
    target by how many seeds reached it, then by simulated time.

    Parameters
    ----------
    table
        A table of any kind; a short one stays as it is.
    where
        How to get all rows, for the note.
    """
    if not is_long(table):
        return table
    order = _order(table)
    if order is None:
        return None
    words, places = order
    shown = table.text.iloc[places[:SHOWN_ROWS]].reset_index(drop=True)
    if not shown.iloc[:, 0].is_unique:  # the first column stands before every part of a wide table
        shown.insert(0, "#", [str(place) for place in range(1, len(shown) + 1)])
    note = f"{len(shown)} of {len(table.text)} rows, {words}. All of them: {where}."
    return dataclasses.replace(table, text=shown, notes=(note, *table.notes))


def _order(table: Table) -> tuple[str, "np.ndarray[tuple[int], np.dtype[np.intp]]"] | None:
    """Return in words what comes first, and the places of the rows of the text in that order."""
    numbers = table.numbers
    if "p_holm" in numbers:
        by = numbers["p_value"]
        if len(numbers) != len(table.text):
            by = by.groupby([numbers[key] for key in _PAIR], sort=False).min()
        return "smallest p first", _places(by)
    if "verdict" in numbers:
        clear = (numbers["verdict"] != "").groupby([numbers[key] for key in _PAIR], sort=False)
        return "most clear differences first", _places(-clear.sum().astype("float64"))
    if "at_s_restricted_mean" in numbers:
        times = numbers["at_s_mean"].fillna(numbers["at_s_restricted_mean"]).to_numpy()
        missing = 1.0 - (numbers["num_reached"] / numbers["n"]).to_numpy()
        return "those of most seeds that reached it first, then by time", np.lexsort(
            (times, missing)
        )
    if table.name != "summary":
        return None
    column = _ranked_column(numbers)
    quantity = column.removesuffix("_mean")
    is_low = quantity in TOTALS or is_better_low(_metric(quantity))
    words = f"best {_metric(quantity)} first" if quantity not in TOTALS else "shortest time first"
    return words, _places(numbers[column] if is_low else -numbers[column])


def _places(values: "pd.Series[float]") -> "np.ndarray[tuple[int], np.dtype[np.intp]]":
    """Return places from the smallest value to the largest, those without one last."""
    return np.argsort(values.to_numpy(dtype=np.float64), kind="stable")


def _ranked_column(numbers: pd.DataFrame) -> str:
    """Return the column of means that ranks the rows of a summary."""
    means = [name for name in numbers if str(name).endswith("_mean")]
    first = str(means[0])
    metric = _metric(first.removesuffix("_mean"))
    personal = f"{metric}_personal_mean"
    return personal if personal in means else first


def _metric(quantity: str) -> str:
    """Return the metric in ``accuracy_personal``."""
    stem, _, split = quantity.rpartition("_")
    return stem if split in SPLITS else quantity
