"""Selection by the time at which all are received when the band is shared so that all end at once.

With rates in proportion to the share of the band, a client that is ready at ``t_k`` and needs
``u_k`` seconds with the whole band needs the share ``u_k / (T - t_k)`` to end at ``T``. Shares add
up to the band at the earliest common end. Clients are added one by one, each time the one with
which that end is earliest (the greedy selection of arXiv:2007.07174).
"""

from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt
from jaxtyping import Float, Int

from fl.policies.cells import by_cell
from fl.policies.view import Selection

MAX_STEPS = 100
"""Most steps to a common end; each doubles the digits that are right, a dozen is usual."""


@dataclass(frozen=True, kw_only=True)
class EqualFinishPolicyConfig:
    """The clients whose updates can all be received soonest, if the band is shared to that end.

    Each cell shares its own band; the round ends with the last cell.
    """

    num_clients: Annotated[int, Gt(0)]
    """Clients a round."""
    kind: Literal["equal_finish"] = "equal_finish"


class EqualFinishPolicy:
    """Select greedily by the earliest common end; of equals who took part least."""

    def __init__(self, config: EqualFinishPolicyConfig) -> None:
        self._num_clients = config.num_clients

    def select(self, view: Selection, *, rng: np.random.Generator) -> list[int]:
        """Return the clients; nothing is drawn. Those out of coverage come last."""
        del rng
        clients = view.candidates
        ready_s, upload_s = clients.download_s + clients.compute_s, clients.upload_s()
        is_covered = np.isfinite(ready_s + upload_s)
        rows = np.flatnonzero(is_covered)
        rows = rows[np.argsort(clients.times_selected[rows], kind="stable")]
        parts = [rows[places] for places in by_cell(clients.links.cell_id[rows])]
        cells = [_Cell(part, ready_s[part], upload_s[part]) for part in parts]
        count = view.count(self._num_clients)
        chosen: list[int] = []
        while len(chosen) < min(count, len(rows)):
            best = min((each for each in cells if each.has_next), key=lambda each: each.next_end_s)
            chosen.append(best.take())
        chosen += np.flatnonzero(~is_covered)[: count - len(chosen)].tolist()
        return clients.client_id[chosen].tolist()


def equal_finish_s(
    ready_s: Float[np.ndarray, "*set client"], upload_s: Float[np.ndarray, "*set client"]
) -> Float[np.ndarray, "*set"]:
    """Return the earliest instant at which all clients of a cell can be received together.

    Parameters
    ----------
    ready_s
        When each client has trained [s], at least one; one row a set of clients.
    upload_s
        Time of its upload with the whole band [s].

    Notes
    -----
    The share of the band that ending at an instant takes falls with it and is convex. Newton's
    steps from an instant at which it is at least 1 therefore never pass the end and get there.
    """
    end_s = (ready_s + upload_s).max(axis=-1)
    sends = upload_s > 0
    for _ in range(MAX_STEPS):
        left_s = end_s[..., None] - ready_s
        share = np.divide(upload_s, left_s, out=np.zeros_like(left_s), where=sends)
        fall = np.divide(share, left_s, out=np.zeros_like(left_s), where=sends).sum(axis=-1)
        excess = share.sum(axis=-1) - 1.0
        moved_s = end_s + np.divide(excess, fall, out=np.zeros_like(fall), where=excess > 0)
        if (moved_s == end_s).all():
            break
        end_s = moved_s
    return end_s


class _Cell:
    """The candidates of one cell, and those of it that were taken.

    Only clients that no other beats in both times can come next: those are few.
    """

    def __init__(
        self,
        rows: Int[np.ndarray, " client"],
        ready_s: Float[np.ndarray, " client"],
        upload_s: Float[np.ndarray, " client"],
    ) -> None:
        self._rows, self._ready_s, self._upload_s = rows, ready_s, upload_s
        self._is_left = np.ones(len(rows), dtype=np.bool_)
        self._taken_ready_s = np.empty(0)
        self._taken_upload_s = np.empty(0)
        # Alone, each ends when it has sent.
        self._next = int(np.argmin(ready_s + upload_s))
        self._is_sorted = False
        self.next_end_s = float(ready_s[self._next] + upload_s[self._next])
        """Earliest end with one client more."""
        self.has_next = True
        """Whether there is one."""

    def take(self) -> int:
        """Take the client with which the end is earliest; return its row."""
        place = self._next
        self._is_left[place] = False
        self._taken_ready_s = np.append(self._taken_ready_s, self._ready_s[place])
        self._taken_upload_s = np.append(self._taken_upload_s, self._upload_s[place])
        row = int(self._rows[place])
        self._find_next()
        return row

    def _sort(self) -> None:
        """Put the clients in the order in which they are ready."""
        order = np.lexsort((self._upload_s, self._ready_s))  # stable: of equals the first row
        self._rows, self._is_left = self._rows[order], self._is_left[order]
        self._ready_s, self._upload_s = self._ready_s[order], self._upload_s[order]
        self._is_sorted = True

    def _find_next(self) -> None:
        if not self._is_sorted:
            self._sort()
        left = np.flatnonzero(self._is_left)
        self.has_next = bool(len(left))
        if not self.has_next:
            return
        # By the time they are ready: the first of each shorter upload than all before.
        upload_s = self._upload_s[left]
        shortest_s = np.minimum.accumulate(upload_s)
        is_front = np.concatenate([[True], upload_s[1:] < shortest_s[:-1]])
        front = left[is_front]
        one = np.ones((len(front), 1))
        ends_s = equal_finish_s(
            np.hstack([one * self._taken_ready_s, self._ready_s[front][:, None]]),
            np.hstack([one * self._taken_upload_s, self._upload_s[front][:, None]]),
        )
        best = int(np.argmin(ends_s))
        self._next, self.next_end_s = int(front[best]), float(ends_s[best])
