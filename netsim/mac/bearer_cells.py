"""Which bearers are in which cell, and which client sends them."""

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int


@dataclass(frozen=True, slots=True, kw_only=True)
class BearerCells:
    """The cells of bearers that are sorted by cell."""

    start: Int[np.ndarray, " cell"]
    """First bearer of each cell."""
    cell: Int[np.ndarray, " bearer"]
    """Cell of each bearer, counted from 0."""
    client: Int[np.ndarray, " bearer"] | None
    """Client of each bearer, counted from 0: one transmitter sends all bearers of a client.
    ``None`` where each bearer has a client of its own."""
    _repeated: dict[int, "BearerCells"] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(
        cls, start: Int[np.ndarray, " cell"], *, client_id: Int[np.ndarray, " bearer"]
    ) -> "BearerCells":
        """Return the cells that begin at some bearers, the first at 0."""
        begins_later = np.zeros(len(client_id), dtype=np.intp)
        begins_later[start[1:]] = 1
        return cls(
            start=start,
            cell=begins_later.cumsum(),
            client=_client_of_bearers(client_id),
        )

    def part(self, bearers: slice) -> "BearerCells":
        """Return the cells of some of the bearers, all of a cell or none."""
        if bearers == slice(0, len(self.cell)):
            return self
        first, last = np.searchsorted(self.start, [bearers.start, bearers.stop]).tolist()
        return BearerCells(
            start=self.start[first:last] - bearers.start,
            cell=self.cell[bearers] - first,
            client=None if self.client is None else _client_of_bearers(self.client[bearers]),
        )

    def repeated(self, times: int) -> "BearerCells":
        """Return the cells several times, one after another, each time as if of other clients."""
        if times == 1:
            return self
        if times not in self._repeated:
            again, client = np.arange(times)[:, None], self.client
            self._repeated[times] = BearerCells(
                start=(self.start + again * len(self.cell)).ravel(),
                cell=(self.cell + again * len(self.start)).ravel(),
                client=None if client is None else (client + again * len(client)).ravel(),
            )
        return self._repeated[times]

    def place(self) -> Int[np.ndarray, " bearer"]:
        """Return the place of each bearer in its cell, from 0."""
        return np.arange(len(self.cell)) - self.start[self.cell]


def _client_of_bearers(client_id: Int[np.ndarray, " bearer"]) -> Int[np.ndarray, " bearer"] | None:
    """Return the client of each bearer, counted from 0; ``None`` where each has one of its own."""
    if len(set(client_id.tolist())) == len(client_id):
        return None
    return np.unique(client_id, return_inverse=True)[1]
