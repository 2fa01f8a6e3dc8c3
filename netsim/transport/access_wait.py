"""Transfers that wait for access: from the request to the first slot in which they may be sent.

An upload waits for the connection, for its grant, for the handshake of a new session and for the
pauses of slow start; the client listens all the while. A download first is under way to the site
and waits until the client notices it (paging, or the next cycle of DRX): up to there the client
spends nothing on it, but for the tail of its radio. Then it listens, as for an upload.

The members of a broadcast begin together, when the last of them is connected: there is one bearer
a cell, sent once. It has no session with each client, so neither handshake nor slow start.

Slow start goes by the rate that the client would have alone in its cell at the request, and pauses
come before the first block (our choice: in truth they lie between windows). In a busy cell, where
each transfer is slower, there are fewer pauses.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import numpy as np
import simpy
from jaxtyping import Float, Int

from netsim.config.access import AccessConfig
from netsim.energy.ledger import Ledger
from netsim.mac.grant_time import next_slot_s, uplink_grant_s
from netsim.rrc.connection import ConnectionTimers, State, connect_s, notice_s
from netsim.streams import Purpose, stream
from netsim.transport.slow_start import slow_start_s
from netsim.transport.transfers import DIRECTIONS, Transfer


class Rates(Protocol):
    """Tells the rates of clients alone in their cells."""

    def __call__(
        self, client_ids: Int[np.ndarray, " client"], *, is_uplink: bool, now_s: float
    ) -> Float[np.ndarray, " client"]:
        """Return the rate of each client in one direction [bit/s]."""


@dataclass(slots=True, eq=False)
class Wait:
    """A transfer that waits."""

    transfer: Transfer
    listens_at_s: float
    """When its client begins to listen for it."""
    energy_j: float = 0.0
    """What its client has spent on it."""


@dataclass(slots=True, kw_only=True)  # freezing would triple the time that making one takes
class _Connecting:
    """A client on its way to a connection."""

    state: State
    """Where it comes from."""
    connected_at_s: float


@dataclass(slots=True, kw_only=True)  # freezing would triple the time that making one takes
class _Plan:
    """When a transfer gets where, if it waits for nobody else."""

    listens_at_s: float
    starts_at_s: float


class AccessWait:
    """Transfers from their request until they are on the air.

    Parameters
    ----------
    env
        Simulation clock in seconds.
    config
        The section.
    timers
        When clients go from state to state.
    slot_s
        Duration of a slot [s].
    seed
        Root seed of the run.
    ledger
        Where listening is booked, and which tells when a radio was last in use.
    listen_w
        Power drawn while a client listens [W].
    is_on_air
        Tells whether a client has a transfer on the air: the engine books its radio then.
    rates
        Tells the rates of clients alone in their cells. It is asked once for all requests of an
        instant in a direction, which is much faster than for each.
    admit
        Puts a transfer on the air; the second argument is what its client has spent on it [J].
    end
        Ends one that waits, with a status.
    """

    def __init__(
        self,
        env: simpy.Environment,
        config: AccessConfig,
        *,
        timers: ConnectionTimers,
        slot_s: float,
        seed: int,
        ledger: Ledger,
        listen_w: float,
        is_on_air: Callable[[int], bool],
        rates: Rates,
        admit: Callable[[Transfer, float], None],
        end: Callable[[Wait, str], None],
    ) -> None:
        self._env = env
        self._config = config
        self._timers = timers
        self._slot_s = slot_s
        self._seed = seed
        self._ledger = ledger
        self._listen_w = listen_w
        self._is_on_air = is_on_air
        self._rates = rates
        self._admit = admit
        self._end = end
        self._latency_s = (config.rtt_s or 0.0) / 2
        self._is_slow_starting = (
            config.session is not None and config.session.initial_window_bytes is not None
        )
        self._new: list[Transfer] = []
        self._waits: dict[int, Wait] = {}
        self._of_client: defaultdict[int, list[Wait]] = defaultdict(list)
        self._booked_until_s: dict[int, float] = {}
        self._connecting: dict[int, _Connecting] = {}
        self._num_requests: defaultdict[tuple[int, int], int] = defaultdict(int)

    @property
    def _now_s(self) -> float:
        return float(self._env.now)

    def begin(self, transfers: Sequence[Transfer]) -> None:
        """Let a transfer, or the members of a broadcast, wait; without any wait they are on air."""
        if not self._is_slow_starting or any(each.broadcast_id is not None for each in transfers):
            self._start(transfers, [0.0] * len(transfers))
            return
        if not self._new:
            self._env.timeout(0.0).callbacks.append(lambda _: self._start_new())
        self._new += transfers

    def _start_new(self) -> None:
        """Begin what was asked for at this instant, with the rates of all its clients."""
        new, self._new = self._new, []
        rate_bps: dict[int, float] = {}
        for direction in DIRECTIONS:
            asked = [transfer for transfer in new if transfer.direction == direction]
            if asked:
                client_ids = np.array([transfer.client_id for transfer in asked])
                is_uplink = direction == "uplink"
                rates_bps = self._rates(client_ids, is_uplink=is_uplink, now_s=self._now_s)
                ids = (transfer.transfer_id for transfer in asked)
                rate_bps.update(zip(ids, rates_bps.tolist(), strict=True))
        for transfer in new:
            self._start([transfer], [rate_bps[transfer.transfer_id]])

    def _start(self, transfers: Sequence[Transfer], rates_bps: Sequence[float]) -> None:
        plans = [
            self._plan(transfer, rate_bps)
            for transfer, rate_bps in zip(transfers, rates_bps, strict=True)
        ]
        starts_at_s = max((plan.starts_at_s for plan in plans), default=0.0)
        if starts_at_s > self._now_s and self._config.grant is not None:
            starts_at_s = next_slot_s(starts_at_s, self._slot_s)
        for transfer, plan in zip(transfers, plans, strict=True):
            if starts_at_s <= self._now_s:
                self._admit(transfer, 0.0)
            else:
                self._wait(transfer, plan.listens_at_s, starts_at_s)

    def is_waiting(self, transfer: Transfer) -> bool:
        """Return whether the transfer still waits."""
        return transfer.transfer_id in self._waits or transfer in self._new

    def cancel(self, transfer: Transfer, status: str) -> None:
        """End a transfer that waits, now."""
        if transfer in self._new:  # of this instant
            self._new.remove(transfer)
            self._end(Wait(transfer, self._now_s), status)
            return
        self._end(self._leave(self._waits[transfer.transfer_id]), status)

    def note_left_air(self, client_id: int) -> None:
        """Note that a transfer of a client has left the air: up to now the engine has booked it."""
        if client_id in self._of_client:
            self._booked_until_s[client_id] = self._now_s

    def flush(self) -> None:
        """Book what clients have spent on waiting up to now."""
        for client_id in self._of_client:
            self._book(client_id)

    def _wait(self, transfer: Transfer, listens_at_s: float, starts_at_s: float) -> None:
        client_id = transfer.client_id
        self._book(client_id)
        wait = Wait(transfer, listens_at_s)
        self._waits[transfer.transfer_id] = wait
        self._of_client[client_id].append(wait)
        deadline_at_s = transfer.deadline_at_s
        last_start_s = deadline_at_s - (self._latency_s if transfer.direction == "uplink" else 0.0)
        is_in_time = starts_at_s < last_start_s
        due = self._env.timeout((starts_at_s if is_in_time else deadline_at_s) - self._now_s)
        due.callbacks.append(lambda _: self._on_due(wait, is_in_time=is_in_time))

    def _on_due(self, wait: Wait, *, is_in_time: bool) -> None:
        if not self.is_waiting(wait.transfer):
            return  # cancelled
        self._leave(wait)
        if is_in_time:
            self._admit(wait.transfer, wait.energy_j)
        else:
            self._end(wait, "timeout")

    def _leave(self, wait: Wait) -> Wait:
        client_id = wait.transfer.client_id
        self._book(client_id)
        del self._waits[wait.transfer.transfer_id]
        self._of_client[client_id].remove(wait)
        if not self._of_client[client_id]:
            del self._of_client[client_id], self._booked_until_s[client_id]
            if self._now_s < wait.listens_at_s:  # it was never reached
                self._connecting.pop(client_id, None)
        return wait

    # Times --------------------------------------------------------------------------------------

    def _plan(self, transfer: Transfer, rate_bps: float) -> _Plan:
        """Return when a client listens for a transfer, and when that may start.

        ``rate_bps`` is the rate that slow start goes up to.
        """
        config, now_s = self._config, self._now_s
        is_uplink = transfer.direction == "uplink"
        uniform = self._draw(transfer)
        connecting = self._connecting.get(transfer.client_id)
        is_connecting = connecting is not None and connecting.connected_at_s > now_s
        state = connecting.state if connecting and is_connecting else self._state(transfer)
        silent_s = 0.0
        if not is_uplink:
            cycle_s = None if config.drx is None else self._timers.drx_cycle_s
            paged_s = notice_s(state, uniform, drx_cycle_s=cycle_s, paging=config.paging)
            silent_s = self._latency_s + paged_s
        way_s = connect_s(state, config.connection, config.drx, is_uplink=is_uplink)
        connected_at_s = now_s + silent_s + way_s
        if connecting and is_connecting:
            connected_at_s = min(connected_at_s, connecting.connected_at_s)
        if state in (State.INACTIVE, State.IDLE):
            self._connecting[transfer.client_id] = _Connecting(
                state=state, connected_at_s=connected_at_s
            )
        if not is_uplink:
            connected_at_s = max(connected_at_s, now_s + self._latency_s)
        starts_at_s = connected_at_s + self._grant_s(uniform, is_uplink=is_uplink)
        is_kept = state in (State.ACTIVE, State.DRX)
        starts_at_s += self._session_s(transfer, rate_bps, is_kept=is_kept)
        return _Plan(listens_at_s=min(now_s + silent_s, connected_at_s), starts_at_s=starts_at_s)

    def _draw(self, transfer: Transfer) -> float:
        """Return a uniform number, the same in every variant for a client's k-th transfer."""
        key = (transfer.client_id, DIRECTIONS.index(transfer.direction))
        count = self._num_requests[key]
        self._num_requests[key] += 1
        return float(stream(self._seed, Purpose.ACCESS_WAIT, *key, count).random())

    def _state(self, transfer: Transfer) -> State:
        client_id, now_s = transfer.client_id, self._now_s
        listens = any(wait.listens_at_s <= now_s for wait in self._of_client.get(client_id, ()))
        if listens or self._is_on_air(client_id):
            return State.ACTIVE
        return self._timers.state(self._ledger.radio_gap_s(client_id, now_s))

    def _grant_s(self, uniform: float, *, is_uplink: bool) -> float:
        grant = self._config.grant
        if grant is None:
            return 0.0
        return uplink_grant_s(grant, uniform) if is_uplink else grant.downlink_s

    def _session_s(self, transfer: Transfer, rate_bps: float, *, is_kept: bool) -> float:
        """Return the time of handshake and slow start [s]."""
        session, rtt_s = self._config.session, self._config.rtt_s
        if session is None or rtt_s is None or transfer.broadcast_id is not None:
            return 0.0
        handshake_s = 0.0 if is_kept else session.handshake_round_trips * rtt_s
        if session.initial_window_bytes is None:
            return handshake_s
        paused_s = slow_start_s(
            transfer.size_bytes,
            rate_bps,
            rtt_s=rtt_s,
            initial_window_bytes=session.initial_window_bytes,
        )
        return handshake_s + paused_s

    # Energy -------------------------------------------------------------------------------------

    def _book(self, client_id: int) -> None:
        """Book the listening of a client up to now; those it listens for bear equal parts."""
        now_s = self._now_s
        start_s = self._booked_until_s.get(client_id, now_s)
        self._booked_until_s[client_id] = now_s
        if start_s >= now_s or self._is_on_air(client_id):
            return
        waits = self._of_client[client_id]
        if len(waits) == 1:
            self._book_alone(waits[0], start_s)
            return
        begins_s = [wait.listens_at_s for wait in waits if start_s < wait.listens_at_s < now_s]
        for from_s, to_s in pairwise(sorted({start_s, now_s, *begins_s})):
            listening = [wait for wait in waits if wait.listens_at_s <= from_s]
            if not listening:
                continue
            self._ledger.charge(
                client_id,
                "idle",
                started_at_s=from_s,
                finished_at_s=to_s,
                power_w=self._listen_w,
            )
            for wait in listening:
                wait.energy_j += self._listen_w * (to_s - from_s) / len(listening)

    def _book_alone(self, wait: Wait, start_s: float) -> None:
        """Book the same for the only transfer that a client waits for."""
        now_s, from_s = self._now_s, max(start_s, wait.listens_at_s)
        if from_s >= now_s:
            return
        self._ledger.charge(
            wait.transfer.client_id,
            "idle",
            started_at_s=from_s,
            finished_at_s=now_s,
            power_w=self._listen_w,
        )
        wait.energy_j += self._listen_w * (now_s - from_s)
