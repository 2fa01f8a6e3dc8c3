"""Logs of rates over time from a file: read, checked, and made functions of time.

Columns: ``client``, ``time_s``, ``uplink_mbps``, ``downlink_mbps``, and optionally ``rtt_s``,
``transmit_w``, ``receive_w``. A row holds from its time to that of the next row of its client, the
last row as long as the one before it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float

from netsim.access_networks.step_function import StepFunction

if TYPE_CHECKING:
    import pandas as pd

CLIENT = "client"
TIME = "time_s"
NEEDED = ("uplink_mbps", "downlink_mbps")
OPTIONAL = ("rtt_s", "transmit_w", "receive_w")
ENDINGS = (".csv", ".parquet")
MAX_TEXT = 60
"""Longest value that a message repeats [characters]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """The rows of one client of a trace."""

    starts_s: Float[np.ndarray, " row"]
    """Time of each row [s], ascending from 0."""
    columns: Mapping[str, Float[np.ndarray, " row"]]
    """Its other values by column: those needed, and the optional ones that the file has."""

    @property
    def duration_s(self) -> float:
        """End of the last row [s], which lasts as long as the one before it."""
        return float(2 * self.starts_s[-1] - self.starts_s[-2])

    def function(
        self, column: str, *, scale: float = 1.0, repeats: bool, offset_s: float
    ) -> StepFunction:
        """Return a column as a function of time, times a factor.

        Parameters
        ----------
        column
            A column that the file has.
        scale
            Factor on its values.
        repeats
            Whether it begins again after its end, or keeps its last value.
        offset_s
            Time of the log at instant 0 [s].
        """
        return StepFunction(
            self.starts_s.tolist(),
            (self.columns[column] * scale).tolist(),
            period_s=self.duration_s if repeats else None,
            offset_s=offset_s,
        )


@lru_cache(maxsize=4)
def read_logs(path: str) -> dict[str, Log]:
    """Read a trace; return the log of each client by its name in the file, in order of appearance.

    A file is read once; who changes it meanwhile starts anew.

    Parameters
    ----------
    path
        A csv or parquet file.

    Raises
    ------
    ValueError
        One line: the file cannot be read, lacks a column, or a value or a time is not as it must
        be, with its row.
    """
    frame = read_frame(path, name=f"trace {path}")
    missing = [name for name in (CLIENT, TIME, *NEEDED) if name not in frame.columns]
    if missing:
        msg = (
            f"trace {path}: needs the columns {', '.join((CLIENT, TIME, *NEEDED))}; missing "
            f"{', '.join(missing)}, got {', '.join(map(str, frame.columns))[:200]}"
        )
        raise ValueError(msg)
    if frame[CLIENT].isna().any():
        row = int(frame[CLIENT].isna().to_numpy().argmax()) + 1
        msg = f"trace {path}: every row must name its client, got none in data row {row}"
        raise ValueError(msg)
    names = [TIME, *NEEDED, *(name for name in OPTIONAL if name in frame.columns)]
    numbers = {name: _numbers(frame, name, path=path) for name in names}
    # 3 and 3.0 are one client: a column with an empty cell elsewhere is read as decimals
    clients = [_name(each) for each in frame[CLIENT].tolist()]
    rows_of: dict[str, list[int]] = {}
    for row, client in enumerate(clients):
        rows_of.setdefault(client, []).append(row)
    if not rows_of:
        msg = f"trace {path}: has no rows"
        raise ValueError(msg)
    return {
        client: _log(client, np.array(rows, dtype=np.int64), numbers, path=path)
        for client, rows in rows_of.items()
    }


def read_frame(path: str, *, name: str) -> "pd.DataFrame":
    """Return the rows of a csv or parquet file.

    Parameters
    ----------
    path
        The file.
    name
        What messages call it.

    Raises
    ------
    ValueError
        One line: it has another ending, or cannot be read.
    """
    import pandas as pd  # noqa: PLC0415 -- half a second that only traces need

    suffix = Path(path).suffix
    if suffix not in ENDINGS:
        msg = f"{name}: must end in {' or '.join(ENDINGS)}"
        raise ValueError(msg)
    try:
        return pd.read_csv(path) if suffix == ".csv" else pd.read_parquet(path)
    except (ValueError, OSError) as error:
        reason = (str(error).strip().splitlines() or ["no reason given"])[0]
        msg = f"{name}: cannot be read as {suffix[1:]}: {reason[:200]}"
        raise ValueError(msg) from None


def _numbers(frame: "pd.DataFrame", name: str, *, path: str) -> Float[np.ndarray, " row"]:
    """Return a column of finite numbers >= 0."""
    import pandas as pd  # noqa: PLC0415

    values = pd.to_numeric(frame[name], errors="coerce").to_numpy(dtype=np.float64)
    bad = np.flatnonzero(~(np.isfinite(values) & (values >= 0)))
    if len(bad):
        found = str(frame[name].iloc[bad[0]])[:MAX_TEXT]
        msg = (
            f"trace {path}: {name} must be a finite number >= 0, got {found} in data row "
            f"{bad[0] + 1} ({len(bad)} of {len(values)} rows)"
        )
        raise ValueError(msg)
    return values


def _name(client: object) -> str:
    if isinstance(client, float) and client.is_integer():
        return str(int(client))
    return str(client)


def _log(
    client: str,
    rows: np.ndarray,
    numbers: Mapping[str, Float[np.ndarray, " row"]],
    *,
    path: str,
) -> Log:
    starts_s = numbers[TIME][rows]
    shown = client[:MAX_TEXT]
    if len(rows) < 2:
        msg = f"trace {path}: client {shown} must have at least 2 rows, got {len(rows)}"
        raise ValueError(msg)
    if starts_s[0] != 0:
        msg = (
            f"trace {path}: client {shown} must begin at 0 s, got {starts_s[0]:.12g} s in data row "
            f"{rows[0] + 1}"
        )
        raise ValueError(msg)
    backwards = np.flatnonzero(np.diff(starts_s) <= 0)
    if len(backwards):
        k = int(backwards[0])
        msg = (
            f"trace {path}: time_s of client {shown} must increase, got {starts_s[k + 1]:.12g} s "
            f"after {starts_s[k]:.12g} s in data row {rows[k + 1] + 1}"
        )
        raise ValueError(msg)
    columns = {name: values[rows] for name, values in numbers.items() if name != TIME}
    return Log(starts_s=starts_s, columns=columns)


def find_gap(logs: Mapping[str, Log], *, max_gap_s: float) -> str | None:
    """Return what is wrong with the longest time that a row holds, if it is too long.

    Parameters
    ----------
    logs
        From :func:`read_logs`.
    max_gap_s
        Longest time between two rows [s].
    """
    longest_s, at_s, client = max(
        (float(np.diff(log.starts_s).max()), float(log.starts_s[np.diff(log.starts_s).argmax()]), c)
        for c, log in logs.items()
    )
    if longest_s <= max_gap_s:
        return None
    num = sum(bool((np.diff(log.starts_s) > max_gap_s).any()) for log in logs.values())
    return (
        f"client {client[:MAX_TEXT]} has a gap of {longest_s:g} s after {at_s:g} s "
        f"({num} of {len(logs)} clients have longer ones than max_gap_s = {max_gap_s:g})"
    )
