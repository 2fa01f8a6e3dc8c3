"""The steps of a job that a client does together with the server, in simulated time."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import simpy

from fl.clients.work import Work
from fl.network import Direction
from fl.training.exchange import Exchange, client_works


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """How long the parts of a job took."""

    compute_s: float
    """Computing of the device."""
    uplink_s: float = 0.0
    """Transfers to the server."""
    downlink_s: float = 0.0
    """Transfers from the server, and its computing before them."""


class Send(Protocol):
    """Lets a transfer run to its end."""

    def __call__(
        self, direction: Direction, size_bytes: int, /
    ) -> Generator[simpy.Event, Any, float | None]:
        """Return its seconds; ``None`` if it was not delivered."""


def work_together(
    exchanges: Sequence[Exchange],
    *,
    work: Callable[[Work], Generator[simpy.Event, Any, float | None]],
    send: Send,
    wait: Callable[[float], Generator[simpy.Event, Any, bool]],
) -> Generator[simpy.Event, Any, Together | None]:
    """Go through the steps of a job, up to the first part that fails.

    Parameters
    ----------
    exchanges
        The steps, at least one.
    work
        Lets the device compute; returns its seconds, ``None`` if it was stopped.
    send
        Lets a transfer run to its end.
    wait
        Lets the server compute for some seconds; returns whether it came to its end.

    Returns
    -------
    Together or None
        ``None`` if a part failed.
    """
    first, *others = client_works(exchanges)
    computed_s = yield from work(first)
    uplink_s = downlink_s = 0.0
    for exchange, after in zip(exchanges, others, strict=True):
        if computed_s is None:
            return None
        sent_s = yield from send("uplink", exchange.uplink_bytes)
        if sent_s is None or not (yield from wait(exchange.server_s)):
            return None
        received_s = yield from send("downlink", exchange.downlink_bytes)
        if received_s is None:
            return None
        uplink_s += sent_s
        downlink_s += exchange.server_s + received_s
        more_s = yield from work(after)
        computed_s = None if more_s is None else computed_s + more_s
    if computed_s is None:
        return None
    return Together(compute_s=computed_s, uplink_s=uplink_s, downlink_s=downlink_s)
