"""Averaged products of low-rank factors, decomposed to each client's rank."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

from fl.methods.averaging import by_client
from fl.methods.base import Contribution, Method, ServerState
from fl.methods.flexlora.config import FlexloraConfig
from fl.methods.low_rank import A, B, best_factors, lora_layers, stack_factors
from fl.methods.ranks import distinct_ranks
from fl.methods.truncated import TruncatedMethod
from fl.peft.install import head_names
from fl.peft.lora import install_lora


@dataclass(frozen=True, kw_only=True)
class FlexloraMethod(TruncatedMethod):
    """The server's LoRA is the best approximation of the mean product; clients get its start."""

    def aggregate(self, state: ServerState, contributions: Sequence[Contribution]) -> ServerState:
        """Average products and heads by sample count, and decompose each mean product."""
        ordered = by_client(contributions)
        updates = [item.payload.tensors for item in ordered]
        weights = [item.weight for item in ordered]
        factors = {}
        for layer in lora_layers(self.initial):
            spare_rows = self.initial[layer + A]
            rows, columns = stack_factors(updates, weights, layer=layer)
            factors[layer + A], factors[layer + B] = best_factors(
                rows, columns, rank=spare_rows.shape[0], spare_rows=spare_rows
            )
        return self.next_state(state, {**self.mean_head(ordered), **factors})


def install(config: FlexloraConfig, module: nn.Module, *, generator: torch.Generator) -> Method:
    """Put LoRA of the largest rank on query and value projections; it and the head travel."""
    largest = distinct_ranks(config.rank)[-1]
    initial = install_lora(
        module, rank=largest, alpha=config.alpha, generator=generator, scale_rank=largest
    )
    return FlexloraMethod(
        kind=config.kind,
        initial=initial,
        head=tuple(sorted(head_names(module))),
        rank=config.rank,
        same_download=config.same_download,
    )
