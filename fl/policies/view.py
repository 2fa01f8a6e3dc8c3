"""What a selection policy is: given what the server knows, which clients take part."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int, Shaped

from fl.network import LinkTable

ClientIds = Int[np.ndarray, " client"]
PerClient = Float[np.ndarray, " client"]


class Forecast(Protocol):
    """What a participation that begins now takes of some clients, as the server foresees it."""

    def device(self, client_ids: ClientIds) -> Shaped[np.ndarray, " client"]:
        """Return the class of each device, text."""

    def compute_s(self, client_ids: ClientIds) -> PerClient:
        """Return the seconds of the job of this run's method, each device warm.

        Where its steps go to the server and back, the server's computing is among them.
        """

    def compute_j(self, client_ids: ClientIds) -> PerClient:
        """Return the joules of the same, of the device."""

    def download_bytes(self, client_ids: ClientIds) -> PerClient:
        """Return what each client is sent, within its job too; 0 without exchange."""

    def upload_bytes(self, client_ids: ClientIds) -> PerClient:
        """Return what each client sends, within its job too; 0 without exchange."""


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """Clients that may be selected: columns, one entry a client, ascending by id.

    Columns that cost something to know are worked out when they are first read.
    """

    client_id: ClientIds
    num_samples: ClientIds
    """Training texts."""
    times_selected: ClientIds
    """Participations so far."""
    last_round: ClientIds
    """Round of the last participation, from 1; 0: there was none."""
    last_received: ClientIds
    """Round of the last participation whose update arrived; 0: there was none."""
    last_loss: PerClient
    """Mean training loss of the last update that arrived [nat]; NaN: there was none."""
    last_rms_loss: PerClient
    """Root of the mean square of its texts' losses [nat]; NaN: there was none."""
    last_duration_s: PerClient
    """Seconds from start to end of the last participation; NaN: there was none."""
    spent_j: PerClient
    """Joules of all participations so far, radio and compute."""
    staleness: ClientIds
    """Aggregations since the version that the last participation began from; all, without one."""
    battery_j: PerClient
    """Energy in the battery now; NaN: none is set."""
    battery_capacity_j: PerClient
    """Energy of the full battery; NaN: none is set."""
    asked_loss: PerClient
    """Mean loss of the present model on the client's training texts [nat], of those that the policy
    has asked for it; NaN: not asked, or no answer."""
    asked_accuracy: PerClient
    """Accuracy of the present model on the client's own test texts, of those that the policy has
    asked for it; NaN: not asked, or no answer."""
    ask_links: Callable[[ClientIds], LinkTable]
    """Ask the network for the links of some clients now."""
    forecast: Forecast
    """Foresees times, joules and bytes."""

    @cached_property
    def links(self) -> LinkTable:
        """The links of these clients now; the network is asked when this is first read."""
        return self.ask_links(self.client_id)

    @cached_property
    def device(self) -> Shaped[np.ndarray, " client"]:
        """Class of the device, text."""
        return self.forecast.device(self.client_id)

    @cached_property
    def compute_s(self) -> PerClient:
        """Seconds that the job takes on the device when it is warm."""
        return self.forecast.compute_s(self.client_id)

    @cached_property
    def compute_j(self) -> PerClient:
        """Joules of the same."""
        return self.forecast.compute_j(self.client_id)

    @cached_property
    def download_bytes(self) -> PerClient:
        """Encoded download; 0 without exchange."""
        return self.forecast.download_bytes(self.client_id)

    @cached_property
    def upload_bytes(self) -> PerClient:
        """Encoded upload; 0 without exchange."""
        return self.forecast.upload_bytes(self.client_id)

    @cached_property
    def download_s(self) -> PerClient:
        """Seconds of the download alone in the cell at the rate of now; inf out of coverage."""
        return _seconds(self.download_bytes, self.links.downlink_rate_bps)

    def upload_s(self, share: float = 1.0) -> PerClient:
        """Return the seconds of the upload at the rate of now; inf out of coverage.

        Parameters
        ----------
        share
            Part of the cell's band, in (0, 1]; the rate is taken as proportional to it.
        """
        return _seconds(self.upload_bytes, self.links.uplink_rate_bps * share)

    def upload_j(self, share: float = 1.0) -> PerClient:
        """Return the joules of the same, at the power drawn with the whole band.

        A client that is not at its power limit draws less on a part of the band: an upper bound.
        """
        seconds = self.upload_s(share)
        is_finite = np.isfinite(seconds)
        power_w = self.links.uplink_w
        return np.where(is_finite, np.where(is_finite, seconds, 0.0) * power_w, np.inf)

    @cached_property
    def duration_s(self) -> PerClient:
        """Seconds of download, job and upload, each alone in the cell; inf out of coverage."""
        return self.download_s + self.compute_s + self.upload_s()


@dataclass(frozen=True, kw_only=True)
class Selection:
    """All that a policy may look at when it selects."""

    round: int
    """Round about to start, from 1."""
    now_s: float
    """Simulated time [s]."""
    candidates: Candidates
    num_wanted: int | None = None
    """How many clients the server asks for, as one that replaces them one by one does; ``None``: as
    many as the policy's own settings say."""

    def count(self, num_clients: int) -> int:
        """Return how many to select where the policy's settings say ``num_clients``."""
        wanted = num_clients if self.num_wanted is None else self.num_wanted
        return min(wanted, len(self.candidates.client_id))


class NobodyFitsError(ValueError):
    """The settings of a policy allow none of the candidates; the message says the key and why."""


class Policy(Protocol):
    """Select the clients of a round."""

    def select(
        self, view: Selection, *, rng: np.random.Generator
    ) -> Sequence[int] | Int[np.ndarray, " selected"]:
        """Return ids out of ``view.candidates.client_id``, each at most once and at least one.

        ``rng`` is addressed by the round, so a policy that only draws from it selects the same
        clients for every method.
        """


@runtime_checkable
class AskingPolicy(Policy, Protocol):
    """A policy that asks clients for the loss of the present model before it selects.

    Who is asked downloads the model, scores its own training texts and sends a number: that takes
    simulated seconds, joules and bytes. The answers are ``asked_loss`` of the candidates when
    :meth:`select` is called, at the instant when the last one has come. One whose attribute
    ``asks_for`` is ``accuracy`` asks for that of the clients' own test texts: ``asked_accuracy``.
    """

    def ask(
        self, view: Selection, *, rng: np.random.Generator
    ) -> Sequence[int] | Int[np.ndarray, " asked"]:
        """Return ids out of ``view.candidates.client_id``, each at most once; none is allowed."""


def _seconds(size_bytes: PerClient, rate_bps: PerClient) -> PerClient:
    """Return the time of some bytes: 0 for none, inf at no rate."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(size_bytes > 0, 8 * size_bytes / rate_bps, 0.0)
