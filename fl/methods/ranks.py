"""Ranks that differ from client to client; no torch here."""

from collections.abc import Sequence
from typing import Annotated

from annotated_types import Gt, MinLen

Rank = Annotated[int, Gt(0)]
Ranks = Rank | Annotated[tuple[Rank, ...], MinLen(1)]
"""One rank for all clients, or a list that is dealt to them in turn."""


def rank_of(ranks: Ranks, client_id: int) -> int:
    """Return a client's rank: a list is dealt in order of ids, over and over [our choice]."""
    return ranks if isinstance(ranks, int) else ranks[client_id % len(ranks)]


def find_rank_problems(ranks: Ranks, *, num_clients: int) -> Sequence[tuple[tuple[str, ...], str]]:
    """Refuse a list of ranks that is longer than there are clients: its end has no effect."""
    if isinstance(ranks, int) or len(ranks) <= num_clients:
        return []
    rule = f"must have at most clients.num_clients = {num_clients}, got {len(ranks)}"
    return [(("rank",), rule)]


def distinct_ranks(ranks: Ranks) -> Sequence[int]:
    """Return every rank that occurs, ascending."""
    return [ranks] if isinstance(ranks, int) else sorted(set(ranks))
