"""What a client does for the server, in simulated time: it computes, sends, and can be stopped."""

from collections.abc import Generator
from typing import Any

import simpy

from fl.clients.work import Work
from fl.network import Direction, TransferEvent, TransferOutcome
from fl.server.computing import Computing, begin_computing, either, end_computing, most_w
from fl.server.federation import Federation


class ClientSteps:
    """The steps of one client, each of which ends or is stopped; their bytes and joules add up.

    Who extends it sets ``done`` when its process begins.

    Parameters
    ----------
    federation
        The run.
    client_id
        Who.
    participation_id
        Number that the rows of its transfers carry.
    deadline_at_s
        Instant at which the caller will stop it; its transfers get this time limit. ``None``: the
        network's own limit holds.
    transfer
        A transfer under way that the first one to be sent is.
    at_edge
        Whether its site sends and receives, and the server does not.
    """

    done: simpy.Event
    """Fires when all has ended, whatever the outcome."""

    def __init__(
        self,
        federation: Federation,
        client_id: int,
        *,
        participation_id: int,
        deadline_at_s: float | None,
        transfer: TransferEvent | None,
        at_edge: bool,
    ) -> None:
        self.participation_id = participation_id
        self.client_id = client_id
        self.outcome = "running"
        """``received``; or why the server has no update, as in ``clients.csv``."""
        self.compute_j = 0.0
        self.radio_j = 0.0
        self.uplink_bytes = 0
        self.downlink_bytes = 0
        self._federation = federation
        self._is_at_edge = at_edge
        self._deadline_at_s = deadline_at_s
        self._transfer = transfer
        self._stopped = federation.env.event()
        self._stopped_at_s: float | None = None
        self._computing: Computing | None = None

    @property
    def most_w(self) -> float:
        """Power that its client draws at most: computing, and its radio beside it [W]."""
        return most_w(self._federation, self.client_id)

    def unbooked_j(self) -> float:
        """Return what computing has spent so far that is not booked yet."""
        if self._computing is None:
            return 0.0
        return self._computing.spent_j(self._federation.now_s)

    def stop(self, outcome: str) -> None:
        """End the participation at this instant: nothing more is sent or computed.

        Computing is booked up to now, a transfer on the air is cancelled, and the job never runs;
        one that is finished does if the client trained something for itself. ``done`` fires at this
        instant; where bytes have left the air already, when the network says what became of them.
        What the server has by this instant stays received. No effect when the participation has
        ended or was stopped before.

        Parameters
        ----------
        outcome
            Why, in a word; the row adds the stage: ``late:compute``.
        """
        if self.done.triggered or self._stopped.triggered:
            return
        self._stopped_at_s = self._federation.now_s
        self._stopped.succeed(outcome)
        # A transfer that has reached its own time limit is ended by the network, which says why.
        is_due = self._deadline_at_s is not None and self._stopped_at_s >= self._deadline_at_s
        if self._transfer is not None and not is_due:
            self._transfer.cancel(outcome)

    def work(self, work: Work) -> Generator[simpy.Event, Any, float | None]:
        """Let the device compute; return its seconds, ``None`` if it was stopped."""
        federation = self._federation
        if self.is_stopped_in("compute"):
            return None
        computing = begin_computing(federation, self.client_id, work=work)
        self._computing = computing
        yield either(federation.env, computing.duration_s, self._stopped)
        self._computing = None
        self.compute_j += end_computing(federation, computing)
        if self.is_stopped_in("compute"):
            return None
        return federation.now_s - computing.started_at_s

    def wait_for_server(self, server_s: float) -> Generator[simpy.Event, Any, bool]:
        """Let the server compute; return whether it came to its end."""
        if server_s > 0 and not self._stopped.triggered:
            yield either(self._federation.env, server_s, self._stopped)
        return not self.is_stopped_in("server")

    def is_stopped_in(self, step: str) -> bool:
        """Whether it was stopped; then its outcome says so, and in which step."""
        if self._stopped.triggered:
            self.outcome = f"{self._stopped.value}:{step}"
        return self._stopped.triggered

    def send(
        self, direction: Direction, size_bytes: int
    ) -> Generator[simpy.Event, Any, float | None]:
        """Let a transfer run to its end; return its seconds, ``None`` if it was not delivered."""
        federation, now_s = self._federation, self._federation.now_s
        if self._transfer is None:
            if self.is_stopped_in(direction):
                return None
            deadline_at_s = self._deadline_at_s
            self._transfer = federation.network.send(
                self.client_id,
                direction,
                size_bytes,
                timeout_s=None if deadline_at_s is None else deadline_at_s - now_s,
                participation_id=self.participation_id,
                at_edge=self._is_at_edge,
            )
        sent: TransferOutcome = yield self._transfer.event
        self._transfer = None
        self.book(sent)
        why = self._why_not(sent)
        if why is not None:
            self.outcome = why
            return None
        return sent.finished_at_s - sent.requested_at_s

    def book(self, sent: TransferOutcome) -> None:
        """Count the bytes and joules of a transfer that has ended."""
        if sent.direction == "uplink":
            self.uplink_bytes += sent.delivered_bytes
        else:
            self.downlink_bytes += sent.delivered_bytes
        self.radio_j += sent.energy_j

    def _why_not(self, sent: TransferOutcome) -> str | None:
        """Return why a transfer that has ended does not count; ``None`` if it does."""
        if self._stopped_at_s is not None and (
            sent.status == self._stopped.value
            or (sent.status == "delivered" and sent.finished_at_s > self._stopped_at_s)
        ):
            return f"{self._stopped.value}:{sent.direction}"
        if sent.status == "delivered":
            return None
        if sent.status == "timeout" and self._deadline_at_s is not None:
            return f"late:{sent.direction}"
        return f"dropped:{sent.direction}:{sent.status}"
