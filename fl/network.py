"""The network as the federation sees it: one Protocol of four calls.

``fl`` never imports the radio simulator. A run joins the two by handing an object of this shape to
the server; tests use a network of constant rates.
"""

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

import numpy as np
import simpy
from jaxtyping import Float, Int

Direction = Literal["uplink", "downlink"]


class TransferOutcome(Protocol):
    """What became of one transfer: the attributes of its row that the federation reads."""

    @property
    def direction(self) -> str:
        """``uplink`` or ``downlink``."""

    @property
    def delivered_bytes(self) -> int:
        """Whole bytes that arrived."""

    @property
    def requested_at_s(self) -> float:
        """When it was asked for."""

    @property
    def finished_at_s(self) -> float:
        """When it ended, delivered or not."""

    @property
    def energy_j(self) -> float:
        """Radio energy that the client spent on it."""

    @property
    def status(self) -> str:
        """``delivered``, or why it was not (``timeout``, ``outage``, ``link_failure``, ...)."""


class TransferEvent(Protocol):
    """A running transfer: an event whose value is its outcome. It always fires, never fails."""

    @property
    def event(self) -> simpy.Event:
        """Fires once, with the outcome."""

    def cancel(self, reason: str = "cancelled") -> None:
        """End the transfer now; its event fires with this status. No effect when it has ended."""


class LinkTable(Protocol):
    """What a policy may know of clients' links before it selects: columns, one entry a client."""

    @property
    def cell_id(self) -> Int[np.ndarray, " client"]:
        """Serving cell, -1 when no cell covers the client."""

    @property
    def site_id(self) -> Int[np.ndarray, " client"]:
        """Site of that cell, -1 when no cell covers the client."""

    @property
    def snr_db(self) -> Float[np.ndarray, " client"]:
        """Wide-band signal-to-noise ratio now, fading included; -inf out of coverage."""

    @property
    def mean_snr_db(self) -> Float[np.ndarray, " client"]:
        """The same without fading."""

    @property
    def uplink_rate_bps(self) -> Float[np.ndarray, " client"]:
        """Rate that the client would have alone in its cell now; 0 out of coverage."""

    @property
    def downlink_rate_bps(self) -> Float[np.ndarray, " client"]:
        """The same in the other direction."""

    @property
    def uplink_w(self) -> Float[np.ndarray, " client"]:
        """Power that the client would draw while it sends at that rate; 0 out of coverage."""


class EnergyAccount(Protocol):
    """Where joules are booked: the federation books computing, the network books radio."""

    def charge(
        self,
        client_id: int,
        activity: str,
        *,
        started_at_s: float,
        finished_at_s: float,
        power_w: float,
    ) -> None:
        """Book ``power_w`` for the interval to a client under an activity (``compute``)."""

    def client_energy_j(
        self, client_ids: Int[np.ndarray, " client"], at_s: float
    ) -> Float[np.ndarray, " client"]:
        """Return what each of some clients spent up to an instant, radio and compute."""

    def total_energy_j(self, at_s: float) -> float:
        """Sum what all clients spent up to an instant, radio and compute."""

    def site_energy_j(self, at_s: float) -> float:
        """Sum what all sites drew up to an instant."""


class Network(Protocol):
    """Send, broadcast, link states, energy: all that the federation asks of a network."""

    @property
    def energy(self) -> EnergyAccount:
        """The joules of this run."""

    @property
    def most_radio_w(self) -> float:
        """Power that the radio of any client draws at most [W]."""

    def send(
        self,
        client_id: int,
        direction: Direction,
        size_bytes: int,
        *,
        timeout_s: float | None = None,
        participation_id: int | None = None,
        at_edge: bool = False,
    ) -> TransferEvent:
        """Start to move bytes between server and client; gives at once, ends in simulated time.

        ``timeout_s`` counts from now; the network's own limit holds when it is ``None``. The
        transfer's row carries ``participation_id``. With ``at_edge`` they go no further than the
        client's site.
        """

    def relay(self, site_id: int, direction: Direction, size_bytes: int) -> simpy.Event:
        """Start to move bytes between a site and the server; the event fires when all are there.

        Raises
        ------
        ValueError
            If the network has no such site.
        """

    def broadcast(
        self,
        client_ids: Sequence[int],
        size_bytes: int,
        *,
        timeout_s: float | None = None,
        participation_ids: Sequence[int] | None = None,
    ) -> Sequence[TransferEvent]:
        """Send the same bytes downlink to many clients at once; one event a client, same order."""

    def link_table(self, client_ids: Sequence[int] | Int[np.ndarray, " client"]) -> LinkTable:
        """Return the links of these clients now, in the order asked for."""


class Streams(Protocol):
    """Addressed randomness handed to the federation: ``streams("cohort", round_id)``."""

    def __call__(self, purpose: str, *key: int) -> np.random.Generator:
        """Return the generator of this run at (purpose, ids)."""

    def each(self, purpose: str, ids: Int[np.ndarray, " id"]) -> Iterator[np.random.Generator]:
        """Return the generators at (purpose, id) of many ids; each is good until the next."""
