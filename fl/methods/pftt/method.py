"""Shared bottleneck adapters with personal LoRA."""

import torch
from torch import nn

from fl.methods.averaging import AveragingMethod
from fl.methods.base import Method
from fl.methods.pftt.config import PfttConfig
from fl.methods.ranks import distinct_ranks, rank_of
from fl.payload import Tensors
from fl.peft.bottleneck import add_bottleneck_adapters
from fl.peft.install import freeze, head_names, snapshot
from fl.peft.lora import add_lora, factor_names, fresh_lora, lora_targets


def install(config: PfttConfig, module: nn.Module, *, generator: torch.Generator) -> Method:
    """Put adapters behind attention and feed-forward (shared), LoRA on query and value (personal).

    With a shared head the server has a whole model: adapters and head, no LoRA. With personal
    heads it has none, and only the clients' models are evaluated.
    """
    ranks = distinct_ranks(config.rank)
    freeze(module)
    add_lora(
        module,
        targets=lora_targets(module),
        rank=ranks[-1],
        alpha=config.alpha,
        generator=generator,
    )
    adapters = add_bottleneck_adapters(module, dim=config.adapter_dim, generator=generator)
    lora = factor_names(module)  # adapters wrap what they follow
    head = head_names(module)
    initial = snapshot(module, [*lora, *adapters, *head])
    shared = [
        *adapters,
        *(head if config.head == "shared" else ()),
        *(lora if config.lora == "shared" else ()),
    ]
    own = sorted(initial.keys() - set(shared))
    by_rank = {
        rank: _at_rank({name: initial[name] for name in own}, rank=rank, generator=generator)
        for rank in ranks
    }
    return AveragingMethod(
        kind=config.kind,
        initial=initial,
        shared=tuple(sorted(shared)),
        own=tuple(own),
        has_global_model=config.has_global_model,
        options=config,
        initial_own=lambda client_id: by_rank[rank_of(config.rank, client_id)],
    )


def _at_rank(own: Tensors, *, rank: int, generator: torch.Generator) -> Tensors:
    """Return a client's first tensors at its rank; those that fit already stay as they are."""
    values = {}
    for name, value in sorted(own.items()):
        if name.endswith(".lora_A") and value.shape[0] != rank:
            values[name] = fresh_lora(value, rank=rank, generator=generator)
        elif name.endswith(".lora_B") and value.shape[1] != rank:
            values[name] = value.new_zeros((value.shape[0], rank))
        else:
            values[name] = value
    return values
