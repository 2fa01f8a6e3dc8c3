"""What the modes without rounds share: clients at work at all times, updates in order of arrival.

Here a *round* is what lies between two aggregations. A client that has ended is replaced by another
one that is not at work; each begins from the server's tensors of that instant. Where none is there,
its place is taken by the first one that comes, at the instant at which it does.
"""

from collections import Counter, deque
from collections.abc import Generator
from functools import partial
from typing import Any, Literal

import numpy as np
import simpy

from fl.server.aggregation import aggregate, record_round
from fl.server.federation import Federation
from fl.server.merging import MergeRule
from fl.server.monitor import Monitor
from fl.server.participation import Participation
from fl.server.selection import select_clients
from fl.server.starting import end_unfinished, start_participations


class _AtWork:
    """The participations under way, and those that have ended and were not looked at yet."""

    def __init__(self, federation: Federation) -> None:
        self._federation = federation
        self._under_way: dict[int, Participation] = {}
        self._ended: deque[Participation] = deque()
        self._wake: simpy.Event | None = None
        self._num_started: Counter[int] = Counter()
        self._num_decisions = 0
        self._num_missing = 0
        """Places that could not be taken, as nobody else was there."""
        policy = federation.server.policy
        self.num_wanted: int | None = getattr(policy, "num_clients", None)
        """How many are at work when all places are taken: ``num_clients`` of the policy, or as many
        as it selects at first (``None`` until then)."""

    def fill(self, round_id: int, *, most: int | None = None) -> Generator[simpy.Event, Any, None]:
        """Let clients begin in the places that are free, or in so many of them.

        Waits for somebody if nobody is there and nobody at work.
        """
        if not self._under_way and not self._ended:
            yield from self._federation.presence.wait_for_somebody()
        wanted = None if self.num_wanted is None else self.num_wanted - len(self._under_way)
        if wanted is not None and most is not None:
            wanted = min(wanted, most)
        if wanted is not None and wanted <= 0:
            self._num_missing = 0
            return
        self._num_decisions += 1
        client_ids = yield from select_clients(
            self._federation, round_id, num_wanted=wanted, decision_id=self._num_decisions
        )
        self._num_started.update(client_ids)
        begun = start_participations(
            self._federation,
            client_ids,
            round_id=round_id,
            seed_ids=[self._num_started[client_id] for client_id in client_ids],
        )
        if self.num_wanted is None and begun:
            self.num_wanted = len(begun)
        for each in begun:
            self._under_way[each.participation_id] = each
            each.done.callbacks.append(partial(self._note_end, each))
        self._num_missing = 0 if wanted is None else wanted - len(begun)
        if self._num_missing and len(self._federation.presence.candidate_ids()):
            self._num_missing = 0  # the policy leaves these places free

    @property
    def all(self) -> list[Participation]:
        """All that were not looked at yet, those that have ended first."""
        return [*self._ended, *self._under_way.values()]

    def next_ended(
        self, round_id: int, until: simpy.Event | None
    ) -> Generator[simpy.Event, Any, Participation | None]:
        """Wait for the next one to end; ``None`` if nothing has by an event, or nothing is left.

        Meanwhile clients that come begin in places that could not be taken.
        """
        env, presence = self._federation.env, self._federation.presence
        while not self._ended and self._under_way:
            self._wake = env.event()
            wait = self._wake if until is None else self._wake | until
            coming_s = presence.next_coming_s() if self._num_missing else np.inf
            yield wait if coming_s == np.inf else wait | env.timeout(coming_s - env.now)
            self._wake = None
            if self._ended or (until is not None and until.processed):
                break
            yield from self.fill(round_id, most=self._num_missing)
        return self._ended.popleft() if self._ended else None

    def _note_end(self, participation: Participation, _: simpy.Event) -> None:
        del self._under_way[participation.participation_id]
        self._ended.append(participation)
        if self._wake is not None and not self._wake.triggered:
            self._wake.succeed()


def run_aggregations(
    federation: Federation,
    rule: MergeRule,
    *,
    num_updates: int | None,
    time_s: float | None = None,
    restart: Literal["receipt", "aggregation"] = "receipt",
) -> Generator[simpy.Event, Any, None]:
    """Run to the last aggregation as a SimPy process, or to the targets; end what is under way.

    Where as many participations in a row are lost as are at work at a time, the round ends without
    an aggregation, so that a run ends although nothing arrives.

    Parameters
    ----------
    federation
        The run.
    rule
        What becomes of each update before the method averages it.
    num_updates
        Updates that are enough for an aggregation; ``None``: any number.
    time_s
        Seconds since the last one that are enough; ``None``: any time.
    restart
        When others begin in place of those that have ended.
    """
    at_work = _AtWork(federation)
    buffer: list[Participation] = []
    for round_id in Monitor(federation).rounds():
        started_at_s, version = federation.now_s, federation.state.version
        limit = None if time_s is None else federation.env.timeout(time_s)
        yield from at_work.fill(round_id)
        lost: list[Participation] = []
        num_lost_in_a_row = 0
        while num_updates is None or len(buffer) < num_updates:
            ended = yield from at_work.next_ended(round_id, limit)
            if ended is None:
                break
            (buffer if ended.is_received else lost).append(ended)
            # the server forgets its buffer when it crashes
            lost += [each for each in buffer if not each.is_received]
            buffer = [each for each in buffer if each.is_received]
            num_lost_in_a_row = 0 if ended.is_received else num_lost_in_a_row + 1
            if limit is None and num_lost_in_a_row == at_work.num_wanted:
                break
            if restart == "receipt" and len(buffer) != num_updates:
                yield from at_work.fill(round_id)
        merged: list[Participation] = []
        if limit is not None or num_lost_in_a_row != at_work.num_wanted:
            merged, buffer = buffer, []
        aggregate(federation, merged, round_id=round_id, rule=rule)
        record_round(
            federation,
            [*lost, *merged],
            round_id=round_id,
            started_at_s=started_at_s,
            version=version,
        )
    yield from end_unfinished(federation, [*buffer, *at_work.all])
