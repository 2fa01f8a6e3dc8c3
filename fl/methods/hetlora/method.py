"""Ranks of the clients' own, pruned by themselves; zero-padded, weighted by norm, averaged."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from fl.methods.averaging import by_client, weighted_mean
from fl.methods.base import Contribution, Method, ServerState
from fl.methods.hetlora.config import HetloraConfig
from fl.methods.low_rank import A, B, at_rank, lora_layers, product_norm
from fl.methods.ranks import distinct_ranks
from fl.methods.truncated import RANK, TruncatedMethod
from fl.payload import Payload, Tensors
from fl.peft.install import head_names
from fl.peft.lora import install_lora
from fl.training.job import Start, TrainJob
from fl.training.local_work import ModelInMemory

NEXT_RANK = "next_rank"
"""Name of the number that a client sends: its rank from the next round on."""
RANK_OF = "rank_of:"
"""Before a client's id, in the name of the number that the server remembers: its rank."""


def tail_norm(tensors: Tensors, *, kept: int) -> torch.Tensor:
    """Return ``sum_l |B_l[:, kept:]| |A_l[kept:]|`` over layers (Frobenius); differentiable."""
    products = [
        torch.linalg.vector_norm(tensors[layer + B][:, kept:])
        * torch.linalg.vector_norm(tensors[layer + A][kept:])
        for layer in lora_layers(tensors)
    ]
    return torch.stack(products).sum()


@dataclass(frozen=True, kw_only=True)
class HetloraMethod(TruncatedMethod):
    """The server's LoRA is a mean of zero-padded ones; a client's rank may shrink."""

    config: HetloraConfig

    def rank_of(self, state: ServerState, client_id: int) -> int:
        """Return the rank that a client last sent, or its first."""
        sent = state.memory.get(f"{RANK_OF}{client_id}")
        return super().rank_of(state, client_id) if sent is None else int(sent)

    def kept_of(self, rank: int) -> int:
        """Return the ranks of a rank before its tail: what pruning leaves."""
        floor = min(rank, self.config.min_rank)
        return max(floor, math.floor(self.config.gamma * rank))

    def start(self, download: Payload | None, personal: Tensors, *, version: int) -> Start:
        """Begin at what was received, and announce a rank to send."""
        start = super().start(download, personal, version=version)
        return replace(start, client_outputs={NEXT_RANK: torch.tensor(_rank(start.tensors))})

    def penalty(self, parameters: Tensors, start: Start) -> torch.Tensor | None:
        """Return the weighted norm of the tails."""
        rank = _rank(start.tensors)
        kept = self.kept_of(rank)
        if kept == rank or self.config.penalty_weight == 0:
            return None
        return self.config.penalty_weight * tail_norm(parameters, kept=kept)

    def finish(self, trained: Tensors, job: TrainJob, worker: ModelInMemory) -> Tensors:
        """Decide the next rank: without the tail, if training has made that smaller."""
        rank = _rank(trained)
        kept = self.kept_of(rank)
        has_shrunk = kept < rank and bool(
            tail_norm(trained, kept=kept) < tail_norm(job.start.tensors, kept=kept)
        )
        return {NEXT_RANK: torch.tensor(kept if has_shrunk else rank)}

    def personal(self, trained: Tensors) -> Tensors:
        """Return the rank that the client has from now on."""
        return {RANK: trained[NEXT_RANK]}

    def aggregate(self, state: ServerState, contributions: Sequence[Contribution]) -> ServerState:
        """Average padded factors by the norm of their products, heads by sample count."""
        ordered = by_client(contributions)
        largest = _rank(self.initial)
        factors = [
            {name: tensor for name, tensor in item.payload.tensors.items() if name.endswith((A, B))}
            for item in ordered
        ]
        norms = [product_norm(each) for each in factors]
        # Where no client has any product, all are alike.
        weights = norms if any(norms) else [1.0] * len(norms)
        mean = weighted_mean([at_rank(each, rank=largest) for each in factors], weights)
        ranks = {f"{RANK_OF}{item.client_id}": item.payload.tensors[NEXT_RANK] for item in ordered}
        after = self.next_state(state, {**self.mean_head(ordered), **mean})
        return replace(after, memory={**state.memory, **ranks})

    def follow(self, state: ServerState, *, leader: ServerState) -> ServerState:
        """Take over the ranks that clients of another model sent."""
        return replace(state, version=state.version + 1, memory=leader.memory)


def install(config: HetloraConfig, module: nn.Module, *, generator: torch.Generator) -> Method:
    """Put LoRA of the largest rank on query and value projections; it and the head travel."""
    largest = distinct_ranks(config.rank)[-1]
    initial = install_lora(
        module, rank=largest, alpha=config.alpha, generator=generator, scale_rank=largest
    )
    return HetloraMethod(
        kind=config.kind,
        initial=initial,
        head=tuple(sorted(head_names(module))),
        rank=config.rank,
        same_download=config.same_download,
        config=config,
    )


def _rank(tensors: Tensors) -> int:
    """Return the rank of some factors."""
    return int(tensors[lora_layers(tensors)[0] + A].shape[0])
