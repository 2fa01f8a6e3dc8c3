"""What a method is: pure functions over named tensors, around one shared backbone.

The backbone is loaded once and its weights never move. A method adds small tensors to it when it
is installed; from then on every model of the run (the server's, each client's) is a mapping from
the names of those tensors to values, and training loads a mapping, trains, and gives a mapping
back. Nothing here waits, draws from a global generator, or remembers.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Int

from fl.payload import Payload, Tensors
from fl.training.job import Start, TrainJob
from fl.training.local_work import LocalWork, ModelInMemory
from fl.training.objective import TASK_LOSS, Objective


@dataclass(frozen=True, kw_only=True)
class ServerState:
    """Everything the server holds for a method between aggregations."""

    version: int
    """Aggregations so far; what a client was given is stamped with it."""
    tensors: Tensors
    """The shared tensors as they are now."""
    memory: Tensors = field(default_factory=dict)
    """What else the server carries on and never sends: moments of its optimiser, embeddings."""
    changed_at: Mapping[str, int] = field(default_factory=dict)
    """Version that last changed a shared tensor; 0 for those that are not named."""
    held: Mapping[int, int] = field(default_factory=dict)
    """By client, the version that its last delivered update began from, which it therefore has."""

    @cached_property
    def payload(self) -> Payload:
        """The shared tensors as they travel; the same object each time."""
        return Payload(self.tensors)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contribution:
    """One received update, as aggregation sees it."""

    client_id: int
    payload: Payload
    weight: float
    """How much it counts in averages, >= 0: the training texts of the client."""
    staleness: int
    """Aggregations between the client's download and now; 0 in synchronous rounds."""
    num_steps: int | None = None
    """Optimiser steps that the client made; ``None`` where that means nothing: sent by a site."""
    base: Tensors = field(default_factory=dict)
    """What of the payload the client began from, by the payload's names. Empty where the method
    merges by a rule of its own: its payload need not be something that has moved."""


class Method(LocalWork, Protocol):
    """What is trained, what travels, how updates merge; installed in one backbone.

    What runs on the client is inherited: ``kind``, ``initial``, ``objective``, ``penalty``,
    ``trained_texts``, ``finish_batches`` and ``finish``.
    """

    @property
    def same_download(self) -> bool:
        """Whether all clients of a round get the same bytes, so that one broadcast serves them."""

    @property
    def merges(self) -> Literal["mean", "products", "own"]:
        """How updates merge.

        ``mean``: what is sent is averaged by weight, name by name; ``products``: the same but for
        the factors of LoRA, whose products are; ``own``: otherwise.
        """

    @property
    def row_groups(self) -> Sequence[Sequence[str]]:
        """Groups of installed tensors of one first dimension, which differs between clients.

        What a model computes grows by as much with every row of a group, for every token.
        """

    @property
    def self_trained(self) -> Collection[str]:
        """Names, among what :meth:`personal` returns, of what a client trains for itself.

        It keeps these even when its upload was lost. Copies of what the server sent are none of
        them: what a client holds of those must go with what the server knows that it holds.
        """

    def initial_state(self) -> ServerState:
        """Return the server's state before the first round."""

    def initial_personal(self, client_id: int) -> Tensors:
        """Return what a client holds before it first trains; tensors may be shared."""

    def download(self, state: ServerState, *, client_id: int) -> Payload | None:
        """Return what the server sends a client that begins now; ``None``: nothing."""

    def start(self, download: Payload | None, personal: Tensors, *, version: int) -> Start:
        """Return where a client's job begins, from what it received and what it holds.

        ``version`` is the server's version that was sent: the number of aggregations so far. What
        takes turns does so by it, as asynchronous servers have no rounds.
        """

    def upload(self, trained: Tensors, *, version: int) -> Payload | None:
        """Return what a client that began from ``version`` sends after training, or ``None``.

        Names and shapes depend on the names and shapes of ``trained`` (tensors and outputs) alone,
        never on values: the size of an upload is known before its job has run.
        """

    def personal(self, trained: Tensors) -> Tensors:
        """Return what a client keeps after training, of tensors and client outputs."""

    def aggregate(self, state: ServerState, contributions: Sequence[Contribution]) -> ServerState:
        """Merge received updates, at least one, into the next state; their order is irrelevant."""

    def global_model(self, state: ServerState) -> Tensors | None:
        """Return the server's whole model, a value for every tensor; ``None`` if it has none."""

    def personal_model(self, state: ServerState, personal: Tensors) -> Tensors:
        """Return the model that a client uses, from the server's state and its own tensors."""


