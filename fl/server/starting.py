"""Starting participations of the clients that were selected, and ending those that are too many."""

from collections.abc import Generator, Sequence
from functools import partial
from typing import Any

import simpy

from fl.methods.base import ServerState
from fl.network import TransferEvent
from fl.payload import Payload
from fl.problems import during
from fl.server.federation import Federation
from fl.server.participation import Participation


def start_participations(
    federation: Federation,
    client_ids: Sequence[int],
    *,
    round_id: int,
    timeout_s: float | None = None,
    seed_ids: Sequence[int] | None = None,
    state: ServerState | None = None,
    at_edge: bool = False,
) -> list[Participation]:
    """Let clients begin now, from the server's present state; they are busy until they have ended.

    Parameters
    ----------
    federation
        The run.
    client_ids
        Who, none of them busy.
    round_id
        Round of the server, from 1.
    timeout_s
        Seconds from now after which the caller will stop them as ``late``.
    seed_ids
        Address the seed of each client's job; ``None``: the round.
    state
        What they work from; ``None``: the server's present state.
    at_edge
        Whether their site sends and receives, and the server does not.
    """
    ids = [federation.new_participation_id() for _ in client_ids]
    broadcasts = _broadcast(federation, client_ids, participation_ids=ids, timeout_s=timeout_s)
    return [
        Participation(
            federation,
            participation_id=participation_id,
            client_id=client_id,
            round_id=round_id,
            deadline_at_s=None if timeout_s is None else federation.now_s + timeout_s,
            seed_id=seed_id,
            broadcast=broadcast,
            state=state,
            at_edge=at_edge,
        )
        for participation_id, client_id, seed_id, broadcast in zip(
            ids, client_ids, seed_ids or [round_id] * len(ids), broadcasts, strict=True
        )
    ]


class FirstReceived:
    """The first so many of some participations whose updates the server has.

    Parameters
    ----------
    federation
        The run.
    participations
        Which; none of them has ended yet.
    count
        How many updates are enough; ``None``: all are waited for.
    """

    def __init__(
        self, federation: Federation, participations: Sequence[Participation], *, count: int | None
    ) -> None:
        self._env = federation.env
        self._participations = participations
        self._count = count
        self._received: list[Participation] = []
        self.reached: simpy.Event = federation.env.event()
        """Fires when enough updates have been received."""
        for each in participations:
            each.done.callbacks.append(partial(self._note, each))

    def end_others(self) -> Generator[simpy.Event, Any, None]:
        """End all others as ``surplus``: those under way, and those that came at the same instant.

        No effect before enough have been received.
        """
        if not self.reached.triggered:
            return
        for each in self._participations:
            each.stop("surplus")
        yield self._env.all_of([each.done for each in self._participations])
        for each in self._received[self._count :]:
            each.discard("surplus")

    def _note(self, participation: Participation, _: simpy.Event) -> None:
        if participation.is_received:
            self._received.append(participation)
            if len(self._received) == self._count:
                self.reached.succeed()


def end_unfinished(
    federation: Federation, participations: Sequence[Participation]
) -> Generator[simpy.Event, Any, None]:
    """End what is under way, or received and not merged, when the run ends; record its rows.

    Their round is the one after the last: they are in the sums of none.
    """
    if not participations:
        return
    for each in participations:
        each.stop("unfinished")
        each.discard("unfinished")
    yield federation.env.all_of([each.done for each in participations])
    federation.uplink_bytes += sum(each.uplink_bytes for each in participations)
    federation.downlink_bytes += sum(each.downlink_bytes for each in participations)
    ordered = sorted(participations, key=lambda each: (each.client_id, each.participation_id))
    version = federation.state.version
    round_id = federation.num_rounds + 1
    rows = [each.row(round_id=round_id, staleness=version - each.version) for each in ordered]
    federation.recorder.unfinished(rows)


def charged_download(federation: Federation, client_id: int) -> Payload | None:
    """Return what the server sends a client now, as it is charged; ``None``: nothing."""
    payload = federation.method.download(federation.state, client_id=client_id)
    if payload is not None and federation.twin is not None:
        payload = federation.twin.charge(client_id).download or payload
    return payload


def _broadcast(
    federation: Federation,
    client_ids: Sequence[int],
    *,
    participation_ids: Sequence[int],
    timeout_s: float | None,
) -> Sequence[TransferEvent | None]:
    """Start a broadcast, one event a client; all ``None`` for unicast."""
    if federation.server.downlink == "unicast" or not client_ids:
        return [None] * len(client_ids)
    with during("in a broadcast of the server"):
        payload = charged_download(federation, client_ids[0])
    if payload is None:
        return [None] * len(client_ids)
    return federation.network.broadcast(
        client_ids,
        federation.coding.download_bytes(payload),
        timeout_s=timeout_s,
        participation_ids=participation_ids,
    )
