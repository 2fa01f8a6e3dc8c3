"""Who is there: clients that leave end their participation, and the server waits for somebody."""

from collections.abc import Generator
from typing import Any, Protocol

import numpy as np
import simpy
from jaxtyping import Int

from fl.clients.availability.model import Always, Availability

LEFT = "left"
"""Outcome of a participation whose client went away."""


class Stoppable(Protocol):
    """A participation, as far as presence needs it."""

    client_id: int
    done: simpy.Event

    def stop(self, outcome: str) -> None:
        """End it at this instant."""


class Presence:
    """Follows the clients that are at work; it takes one timer a client, whatever the rounds.

    Parameters
    ----------
    env
        Clock of the run.
    availability
        When clients are there.
    num_clients
        How many clients.
    """

    def __init__(
        self, env: simpy.Environment, availability: Availability, *, num_clients: int
    ) -> None:
        self._env = env
        self._availability = availability
        self._client_ids = np.arange(num_clients)
        self._at_work: dict[int, Stoppable] = {}
        self._timed: set[int] = set()

    @property
    def _now_s(self) -> float:
        return float(self._env.now)

    def candidate_ids(self) -> Int[np.ndarray, " client"]:
        """Return the clients that are there now and not at work, ascending."""
        is_there = self._availability.is_available(self._client_ids, at_s=self._now_s)
        is_there[list(self._at_work)] = False
        candidates: Int[np.ndarray, " client"] = np.flatnonzero(is_there)
        return candidates

    def watch(self, participation: Stoppable) -> None:
        """Stop a participation that begins now as ``left`` when its client goes away."""
        client_id = participation.client_id
        self._at_work[client_id] = participation
        end = participation.done.callbacks
        if end is not None:
            end.append(lambda _: self._forget(participation))
        if isinstance(self._availability, Always):
            return
        ids = np.array([client_id])
        if not self._availability.is_available(ids, at_s=self._now_s)[0]:
            participation.stop(LEFT)
        elif client_id not in self._timed:
            (leaves_at_s,) = self._availability.next_change_s(ids, after_s=self._now_s).tolist()
            if leaves_at_s < np.inf:
                self._timed.add(client_id)
                timer = self._env.timeout(leaves_at_s - self._now_s)
                timer.callbacks.append(lambda _: self._leave(client_id))

    def wait_for_somebody(self) -> Generator[simpy.Event, Any, None]:
        """Let time pass until a client is there; not at all while any is at work.

        Raises
        ------
        ValueError
            If nobody will ever be there.
        """
        while not self._at_work and not len(self.candidate_ids()):
            changes_s = self._availability.next_change_s(self._client_ids, after_s=self._now_s)
            next_s = float(changes_s.min())
            if next_s == np.inf:
                msg = (
                    f"clients.availability: nobody is available at {self._now_s:.12g} s, nor ever "
                    "after: no round can begin"
                )
                raise ValueError(msg)
            yield self._env.timeout(next_s - self._now_s)

    def _leave(self, client_id: int) -> None:
        self._timed.discard(client_id)
        participation = self._at_work.get(client_id)
        if participation is not None:
            participation.stop(LEFT)

    def _forget(self, participation: Stoppable) -> None:
        if self._at_work.get(participation.client_id) is participation:
            del self._at_work[participation.client_id]
