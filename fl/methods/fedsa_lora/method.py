"""FedSA-LoRA: the first factor is shared, the second and the head are personal."""

import torch
from torch import nn

from fl.methods.averaging import AveragingMethod
from fl.methods.base import Method
from fl.methods.fedsa_lora.config import FedsaLoraConfig
from fl.peft.lora import install_lora


def install(config: FedsaLoraConfig, module: nn.Module, *, generator: torch.Generator) -> Method:
    """Put LoRA on query and value; ``A`` travels and is averaged, ``B`` and the head stay."""
    initial = install_lora(module, rank=config.rank, alpha=config.alpha, generator=generator)
    shared = [name for name in initial if name.endswith(".lora_A")]
    return AveragingMethod(
        kind=config.kind,
        initial=initial,
        shared=tuple(shared),
        own=tuple(name for name in initial if name not in shared),
        has_global_model=config.has_global_model,
        options=config,
    )
