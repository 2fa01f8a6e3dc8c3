"""What a participation that begins now would take: seconds, joules and bytes a client.

A server can foresee these: shapes decide them, not values. Seconds are those of the batches that
a job of the client's texts has under one fixed seed; the batches of a round are drawn anew, so the
padding of its job, and with it the time, differs a little.
"""

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from jaxtyping import Float, Int, Shaped

from fl.network import Direction
from fl.server.federation import Federation
from fl.training.exchange import Exchanged, Exchanging, exchanges_of
from fl.training.job import Start
from fl.training.procedure import works_of

SEED = 0
"""Of the batches that seconds are worked out for."""
CHUNK = 10_000
"""Clients whose texts are held at a time."""


class JobForecast:
    """Foresees participations from the present version of a federation's server.

    Seconds of a client are worked out once for each shape of its job. A method that sends all the
    same bytes is taken to give all the same shapes.

    Parameters
    ----------
    federation
        The run.
    """

    def __init__(self, federation: Federation) -> None:
        self._federation = federation
        self._compute_s: dict[Hashable, Float[np.ndarray, " client"]] = {}
        self._exchanged: dict[int, Exchanged] = {}
        self._begun: dict[int, _Begun] = {}
        self._version = -1

    def device(self, client_ids: Int[np.ndarray, " client"]) -> Shaped[np.ndarray, " client"]:
        """Return the class of each device, text."""
        return self._device[client_ids]

    def compute_s(self, client_ids: Int[np.ndarray, " client"]) -> Float[np.ndarray, " client"]:
        """Return the seconds of the job on each device, warm, and on the server within it."""
        return self._device_s(client_ids) + self._exchanges(client_ids, "server_s")

    def compute_j(self, client_ids: Int[np.ndarray, " client"]) -> Float[np.ndarray, " client"]:
        """Return the joules of the same, of the device."""
        return self._device_s(client_ids) * self._compute_w[client_ids]

    def download_bytes(
        self, client_ids: Int[np.ndarray, " client"]
    ) -> Float[np.ndarray, " client"]:
        """Return what each client is sent, within its job too; 0 without exchange."""
        received = self._exchanges(client_ids, "downlink_bytes")
        return self._sizes(client_ids, "downlink") + received

    def upload_bytes(self, client_ids: Int[np.ndarray, " client"]) -> Float[np.ndarray, " client"]:
        """Return what each client sends, within its job too; 0 without exchange."""
        return self._sizes(client_ids, "uplink") + self._exchanges(client_ids, "uplink_bytes")

    def _device_s(self, client_ids: Int[np.ndarray, " client"]) -> Float[np.ndarray, " client"]:
        """Return the seconds of the job on each device."""
        found = np.empty(len(client_ids))
        for leader, rows in self._groups(client_ids):
            start = self._begin(leader).start
            tensors = start.tensors
            shapes = tuple((name, tuple(tensors[name].shape)) for name in sorted(tensors))
            kind = (start.trainable, shapes)
            known = self._compute_s.get(kind)
            if known is None:
                known = self._compute_s[kind] = np.full(len(self._federation.shards), np.nan)
            ids = client_ids[rows]
            unknown = ids[np.isnan(known[ids])]
            for at in range(0, len(unknown), CHUNK):
                some = unknown[at : at + CHUNK]
                known[some] = self._seconds(some, start)
            found[rows] = known[ids]
        return found

    def _seconds(
        self, client_ids: Int[np.ndarray, " some"], start: Start
    ) -> Float[np.ndarray, " some"]:
        federation = self._federation
        samples = [shard.train for shard in federation.shards.each(client_ids)]
        works = works_of(federation.procedure, samples, start, federation.cost, seed=SEED)
        return federation.devices.compute_s(client_ids, works)

    def _sizes(
        self, client_ids: Int[np.ndarray, " client"], direction: Direction
    ) -> Float[np.ndarray, " client"]:
        found = np.empty(len(client_ids))
        for leader, rows in self._groups(client_ids):
            found[rows] = self._begin(leader).size_bytes[direction]
        return found

    def _exchanges(
        self,
        client_ids: Int[np.ndarray, " client"],
        name: Literal["uplink_bytes", "downlink_bytes", "server_s"],
    ) -> Float[np.ndarray, " client"]:
        """Return a sum of what each client exchanges within its job; none where it works alone."""
        federation = self._federation
        procedure = federation.procedure
        if not isinstance(procedure, Exchanging):
            return np.zeros(len(client_ids))
        for leader, rows in self._groups(client_ids):
            start = self._begin(leader).start
            for each in client_ids[rows].tolist():
                if each not in self._exchanged:
                    plan = procedure.plan(federation.shards[each].train, seed=SEED)
                    made = exchanges_of(procedure, plan, start, federation.cost)
                    self._exchanged[each] = Exchanged.of(made)
        return np.array([getattr(self._exchanged[each], name) for each in client_ids.tolist()])

    def _groups(self, client_ids: Int[np.ndarray, " client"]) -> Iterable[tuple[int, slice]]:
        """Return the clients that stand for others of equal shapes, with the rows of these."""
        if self._federation.method.same_download and len(client_ids):
            return [(int(client_ids[0]), slice(None))]
        return ((each, slice(row, row + 1)) for row, each in enumerate(client_ids.tolist()))

    def _begin(self, client_id: int) -> "_Begun":
        """Return how the job of a client begins now, and what it would exchange."""
        federation = self._federation
        method, state, coding = federation.method, federation.state, federation.coding
        if self._version != state.version:
            self._begun, self._version = {}, state.version
        if client_id not in self._begun:
            if federation.twin is not None:
                charged = federation.twin.charge(client_id)
                start, download, upload = charged.start, charged.download, charged.upload
            else:
                download = method.download(state, client_id=client_id)
                held = federation.personal.held(client_id)
                start = method.start(download, held, version=state.version)
                trained = {**start.tensors, **start.client_outputs}
                upload = method.upload(trained, version=state.version)
            sizes: dict[Direction, int] = {
                "downlink": 0 if download is None else coding.download_bytes(download),
                "uplink": 0 if upload is None else coding.upload_bytes(upload),
            }
            self._begun[client_id] = _Begun(start, sizes)
        return self._begun[client_id]

    @cached_property
    def _device(self) -> Shaped[np.ndarray, " client"]:
        return self._federation.devices.names

    @cached_property
    def _compute_w(self) -> Float[np.ndarray, " client"]:
        return self._federation.devices.compute_w


@dataclass(frozen=True, slots=True)
class _Begun:
    """A participation that begins now, as far as shapes tell."""

    start: Start
    size_bytes: Mapping[Direction, int]
