"""FedCS: as many clients as can be received before the round ends (arXiv:1804.08333)."""

import math
from bisect import bisect_right
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt
from jaxtyping import Float, Int

from fl.policies.cells import by_cell
from fl.policies.drawing import lowest, stable_order
from fl.policies.view import NobodyFitsError, Selection


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

        Where none of these can be reached now, it is one of them at random: links come back.

        Raises
        ------
        NobodyFitsError
            If no client that can be reached is received in time.
        """
        clients = view.candidates
        rows = np.arange(len(clients.client_id))
        if self._num_candidates is not None and self._num_candidates < len(rows):
            rows = np.sort(rng.choice(len(rows), size=self._num_candidates, replace=False))
        ready_s = (clients.download_s + clients.compute_s)[rows]
        upload_s = clients.upload_s()[rows]
        chosen, ends_s = [], []
        for cell_rows in by_cell(clients.links.cell_id[rows]):
            order, of_cell_s = fedcs_order(
                ready_s[cell_rows], upload_s[cell_rows], round_s=self._round_s
            )
            chosen.append(rows[cell_rows[order]])
            ends_s.append(of_cell_s)
        taken, end_s = np.concatenate(chosen), np.concatenate(ends_s)
        if not len(taken):
            fastest_s = float((ready_s + upload_s).min())
            if fastest_s == np.inf:
                return [int(clients.client_id[rng.choice(rows)])]
            msg = f"round_s: no client is done in {self._round_s:g} s, the first in {fastest_s:g} s"
            raise NobodyFitsError(msg)
        return clients.client_id[taken[lowest(end_s, count=view.count(len(taken)))]].tolist()


def fedcs_order(
    ready_s: Float[np.ndarray, " client"],
    upload_s: Float[np.ndarray, " client"],
    *,
    round_s: float,
) -> tuple[Int[np.ndarray, " selected"], Float[np.ndarray, " selected"]]:
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
    by_upload, by_ready, by_end = (
        stable_order(keys_s) for keys_s in (upload_s, ready_s, ready_s + upload_s)
    )
    rank = np.empty(len(rows), dtype=np.int64)
    rank[by_upload] = np.arange(len(rows))
    arrivals_s, arriving = ready_s[by_ready].tolist(), rank[by_ready].tolist()
    upload_of_rank = upload_s[by_upload].tolist()
    # Clients that are not ready yet, by when they could be received; the last is a sentinel.
    next_ready_s = ready_s[by_end].tolist()
    next_end_s = (ready_s + upload_s)[by_end].tolist()
    for of_next_s in (arrivals_s, next_ready_s, next_end_s):
        of_next_s.append(math.inf)
    next_rank = rank[by_end]
    is_waiting = bytearray(len(rows))  # by rank: 1 for those that are ready and not selected
    ranks: list[int] = []
    ends_s: list[float] = []
    now_s, num_ready, place, early, first = 0.0, 0, 0, -1, 0
    while True:
        if arrivals_s[num_ready] <= now_s:
            until = bisect_right(arrivals_s, now_s, num_ready)
            arrived = arriving[num_ready:until]
            for each in arrived:
                is_waiting[each] = 1
            first, num_ready = min(first, *arrived), until
            if early >= 0:  # it was selected before it was ready, and is now
                is_waiting[early], early = 0, -1
        if num_ready == len(rows):
            break
        while next_ready_s[place] <= now_s:
            place += 1
        chosen, end_s = -1, next_end_s[place]
        first = is_waiting.find(1, first)
        if first < 0:
            first = len(rows)
        elif (end_of_first_s := now_s + upload_of_rank[first]) < end_s or (
            end_of_first_s == end_s and by_upload[first] < by_end[place]
        ):
            chosen, end_s = first, end_of_first_s
        if end_s > round_s:
            return rows[by_upload[ranks]], np.array(ends_s)
        if chosen < 0:
            chosen = early = int(next_rank[place])
        else:
            is_waiting[chosen] = 0
        ranks.append(chosen)
        ends_s.append(end_s)
        now_s = end_s
    # All are ready: the shortest uploads come first.
    rest = np.flatnonzero(np.frombuffer(is_waiting, dtype=np.uint8))
    end_of_rest_s = np.cumsum(np.concatenate([[now_s], upload_s[by_upload[rest]]]))[1:]
    num_fitting = int((end_of_rest_s <= round_s).sum())
    taken = np.concatenate([np.array(ranks, dtype=np.int64), rest[:num_fitting]])
    return rows[by_upload[taken]], np.concatenate([ends_s, end_of_rest_s[:num_fitting]])
