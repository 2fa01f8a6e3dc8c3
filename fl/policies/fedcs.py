"""FedCS: as many clients as can be received before the round ends (arXiv:1804.08333)."""

import heapq
from bisect import bisect_right
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt
from jaxtyping import Float, Int

from fl.policies.view import Candidates, NobodyFitsError, Selection


@dataclass(frozen=True, kw_only=True)
class FedCsPolicyConfig:
    """As many clients as fit into a round, picked one by one as they delay it least.

    Clients compute at once and upload one after another within a cell, as the paper has it; cells
    do not wait for each other (our reading: the paper has one cell). Times are those of now: each
    transfer alone in its cell. How long the round really lasts is up to the network.
    """

    round_s: Annotated[float, Gt(0)]
    """Seconds from the start of the round within which an update must arrive."""
    num_candidates: Annotated[int, Gt(0)] | None = None
    """Clients drawn at random whose times are looked at; all when empty."""
    kind: Literal["fedcs"] = "fedcs"


class FedCsPolicy:
    """Select greedily by the time that each client adds to the round."""

    def __init__(self, config: FedCsPolicyConfig) -> None:
        self._round_s = config.round_s
        self._num_candidates = config.num_candidates

    def select(self, view: Selection, *, rng: np.random.Generator) -> list[int]:
        """Return the clients that fit; the rows that are looked at are drawn.

        Raises
        ------
        NobodyFitsError
            If no client can be received in time.
        """
        clients = view.candidates
        rows = np.arange(len(clients.client_id))
        if self._num_candidates is not None and self._num_candidates < len(rows):
            rows = np.sort(rng.choice(len(rows), size=self._num_candidates, replace=False))
        ready_s = (clients.download_s + clients.compute_s)[rows]
        upload_s = clients.upload_s()[rows]
        finished = []
        for cell_rows in _by_cell(clients, rows):
            order, end_s = fedcs_order(
                ready_s[cell_rows], upload_s[cell_rows], round_s=self._round_s
            )
            ids = clients.client_id[rows[cell_rows[order]]].tolist()
            finished += list(zip(end_s, ids, strict=True))
        if not finished:
            fastest_s = float((ready_s + upload_s).min())
            msg = f"round_s: no client is done in {self._round_s:g} s, the first in {fastest_s:g} s"
            raise NobodyFitsError(msg)
        return [client_id for _, client_id in sorted(finished)[: view.num_wanted]]


def fedcs_order(
    ready_s: Float[np.ndarray, " client"],
    upload_s: Float[np.ndarray, " client"],
    *,
    round_s: float,
) -> tuple[list[int], list[float]]:
    """Return whom FedCS selects in one cell, in order, and when each is received.

    Again and again the client is added that lengthens the round least: by its upload, and by the
    wait until it is ready. Of equals the first row is taken. It ends when nobody fits any more.

    Parameters
    ----------
    ready_s
        When each client has trained [s].
    upload_s
        Time of its upload, which nobody else's overlaps [s]; inf: it cannot.
    round_s
        Latest end [s].
    """
    # Only those that fit when they come first can fit at all.
    rows = np.flatnonzero(ready_s + upload_s <= round_s)
    ready_s, upload_s = ready_s[rows], upload_s[rows]
    by_upload = np.argsort(upload_s, kind="stable")
    by_ready = np.argsort(ready_s, kind="stable")
    by_end = np.argsort(ready_s + upload_s, kind="stable").tolist()
    rank = np.empty(len(rows), dtype=np.int64)
    rank[by_upload] = np.arange(len(rows))
    arrivals_s, arriving = ready_s[by_ready].tolist(), rank[by_ready].tolist()
    ready, upload, of_rank = ready_s.tolist(), upload_s.tolist(), by_upload.tolist()
    waiting: list[int] = []  # ranks of clients that are ready, shortest upload first
    is_in = [False] * len(rows)
    chosen: list[int] = []
    ends_s: list[float] = []
    now_s, num_ready, place = 0.0, 0, 0
    while num_ready < len(rows):
        until = bisect_right(arrivals_s, now_s, num_ready)
        _push_all(waiting, arriving[num_ready:until])
        num_ready = until
        while waiting and is_in[of_rank[waiting[0]]]:  # it was selected before it was ready
            heapq.heappop(waiting)
        while place < len(rows) and ready[by_end[place]] <= now_s:
            place += 1
        if num_ready == len(rows):
            break
        row = by_end[place]
        end_s = ready[row] + upload[row]
        if waiting:
            first = of_rank[waiting[0]]
            end_of_first_s = now_s + upload[first]
            if (end_of_first_s, first) < (end_s, row):
                end_s, row = end_of_first_s, first
                if end_s <= round_s:
                    heapq.heappop(waiting)
        if end_s > round_s:
            return rows[chosen].tolist(), ends_s
        is_in[row] = True
        chosen.append(row)
        ends_s.append(end_s)
        now_s = end_s
    # All are ready: the shortest uploads come first.
    rest = np.sort(np.array(waiting, dtype=np.int64))
    rest = rest[~np.array(is_in, dtype=np.bool_)[by_upload[rest]]]
    end_s_of_rest = np.cumsum(np.concatenate([[now_s], upload_s[by_upload[rest]]]))[1:]
    fitting = rest[end_s_of_rest <= round_s]
    chosen += by_upload[fitting].tolist()
    ends_s += end_s_of_rest[: len(fitting)].tolist()
    return rows[chosen].tolist(), ends_s


def _push_all(heap: list[int], values: list[int]) -> None:
    """Add values to a heap, in one go where there are many."""
    if len(values) * 8 > len(heap):
        heap += values
        heapq.heapify(heap)
        return
    for value in values:
        heapq.heappush(heap, value)


def _by_cell(
    clients: Candidates, rows: Int[np.ndarray, " row"]
) -> list[Int[np.ndarray, " of_cell"]]:
    """Return the places among ``rows`` of the clients of each cell, ascending by cell."""
    cell_id = clients.links.cell_id[rows]
    order = np.argsort(cell_id, kind="stable")
    edges = np.flatnonzero(np.diff(cell_id[order])) + 1
    return [each for each in np.split(order, edges) if len(each)]
