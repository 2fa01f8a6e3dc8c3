"""What a request for a transfer must be, whatever network carries it."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from netsim.transport.transfers import DIRECTIONS


def check_client(client_id: int, *, num_clients: int) -> int:
    """Return an id that is one of ``num_clients``.

    Raises
    ------
    ValueError
        If there is no such client.
    """
    if not 0 <= client_id < num_clients:
        msg = f"client_id: must be 0 to {num_clients - 1}, got {client_id}"
        raise ValueError(msg)
    return int(client_id)


def check_clients(
    client_ids: Sequence[int] | Int[np.ndarray, " client"], *, num_clients: int
) -> Int[np.ndarray, " client"]:
    """Return ids as an array, each checked as :func:`check_client` does."""
    if isinstance(client_ids, np.ndarray) and np.issubdtype(client_ids.dtype, np.integer):
        is_known = (client_ids >= 0) & (client_ids < num_clients)
        if is_known.all():
            return client_ids.astype(np.int64)
    checked = [check_client(client_id, num_clients=num_clients) for client_id in client_ids]
    return np.array(checked, dtype=np.int64)


def check_request(direction: str, size_bytes: int, *, timeout_s: float) -> None:
    """Refuse a transfer of no direction, of no whole number of bytes, or without a time limit.

    Raises
    ------
    ValueError
        One line that names the broken rule.
    """
    if direction not in DIRECTIONS:
        msg = f"direction: must be uplink or downlink, got {direction!r}"
        raise ValueError(msg)
    if not (1 <= size_bytes < np.inf and int(size_bytes) == size_bytes):
        msg = f"size_bytes: must be a whole number >= 1, got {size_bytes}"
        raise ValueError(msg)
    if not 0 < timeout_s < np.inf:
        msg = f"timeout_s: must be > 0 and finite, got {timeout_s}"
        raise ValueError(msg)


def check_broadcast(
    client_ids: Sequence[int], participation_ids: Sequence[int] | None
) -> Sequence[int | None]:
    """Return the participation of each client of a broadcast, ``None`` where none is named.

    Raises
    ------
    ValueError
        If a client is repeated, or there is another number of participations.
    """
    if len(set(client_ids)) != len(client_ids):
        msg = f"client_ids: must be distinct, got {list(client_ids)}"
        raise ValueError(msg)
    numbers = [None] * len(client_ids) if participation_ids is None else participation_ids
    if len(numbers) != len(client_ids):
        msg = f"participation_ids: must be {len(client_ids)}, one a client, got {len(numbers)}"
        raise ValueError(msg)
    return numbers
