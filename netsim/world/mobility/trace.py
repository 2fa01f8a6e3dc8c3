"""Mobility traces: tables of instants and positions."""

from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Float

from netsim.config.world import TraceMobility
from netsim.world.area import Area
from netsim.world.mobility.trajectory import leaves_box_after_s

COLUMNS = ("client_id", "at_s", "x_m", "y_m")

Points = tuple[
    Float[np.ndarray, " point"], Float[np.ndarray, " point"], Float[np.ndarray, " point"]
]
"""Instants, x and y of one client."""


def read_trace(path: str) -> dict[int, Points]:
    """Read a csv or parquet file of positions; an unchanged file is read once.

    Parameters
    ----------
    path
        File with the columns ``client_id, at_s, x_m, y_m``; other columns are ignored. The rows of
        a client are in order of time.

    Returns
    -------
    dict
        Instants [s], x and y [m] by client id.

    Raises
    ------
    ValueError
        If the file is missing, of another kind, lacks a column, holds a value that is not a finite
        number or a client id that is not a whole number >= 0, has no rows, or a client's time does
        not increase; the message names the row.
    """
    if not Path(path).is_file():
        msg = f"trace {path}: no such file"
        raise ValueError(msg)
    about = Path(path).stat()
    return _read_version(path, about.st_size, about.st_mtime_ns)


@lru_cache(maxsize=4)
def _read_version(path: str, size_bytes: int, modified_at_ns: int) -> dict[int, Points]:
    """Read the file; size and time of the last change identify its version."""
    del size_bytes, modified_at_ns
    table = _read_columns(path)
    if len(table) == 0:
        msg = f"trace {path}: must hold at least one row"
        raise ValueError(msg)
    odd_rows = np.flatnonzero((table[:, 0] < 0) | (table[:, 0] % 1 != 0))
    if len(odd_rows):
        msg = (
            f"trace {path}: client_id must be a whole number >= 0, got {table[odd_rows[0], 0]:g} "
            f"in data row {odd_rows[0] + 1}"
        )
        raise ValueError(msg)
    points: dict[int, Points] = {}
    by_client = np.argsort(table[:, 0], kind="stable")
    client_ids, starts = np.unique(table[by_client, 0], return_index=True)
    for client_id, rows in zip(client_ids, np.split(by_client, starts[1:]), strict=True):
        at_s = table[rows, 1]
        backwards = np.flatnonzero(np.diff(at_s) <= 0)
        if len(backwards):
            k = backwards[0]
            msg = (
                f"trace {path}: time of client {client_id:g} must increase, got {at_s[k + 1]:g} s "
                f"after {at_s[k]:g} s in data row {rows[k + 1] + 1}"
            )
            raise ValueError(msg)
        points[int(client_id)] = (at_s, table[rows, 2], table[rows, 3])
    return points


def _read_columns(path: str) -> Float[np.ndarray, "row 4"]:
    import pandas as pd  # noqa: PLC0415 (half a second that only traces need)

    suffix = Path(path).suffix
    if suffix not in {".csv", ".parquet"}:
        msg = f"trace {path}: must be a .csv or .parquet file"
        raise ValueError(msg)
    try:
        frame = pd.read_csv(path) if suffix == ".csv" else pd.read_parquet(path)
    except (ValueError, OSError) as error:
        msg = f"trace {path}: cannot be read as {suffix[1:]}: {error}"
        raise ValueError(msg) from None
    missing = [name for name in COLUMNS if name not in frame.columns]
    if missing:
        msg = (
            f"trace {path}: needs the columns {', '.join(COLUMNS)}; "
            f"missing {', '.join(missing)}, got {', '.join(map(str, frame.columns))}"
        )
        raise ValueError(msg)
    numbers = frame[list(COLUMNS)].apply(pd.to_numeric, errors="coerce")
    table: Float[np.ndarray, "row 4"] = numbers.to_numpy(dtype=np.float64)
    bad_rows, bad_columns = np.nonzero(~np.isfinite(table))
    if len(bad_rows):
        name = COLUMNS[bad_columns[0]]
        msg = (
            f"trace {path}: every value must be a finite number, got "
            f"{str(frame[name].iloc[bad_rows[0]])[:60]!r} as {name} in data row {bad_rows[0] + 1}"
        )
        raise ValueError(msg)
    return table


class Trace:
    """A recorded path: linear between rows, at rest before the first and after the last."""

    def __init__(
        self,
        config: TraceMobility,
        *,
        area: Area,
        start_m: Float[np.ndarray, " 2"],
        client_id: int,
        rng: np.random.Generator,
    ) -> None:
        del area, start_m, rng
        points = read_trace(config.path)
        if client_id not in points:
            msg = f"trace {config.path}: has no rows of client {client_id}"
            raise ValueError(msg)
        self._at_s, self._x_m, self._y_m = points[client_id]

    def position_m(self, at_s: float) -> Float[np.ndarray, " 2"]:
        """Return the position at an instant [m]."""
        return np.array(
            [np.interp(at_s, self._at_s, self._x_m), np.interp(at_s, self._at_s, self._y_m)]
        )

    def speed_mps(self, at_s: float) -> float:
        """Return the speed of the segment that starts at or before the instant."""
        k = self._segment(at_s)
        if k < 0 or k >= len(self._at_s) - 1:
            return 0.0
        length_m = np.hypot(self._x_m[k + 1] - self._x_m[k], self._y_m[k + 1] - self._y_m[k])
        return float(length_m / (self._at_s[k + 1] - self._at_s[k]))

    def stays_until_s(
        self, at_s: float, *, lowest_m: Float[np.ndarray, " 2"], highest_m: Float[np.ndarray, " 2"]
    ) -> float:
        """Return the instant [s] at which the present segment leaves a box, or ends."""
        k = self._segment(at_s)
        if k < 0:
            return float(self._at_s[0])
        if k >= len(self._at_s) - 1:
            return np.inf
        place_m = np.stack([self._x_m[k : k + 2], self._y_m[k : k + 2]], axis=1)
        started_at_s, ended_at_s = self._at_s[k : k + 2].tolist()
        leaves_after_s = leaves_box_after_s(
            place_m[0],
            (place_m[1] - place_m[0]) / (ended_at_s - started_at_s),
            lowest_m=lowest_m,
            highest_m=highest_m,
        )
        return min(started_at_s + leaves_after_s, ended_at_s)

    def _segment(self, at_s: float) -> int:
        """Return the index of the last row at or before an instant; -1 before the first."""
        return int(np.searchsorted(self._at_s, at_s, side="right")) - 1
