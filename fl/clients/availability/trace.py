"""Availability from a file: one row an interval in which a client is there.

Columns: ``client_id``, ``from_s``, ``to_s``. A client is there from ``from_s`` on and no longer at
``to_s``; before its first row, after its last and between two rows it is away.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
from annotated_types import MinLen
from jaxtyping import Bool, Float

from fl.clients.availability.model import ClientIds, Instants
from fl.csv_rows import by_column, header_faults, number, read_rows

COLUMNS = ("client_id", "from_s", "to_s")
MAX_ROWS = 10_000_000
"""Most rows of a trace."""


@dataclass(frozen=True, kw_only=True)
class TraceAvailability:
    """Present in the intervals of a file."""

    path: Annotated[str, MinLen(1)]
    """A csv file with the columns ``client_id``, ``from_s`` and ``to_s``: one row an interval, in
    any order. Every client has at least one; those of a client neither overlap nor touch."""
    kind: Literal["trace"] = "trace"


Intervals = Sequence[tuple[Float[np.ndarray, " interval"], Float[np.ndarray, " interval"]]]
"""By client id: begins and ends, ascending."""


@lru_cache(maxsize=2)
def read_trace(path: str, *, num_clients: int) -> Intervals:
    """Read the intervals of all clients.

    A file is read once; who changes it meanwhile starts anew.

    Parameters
    ----------
    path
        The file.
    num_clients
        How many clients the scenario has.

    Raises
    ------
    ValueError
        One line, with the number of the line: the file cannot be read, lacks a column, a value is
        not as it must be, two intervals of a client overlap or touch, or a client has none.
    """
    header, rows = read_rows(path, max_rows=MAX_ROWS, things="intervals")
    for fault in header_faults(header, known=COLUMNS, needed=COLUMNS):
        raise ValueError(fault)
    found: list[list[tuple[float, float, int]]] = [[] for _ in range(num_clients)]
    for line, cells in rows:
        try:
            client_id, from_s, to_s = _interval(header, cells, num_clients=num_clients)
        except ValueError as error:
            msg = f"line {line}: {error}"
            raise ValueError(msg) from None
        found[client_id].append((from_s, to_s, line))
    for fault in _faults(found):
        raise ValueError(fault)
    return tuple(
        (np.array([each[0] for each in own]), np.array([each[1] for each in own])) for own in found
    )


def _interval(
    header: Sequence[str], cells: Sequence[str], *, num_clients: int
) -> tuple[int, float, float]:
    """Return the client, begin and end of a row."""
    values = by_column(header, cells)
    for column in COLUMNS:
        if column not in values:
            msg = f"{column}: must not be empty"
            raise ValueError(msg)
    client, from_s, to_s = (number(column, values[column]) for column in COLUMNS)
    if client % 1 or not 0 <= client < num_clients:
        most = num_clients - 1
        msg = f"client_id: unknown client {values['client_id'][:40]}, must be 0 to {most}"
        raise ValueError(msg)
    if from_s < 0:
        msg = f"from_s: must be >= 0, got {from_s:.12g}"
        raise ValueError(msg)
    if to_s <= from_s:
        msg = f"to_s: must be > from_s = {from_s:.12g}, got {to_s:.12g}"
        raise ValueError(msg)
    return int(client), from_s, to_s


def _faults(found: list[list[tuple[float, float, int]]]) -> Iterator[str]:
    """Sort the intervals of each client; find those that meet, and clients without any."""
    for client_id, own in enumerate(found):
        own.sort()
        for (_, end_s, _), (from_s, _, line) in pairwise(own):
            if from_s <= end_s:
                meets = "overlaps" if from_s < end_s else "touches"
                yield (
                    f"line {line}: from_s: client {client_id} is there until {end_s:.12g} s, an "
                    f"interval from {from_s:.12g} s {meets} that; make them one"
                )
        if not own:
            every = f"every client 0 to {len(found) - 1}"
            yield f"must have an interval for {every}, none for {client_id}"


class FromTrace:
    """The intervals of a file.

    Parameters
    ----------
    intervals
        From :func:`read_trace`.
    """

    def __init__(self, intervals: Intervals) -> None:
        # begins and ends of a client in turn, so a position tells whether it is there
        self._edges_s = [np.stack(each, axis=1).ravel() for each in intervals]

    def is_available(self, client_ids: ClientIds, *, at_s: float) -> Bool[np.ndarray, " client"]:
        """Return which are within an interval."""
        return np.array([self._num_past(each, at_s) % 2 == 1 for each in client_ids.tolist()], bool)

    def next_change_s(self, client_ids: ClientIds, *, after_s: float) -> Instants:
        """Return the next begin or end; inf after the last."""
        found_s = np.full(len(client_ids), np.inf)
        for place, client_id in enumerate(client_ids.tolist()):
            index, edges_s = self._num_past(client_id, after_s), self._edges_s[client_id]
            if index < len(edges_s):
                found_s[place] = edges_s[index]
        return found_s

    def _num_past(self, client_id: int, at_s: float) -> int:
        """Return how many edges of a client are not later than an instant."""
        return int(np.searchsorted(self._edges_s[client_id], at_s, side="right"))
