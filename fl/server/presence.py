"""Who is there: clients that leave end their participation, and the server waits for somebody."""

from collections.abc import Generator
from typing import Any, Protocol

import numpy as np
import simpy
from jaxtyping import Float, Int

from fl.clients.availability.model import Always, Availability
from fl.clients.battery import Batteries
from fl.network import EnergyAccount

LEFT = "left"
"""Outcome of a participation whose client went away."""
BATTERY_EMPTY = "battery_empty"
"""The same where its battery ran out."""
SERVER_CRASHED = "server_crashed"
"""The same where the server lost it."""
GONE = (LEFT, BATTERY_EMPTY, SERVER_CRASHED)


class Stoppable(Protocol):
    """A participation, or a question to a client, as far as presence needs it."""

    client_id: int
    done: simpy.Event

    @property
    def most_w(self) -> float:
        """Power that its client draws at most [W]."""

    def unbooked_j(self) -> float:
        """Return what its computing has spent that the energy account does not have yet."""

    def stop(self, outcome: str) -> None:
        """End it at this instant."""

    def discard(self, outcome: str) -> None:
        """Leave what the server has of it unmerged."""


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
        self.batteries: Batteries | None = None
        """What they have left; ``None``: all are on mains."""
        self.num_crashes = 0
        """How often the server has crashed so far."""
        self._checked: set[int] = set()
        self._unrecorded: dict[Stoppable, None] = {}
        self._back_at_s = 0.0
        self._env = env
        self._availability = availability
        self._client_ids = np.arange(num_clients)
        self._at_work: dict[int, Stoppable] = {}
        self._timed: set[int] = set()

    @property
    def _now_s(self) -> float:
        return float(self._env.now)

    @property
    def is_anybody_at_work(self) -> bool:
        """Whether a client takes part, or answers a question, now."""
        return bool(self._at_work)

    def candidate_ids(self) -> Int[np.ndarray, " client"]:
        """Return the clients that are there now and not at work, ascending."""
        if self._now_s < self._back_at_s:
            return np.zeros(0, dtype=np.int64)
        is_there = self._availability.is_available(self._client_ids, at_s=self._now_s)
        is_there[list(self._at_work)] = False
        if self.batteries is not None:
            is_there &= self.batteries.is_there(self._client_ids, now_s=self._now_s)
        candidates: Int[np.ndarray, " client"] = np.flatnonzero(is_there)
        return candidates

    def watch(self, participation: Stoppable) -> None:
        """Stop what begins now once its client goes away or has no energy."""
        client_id = participation.client_id
        self._at_work[client_id] = participation
        self._unrecorded[participation] = None
        end = participation.done.callbacks
        if end is not None:
            end.append(lambda _: self._forget(participation))
        if self.batteries is not None:
            self.batteries.begin(client_id, now_s=self._now_s)
            self._check_battery(client_id)
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
        """Let time pass until the server and a client are there; not while any is at work.

        Raises
        ------
        ValueError
            If nobody will ever be there.
        """
        while not self._at_work and not len(self.candidate_ids()):
            if self._now_s < self._back_at_s:
                yield self._env.timeout(self._back_at_s - self._now_s)
                continue
            changes_s = self._availability.next_change_s(self._client_ids, after_s=self._now_s)
            next_s, keys = float(changes_s.min()), "clients.availability"
            if self.batteries is not None:
                next_s = min(next_s, self.batteries.next_return_s(now_s=self._now_s))
                keys = "clients.availability, clients.battery"
            if next_s == np.inf:
                msg = (
                    f"{keys}: nobody is available at {self._now_s:.12g} s, nor ever "
                    "after: no round can begin"
                )
                raise ValueError(msg)
            yield self._env.timeout(next_s - self._now_s)

    def next_coming_s(self) -> float:
        """Return when a client could next come that is away now [s]; inf if never.

        The server has to be there too: not before it is back from a crash. Some change of an idle
        client may turn out to be none that makes it a candidate.
        """
        is_idle = np.ones(len(self._client_ids), dtype=np.bool_)
        is_idle[list(self._at_work)] = False
        ids = self._client_ids[is_idle]
        changes_s = self._availability.next_change_s(ids, after_s=self._now_s)
        next_s = float(changes_s.min(initial=np.inf))
        if self.batteries is not None:
            next_s = min(next_s, self.batteries.next_return_s(now_s=self._now_s))
        return self._back_at_s if self._now_s < self._back_at_s else next_s

    def check_job(self, client_id: int, energy_j: float, *, device: str) -> None:
        """Refuse a job that a full battery cannot do, where it never charges.

        Raises
        ------
        ValueError
            Naming client and device.
        """
        if self.batteries is None or self.batteries.can_charge:
            return
        capacity_j = float(self.batteries.capacity_j[client_id])
        if energy_j > capacity_j:
            msg = (
                f"clients.battery: a full battery of client {client_id} ({device}) holds "
                f"{capacity_j:.6g} J, one round of computing takes {energy_j:.6g} J"
            )
            raise ValueError(msg)

    def crash_server(self, *, down_s: float) -> None:
        """Let the server lose all that it has not merged, and be away for some seconds."""
        self.num_crashes += 1
        self._back_at_s = self._now_s + down_s
        for each in list(self._unrecorded):
            each.stop(SERVER_CRASHED)
            each.discard(SERVER_CRASHED)

    def note_recorded(self, participation: Stoppable) -> None:
        """Note that what a participation gave, or an answer, is used, or lost: rows are written."""
        self._unrecorded.pop(participation, None)

    def battery_j(
        self, client_ids: Int[np.ndarray, " client"]
    ) -> tuple[Float[np.ndarray, " client"], Float[np.ndarray, " client"]]:
        """Return what some clients have in their battery and what it holds; NaN without one."""
        if self.batteries is None:
            return np.full(len(client_ids), np.nan), np.full(len(client_ids), np.nan)
        levels_j = self.batteries.levels_j(client_ids, now_s=self._now_s)
        capacity_j = self.batteries.capacity_j[client_ids]
        is_set = np.isfinite(capacity_j)
        return np.where(is_set, levels_j, np.nan), np.where(is_set, capacity_j, np.nan)

    def spent_j(
        self, client_ids: Int[np.ndarray, " client"], energy: EnergyAccount
    ) -> Float[np.ndarray, " client"]:
        """Return what some clients have spent up to now, computing that goes on included."""
        spent_j = energy.client_energy_j(client_ids, self._now_s)
        unbooked = (self._at_work.get(each) for each in client_ids.tolist())
        open_j = np.array([0.0 if each is None else each.unbooked_j() for each in unbooked])
        total_j: Float[np.ndarray, " client"] = spent_j + open_j
        return total_j

    def _check_battery(self, client_id: int) -> None:
        """Stop a client at work whose battery is empty, or look again when it could be.

        The battery lasts at least until then, whatever the client does: a client has one look to
        come at most, and the instants close in on the one at which it is empty.
        """
        participation = self._at_work.get(client_id)
        if self.batteries is None or participation is None or client_id in self._checked:
            return
        most_w = participation.most_w
        safe_s = self.batteries.safe_s(client_id, now_s=self._now_s, most_w=most_w)
        if safe_s == 0:
            self.batteries.empty(client_id)
            participation.stop(BATTERY_EMPTY)
        elif safe_s < np.inf:
            self._checked.add(client_id)
            self._env.timeout(safe_s).callbacks.append(lambda _: self._look_again(client_id))

    def _look_again(self, client_id: int) -> None:
        self._checked.discard(client_id)
        self._check_battery(client_id)

    def _leave(self, client_id: int) -> None:
        self._timed.discard(client_id)
        participation = self._at_work.get(client_id)
        if participation is not None:
            participation.stop(LEFT)

    def _forget(self, participation: Stoppable) -> None:
        if self._at_work.get(participation.client_id) is participation:
            if self.batteries is not None:
                self.batteries.end(participation.client_id, now_s=self._now_s)
            del self._at_work[participation.client_id]