@runtime_checkable
class FollowsDecisions(Protocol):
    """A method whose server decides by values what clients get: another model must be told.

    Needed where costs are those of a larger architecture, whose tensors have no values.
    """

    def follow(self, state: ServerState, *, leader: ServerState) -> ServerState:
        """Return the state after an aggregation, with the decisions of another model's server.

        Parameters
        ----------
        state
            Before the aggregation; shapes alone.
        leader
            State after the same aggregation of the model that trains, under the same settings.
        """


@runtime_checkable
class HoldsAtServer(Protocol):
    """A method of which a part of every job is the server's: it never crosses the link.

    What :meth:`Method.download` and :meth:`Method.upload` return is the client's part alone.
    :meth:`Method.start` is given the server's part among what the client holds of its own.
    """

    def at_server(self, tensors: Tensors) -> Tensors:
        """Return the server's part of the server's tensors, or of those that a job trained."""


def server_part(method: Method, tensors: Tensors) -> Tensors:
    """Return what the server holds of a job; nothing where the client holds all."""
    return method.at_server(tensors) if isinstance(method, HoldsAtServer) else {}


def base_of(method: Method, payload: Payload | None, start: Start) -> Tensors:
    """Return what a client began from of what it sends: :attr:`Contribution.base`.

    Parameters
    ----------
    method
        Whose update it is; empty where it merges by a rule of its own.
    payload
        What the client sends, or announces to send; empty where that is nothing.
    start
        Where its job began.
    """
    if payload is None or method.merges != "mean":
        return {}
    return {name: start.tensors[name] for name in payload.tensors if name in start.tensors}


def unmoved(method: Method, state: ServerState) -> Contribution:
    """Return an update of nobody that changes nothing, of what clients of this version send.

    For methods that merge by means: what they are sent is part of the server's tensors.
    """
    payload = method.upload({**method.initial, **state.tensors}, version=state.version) or Payload(
        {}
    )
    base = payload.tensors
    return Contribution(client_id=NOBODY, payload=payload, weight=1.0, staleness=0, base=base)


NOBODY = -1
"""Client of an update that comes from none."""


class MethodDefaults:
    """What most methods do not have: rows of their own, a penalty, work after training."""

    @property
    def objective(self) -> Objective:
        """Say that jobs minimise the loss of the task."""
        return TASK_LOSS

    @property
    def merges(self) -> Literal["mean", "products", "own"]:
        """Say that updates merge by a rule of the method's own."""
        return "own"

    @property
    def self_trained(self) -> Collection[str]:
        """Name nothing: no client trains anything for itself alone."""
        return ()

    @property
    def row_groups(self) -> Sequence[Sequence[str]]:
        """Return no groups."""
        return ()

    def penalty(self, parameters: Tensors, start: Start) -> torch.Tensor | None:
        """Add nothing to the loss."""
        return None

    def trained_texts(
        self, samples: Int[np.ndarray, " text"], *, batch_size: int
    ) -> Int[np.ndarray, " text"]:
        """Train on all texts of a shard."""
        return samples

    def finish_batches(
        self, samples: Int[np.ndarray, " text"], *, batch_size: int
    ) -> Sequence[Int[np.ndarray, " text"]]:
        """Pass no text forward after training."""
        return ()

    def finish(self, trained: Tensors, job: TrainJob, worker: ModelInMemory) -> Tensors:
        """Work out nothing after training."""
        return {}
