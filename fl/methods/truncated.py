"""One large LoRA at the server, of which each client trains the first ranks.

Shared by the methods that send a client of rank ``r`` the first ``r`` rows of ``A`` and columns of
``B``; they differ in how they merge what comes back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch

from fl.methods.averaging import weighted_mean
from fl.methods.base import Contribution, MethodDefaults, ServerState
from fl.methods.low_rank import A, at_rank, lora_layers
from fl.methods.ranks import Ranks, rank_of
from fl.payload import Payload, Tensors
from fl.training.job import Start

RANK = "rank"
"""Name of the number, among a client's own tensors, that says its rank."""


@dataclass(frozen=True, kw_only=True)
class TruncatedMethod(MethodDefaults):
    """All of :class:`fl.methods.base.Method` but how updates merge."""

    kind: str
    initial: Tensors
    """Value of every installed tensor before any training, at the largest rank; all travel."""
    head: tuple[str, ...]
    """Names of the tensors that are averaged by sample count, sorted."""
    rank: Ranks
    same_download: bool

    def rank_of(self, state: ServerState, client_id: int) -> int:
        """Return a client's rank as the server knows it."""
        return rank_of(self.rank, client_id)

    def initial_state(self) -> ServerState:
        """Return the server's state before the first round."""
        return ServerState(version=0, tensors=self.initial)

    def initial_personal(self, client_id: int) -> Tensors:
        """Return a client's rank: all that it holds of its own."""
        return {RANK: torch.tensor(rank_of(self.rank, client_id))}

    def download(self, state: ServerState, *, client_id: int) -> Payload | None:
        """Return the head and the first ranks of the server's LoRA."""
        return Payload(at_rank(state.tensors, rank=self.rank_of(state, client_id)))

    def start(self, download: Payload | None, personal: Tensors, *, version: int) -> Start:
        """Begin at what was received; train all of it."""
        if download is None:
            msg = f"download: {self.kind} starts from what the server sends, got nothing"
            raise ValueError(msg)
        return Start(tensors=download.tensors, trainable=tuple(sorted(download.tensors)))

    def upload(self, trained: Tensors, *, version: int) -> Payload | None:
        """Return all that was trained."""
        return Payload(trained)

    def personal(self, trained: Tensors) -> Tensors:
        """Return the rank: the one that was trained."""
        layer = lora_layers(trained)[0]
        return {RANK: torch.tensor(trained[layer + A].shape[0])}

    def global_model(self, state: ServerState) -> Tensors | None:
        """Return the head and the server's LoRA in full."""
        return state.tensors

    def personal_model(self, state: ServerState, personal: Tensors) -> Tensors:
        """Return the head and the first ranks of the server's LoRA."""
        return at_rank(state.tensors, rank=int(personal[RANK]))

    def mean_head(self, ordered: Sequence[Contribution]) -> Tensors:
        """Average the head by sample count."""
        heads = [{name: item.payload.tensors[name] for name in self.head} for item in ordered]
        return weighted_mean(heads, [item.weight for item in ordered]) if self.head else {}

    @staticmethod
    def next_state(state: ServerState, tensors: Tensors) -> ServerState:
        """Return the state with new shared tensors."""
        return replace(state, version=state.version + 1, tensors=tensors)
