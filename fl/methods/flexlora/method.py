"""Averaged products of low-rank factors, decomposed to each client's rank."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import nn

from fl.methods.averaging import by_client
from fl.methods.base import Contribution, Method, ServerState
from fl.methods.flexlora.config import FlexloraConfig
from fl.methods.product_mean import cut_products, mean_products
from fl.methods.ranks import distinct_ranks
from fl.methods.truncated import TruncatedMethod
from fl.peft.install import head_names
from fl.peft.lora import install_lora


@dataclass(frozen=True, kw_only=True)
class FlexloraMethod(TruncatedMethod):
    """The server's LoRA is the best approximation of the mean product; clients get its start."""

    @property
    def merges(self) -> Literal["products"]:
        """Say that products of factors are averaged."""
        return "products"

    def aggregate(self, state: ServerState, contributions: Sequence[Contribution]) -> ServerState:
        """Average products and heads by sample count, and decompose each mean product."""
        ordered = by_client(contributions)
        updates = [item.payload.tensors for item in ordered]
        mean = mean_products(updates, [item.weight for item in ordered])
        return self.next_state(state, cut_products(mean, spare=self.initial))


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
