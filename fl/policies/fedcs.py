"""FedCS: as many clients as can be received before the round ends (arXiv:1804.08333)."""

import math
from dataclasses import dataclass
from heapq import heappop, heappush
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
        When each client has trained [s], >= 0.
    upload_s
        Time of its upload, which nobody else's overlaps [s]; inf: it cannot.
    round_s
        Latest end [s], finite.

    Notes
    -----
    Most clients have no chance: while somebody with a short upload waits, nobody with a longer one
    is done earlier. So a list is tried first: those with the shortest uploads, some more than could
    be received without a break, and those that would be done by ``early_s`` if they came first.
    Others can be selected only where no short upload waits, and are done after ``early_s``; so if
    the last such step ends by then, the answer is that for all clients. Otherwise all are tried.
    """
    # Only those that fit when they come first can fit at all.
    alone_s = ready_s + upload_s
    rows = np.flatnonzero(alone_s <= round_s)
    ready_s, upload_s, alone_s = ready_s[rows], upload_s[rows], alone_s[rows]
    ascending_s = np.sort(upload_s)
    num_without_break = int(np.searchsorted(np.cumsum(ascending_s), round_s, side="right"))
    num_short, num_early = num_without_break * 9 // 8 + 16, len(rows) // 32
    if num_short + num_early < len(rows) // 2:
        short_s = ascending_s[num_short]
        early_s = np.partition(alone_s, num_early)[num_early]
        # Whoever has a longer upload must be done later after rounding, too.
        is_short = upload_s <= short_s + 2 * np.spacing(round_s)
        listed = np.flatnonzero(is_short | (alone_s <= early_s))
        order, ends_s, open_until_s = _in_order(
            ready_s[listed], upload_s[listed], round_s=round_s, short_s=short_s
        )
        if open_until_s <= early_s:
            return rows[listed[order]], ends_s
    order, ends_s, _ = _in_order(ready_s, upload_s, round_s=round_s, short_s=math.inf)
    return rows[order], ends_s


def _in_order(
    ready_s: Float[np.ndarray, " client"],
    upload_s: Float[np.ndarray, " client"],
    *,
    round_s: float,
    short_s: float,
) -> tuple[Int[np.ndarray, " selected"], Float[np.ndarray, " selected"], float]:
    """Return the selected of these clients, their ends, and the last end open to others [s].

    A step is open to others where nobody waits whose upload takes at most ``short_s``. Each client
    fits when it comes first, and together these short uploads take longer than the round, or all
    clients are listed: so one of them waits when nobody fits any more.
    """
    by_upload = stable_order(upload_s)
    rank = np.empty(len(by_upload), dtype=np.int64)
    rank[by_upload] = np.arange(len(by_upload))
    of_rank_s = upload_s[by_upload]
    num_short = int(np.searchsorted(of_rank_s, short_s, side="right"))
    upload_of_rank = of_rank_s.tolist()
    by_ready = np.argsort(ready_s)
    arrivals = zip(
        ready_s[by_ready].tolist(),
        (ready_s + upload_s)[by_ready].tolist(),
        rank[by_ready].tolist(),
        strict=True,
    )
    waiting: list[int] = []  # a heap of the ranks of those that are ready, but for the best
    ranks: list[int] = []
    ends_s: list[float] = []
    # The best of those that arrived so far, for the next step; -1: nobody is left of them.
    best, end_s, is_open, open_until_s = -1, math.inf, True, 0.0
    for arrival_s, alone_s, each in arrivals:
        while end_s < arrival_s:
            ranks.append(best)
            ends_s.append(end_s)
            if is_open:
                open_until_s = end_s
            if waiting:
                best = heappop(waiting)
                end_s += upload_of_rank[best]
                is_open = best >= num_short
            else:
                best, end_s, is_open = -1, math.inf, True
        # It is ready before the step ends, and so waits when the next one begins.
        if alone_s > end_s or (alone_s == end_s and by_upload[each] > by_upload[best]):
            heappush(waiting, each)
        else:
            if best >= 0:
                heappush(waiting, best)
            best, end_s = each, alone_s
    # All are ready: the shortest uploads come first.
    rest = np.array([best, *sorted(waiting)])
    end_of_rest_s = np.cumsum(np.append(end_s, of_rank_s[rest[1:]]))
    num_fitting = int(np.searchsorted(end_of_rest_s, round_s, side="right"))
    order = by_upload[np.append(np.array(ranks, dtype=np.int64), rest[:num_fitting])]
    if is_open:
        open_until_s = end_s
    return order, np.append(ends_s, end_of_rest_s[:num_fitting]), open_until_s
