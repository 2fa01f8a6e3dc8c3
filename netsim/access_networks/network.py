"""A network of given rates as one object: send, broadcast, link table, energy, rows.

A transfer waits (set-up, and in the downlink the latency to the client), crosses its link, and in
the uplink is under way to the server for the latency. Alone on a constant rate it takes
``setup_s + rtt_s / 2 + 8 * size_bytes / rate_bps``.
"""

from collections.abc import Callable, Sequence

import numpy as np
import simpy
from jaxtyping import Int

from netsim.access_networks.access import Access, ConnectedTail
from netsim.access_networks.link import Flow, Link
from netsim.access_networks.link_table import RateTable
from netsim.access_networks.medium import LinkKey, Medium
from netsim.energy.energy_meter import EnergyMeter
from netsim.energy.ledger import Ledger
from netsim.transport.requests import (
    check_broadcast,
    check_client,
    check_clients,
    check_request,
)
from netsim.transport.transfers import Direction, Transfer, TransferRow

_ACTIVITY = {"uplink": "tx", "downlink": "rx"}
_WHOLE = 1e-12
"""Rounding of a share of time."""


NO_SITES = "a network of given rates has no sites"


class RateNetwork:
    """Clients with given rates on a SimPy clock in seconds; no radio channel, no sites.

    Parameters
    ----------
    env
        Simulation clock, shared with the senders.
    accesses
        What each client has, by client id.
    medium
        Who shares which link.
    kind
        Kind of the network, for messages.
    tail
        What a modem draws after its last data, and while it waits.
    setup_s
        Fixed time before the first byte of every transfer [s].
    transfer_timeout_s
        Time limit of a transfer that is sent without one [s].
    """

    def __init__(
        self,
        env: simpy.Environment,
        *,
        accesses: Sequence[Access],
        medium: Medium,
        kind: str,
        tail: ConnectedTail,
        setup_s: float,
        transfer_timeout_s: float,
    ) -> None:
        self._env = env
        self._accesses = accesses
        self._medium = medium
        self._kind = kind
        self._connected_w = tail.connected_w
        self._distinct = list({id(each): each for each in accesses}.values())
        place = {id(each): index for index, each in enumerate(self._distinct)}
        self._access_id = np.array([place[id(each)] for each in accesses], dtype=np.int64)
        drawn_w = (each.largest for access in self._distinct for each in access.power_w.values())
        self._most_radio_w = max([tail.connected_w, *drawn_w])
        self._setup_s = setup_s
        self._transfer_timeout_s = transfer_timeout_s
        self._ledger = Ledger(ue_power=tail, site_power=())
        self._energy = EnergyMeter(self._ledger, self._flush)
        self._links: dict[LinkKey, Link] = {}
        self._flows: dict[int, Flow] = {}
        self._setups: dict[int, float] = {}
        self._num_transfers = 0
        self._finished: list[TransferRow] = []

    @property
    def _now_s(self) -> float:
        return float(self._env.now)

    @property
    def energy(self) -> EnergyMeter:
        """Energy meter of the run."""
        return self._energy

    @property
    def most_radio_w(self) -> float:
        """Power that the modem of any client draws at most [W]."""
        return self._most_radio_w

    def send(
        self,
        client_id: int,
        direction: Direction,
        size_bytes: int,
        *,
        timeout_s: float | None = None,
        participation_id: int | None = None,
        at_edge: bool = False,
    ) -> Transfer:
        """Start a transfer between server and client; it ends in simulated time.

        Parameters
        ----------
        client_id
            Client that sends or receives.
        direction
            ``uplink`` or ``downlink``.
        size_bytes
            Whole number of bytes, at least 1.
        timeout_s
            Time limit from now [s]; ``None`` is the scenario's ``transfer_timeout_s``.
        participation_id
            Work that it belongs to, for its row; without effect on the transfer.
        at_edge
            ``False``: there are no sites.

        Raises
        ------
        ValueError
            If there is no such client or direction, or a number is out of range.
        """
        if at_edge:
            raise ValueError(NO_SITES)
        limit_s = self._transfer_timeout_s if timeout_s is None else timeout_s
        check_request(direction, size_bytes, timeout_s=limit_s)
        transfer = Transfer(
            self._env,
            transfer_id=self._num_transfers,
            client_id=check_client(client_id, num_clients=len(self._accesses)),
            direction=direction,
            size_bytes=int(size_bytes),
            deadline_at_s=self._now_s + limit_s,
            broadcast_id=None,
            participation_id=participation_id,
            cancel=self._cancel,
        )
        self._num_transfers += 1
        self._admit(transfer)
        return transfer

    def relay(self, site_id: int, direction: Direction, size_bytes: int) -> simpy.Event:
        """Refuse: there are no sites.

        Raises
        ------
        ValueError
            Always.
        """
        raise ValueError(NO_SITES)

    def broadcast(
        self,
        client_ids: Sequence[int],
        size_bytes: int,
        *,
        timeout_s: float | None = None,
        participation_ids: Sequence[int] | None = None,
    ) -> list[Transfer]:
        """Send the same bytes to several clients, one copy each: there is no multicast.

        Raises
        ------
        ValueError
            As :meth:`send`, and if a client is repeated, or ``participation_ids`` has another
            length than ``client_ids``.
        """
        numbers = check_broadcast(client_ids, participation_ids)
        return [
            self.send(
                client_id, "downlink", size_bytes, timeout_s=timeout_s, participation_id=number
            )
            for client_id, number in zip(client_ids, numbers, strict=True)
        ]

    def link_table(self, client_ids: Sequence[int] | Int[np.ndarray, " client"]) -> RateTable:
        """Return the links of these clients now, in the order asked for."""
        ids = check_clients(client_ids, num_clients=len(self._accesses))
        now_s = self._now_s
        return RateTable.of(
            ids, self._distinct, self._access_id, self._medium, at_s=now_s, kind=self._kind
        )

    def transfers(self) -> list[TransferRow]:
        """Return the rows of transfers that ended since the last call, in order of their end."""
        rows, self._finished = self._finished, []
        return rows

    def _admit(self, transfer: Transfer) -> None:
        """Let a transfer wait for its link; one that cannot be in time is never on it."""
        latency_s = self._accesses[transfer.client_id].rtt_s.value(self._now_s) / 2
        flow = Flow(
            transfer=transfer, latency_s=latency_s, remaining_bits=8.0 * transfer.size_bytes
        )
        self._flows[transfer.transfer_id] = flow
        self._setups[transfer.transfer_id] = self._now_s
        is_uplink = transfer.direction == "uplink"
        starts_at_s = self._now_s + self._setup_s + (0.0 if is_uplink else latency_s)
        leaves_by_s = transfer.deadline_at_s - (latency_s if is_uplink else 0.0)
        if starts_at_s < leaves_by_s:
            self._at(starts_at_s, self._start, flow)
        self._at(max(leaves_by_s, self._now_s), self._give_up, flow)

    def _at(self, at_s: float, step: Callable[[Flow], None], flow: Flow) -> None:
        """Do something with a transfer at an instant."""
        self._env.timeout(max(at_s - self._now_s, 0.0)).callbacks.append(lambda _: step(flow))

    def _start(self, flow: Flow) -> None:
        """Put a transfer on its link."""
        if flow.has_left:
            return
        self._book_setup(flow.transfer)
        flow.started_at_s = self._now_s
        self._link_of(flow).add(flow)

    def _give_up(self, flow: Flow) -> None:
        """Take a transfer off its link that can no longer arrive in time."""
        if flow.has_left:
            return
        self._leave(flow)
        if flow.is_complete:
            self._arrive(flow)
        else:
            self._at(flow.transfer.deadline_at_s, self._time_out, flow)

    def _arrive(self, flow: Flow) -> None:
        """Let the last bits of a transfer that has left its link reach their end."""
        flow.left_at_s = self._now_s
        if flow.transfer.direction == "uplink" and flow.latency_s > 0:
            self._at(self._now_s + flow.latency_s, self._deliver, flow)
        else:
            self._deliver(flow)

    def _deliver(self, flow: Flow) -> None:
        self._end(flow, "delivered")

    def _time_out(self, flow: Flow) -> None:
        self._end(flow, "timeout")

    def _cancel(self, transfer: Transfer, reason: str) -> None:
        flow = self._flows[transfer.transfer_id]
        if flow.has_left:  # What is under way arrives, or is late.
            return
        self._leave(flow)
        if flow.is_complete:
            self._arrive(flow)
        else:
            self._end(flow, reason)

    def _leave(self, flow: Flow) -> None:
        """Take a transfer off its link, or out of its wait for it."""
        flow.left_at_s = self._now_s
        if flow.started_at_s is None:
            self._book_setup(flow.transfer)
        else:
            self._link_of(flow).remove(flow)

    def _end(self, flow: Flow, status: str) -> None:
        transfer = flow.transfer
        del self._flows[transfer.transfer_id]
        is_delivered = status == "delivered"
        on_link_s = 0.0
        if flow.started_at_s is not None and flow.left_at_s is not None:
            on_link_s = flow.left_at_s - flow.started_at_s
        crossed_bytes = int((8.0 * transfer.size_bytes - flow.remaining_bits) // 8.0)
        row = TransferRow(
            transfer_id=transfer.transfer_id,
            participation_id=transfer.participation_id,
            client_id=transfer.client_id,
            direction=transfer.direction,
            size_bytes=transfer.size_bytes,
            delivered_bytes=transfer.size_bytes
            if is_delivered
            else min(crossed_bytes, transfer.size_bytes - 1),
            requested_at_s=transfer.requested_at_s,
            started_at_s=self._now_s if flow.started_at_s is None else flow.started_at_s,
            finished_at_s=self._now_s,
            access_s=self._now_s - transfer.requested_at_s - on_link_s,
            queue_s=0.0,
            cell_id=self._medium.cell_id(transfer.client_id),
            mean_sinr_db=None,
            num_resource_blocks=0.0,
            retransmissions=0.0,
            handovers=0,
            energy_j=flow.energy_j,
            status=status,
        )
        self._finished.append(row)
        transfer.event.succeed(row)

    def _link_of(self, flow: Flow) -> Link:
        key = self._medium.link_of(flow.member)
        link = self._links.get(key)
        if link is None:
            link = self._links[key] = Link(
                self._env,
                rate_bps=self._medium.rate_of(key),
                share=lambda members: self._medium.grants(key, members),
                book=self._book,
                on_complete=self._arrive,
            )
        return link

    def _flush(self) -> None:
        """Book what running transfers have spent until now."""
        for link in self._links.values():
            link.settle()
        for flow in self._flows.values():
            self._book_setup(flow.transfer)

    def _book_setup(self, transfer: Transfer) -> None:
        """Book the set-up of a transfer up to now; the rest of its wait, if any, costs nothing."""
        since_s = self._setups.get(transfer.transfer_id)
        if since_s is None:
            return
        ends_at_s = transfer.requested_at_s + self._setup_s
        until_s = min(self._now_s, ends_at_s)
        flow = self._flows[transfer.transfer_id]
        if until_s > since_s:
            flow.energy_j += self._connected_w * (until_s - since_s)
            self._charge(transfer.client_id, "idle", since_s, until_s, self._connected_w)
        self._setups[transfer.transfer_id] = max(until_s, since_s)
        if flow.has_left or self._now_s >= ends_at_s:
            self._setups.pop(transfer.transfer_id)

    def _book(self, flows: Sequence[Flow], start_s: float, end_s: float) -> None:
        """Book what transfers on a link have spent, those of a client one after the other.

        What is left of the time, its client waits for the link; its transfers bear equal parts.
        """
        of_client: dict[int, list[Flow]] = {}
        for flow in flows:
            of_client.setdefault(flow.transfer.client_id, []).append(flow)
        for client_id, own in of_client.items():
            booked_s = start_s
            airtime = sum(flow.grant.airtime for flow in own)
            for flow in own:
                direction = flow.transfer.direction
                power_w = self._accesses[client_id].power_w[direction]
                energy_j = flow.grant.airtime * power_w.integral(start_s, end_s)
                is_last = flow is own[-1] and airtime >= 1.0 - _WHOLE
                until_s = end_s if is_last else booked_s + flow.grant.airtime * (end_s - start_s)
                until_s = min(until_s, end_s)
                flow.energy_j += energy_j
                if until_s > booked_s:
                    mean_w = energy_j / (until_s - booked_s)
                    self._charge(client_id, _ACTIVITY[direction], booked_s, until_s, mean_w)
                booked_s = until_s
            waited_j = self._connected_w * (end_s - booked_s)
            for flow in own:
                flow.energy_j += waited_j / len(own)
            self._charge(client_id, "idle", booked_s, end_s, self._connected_w)

    def _charge(
        self, client_id: int, activity: str, start_s: float, end_s: float, power_w: float
    ) -> None:
        self._ledger.charge(
            client_id, activity, started_at_s=start_s, finished_at_s=end_s, power_w=power_w
        )
