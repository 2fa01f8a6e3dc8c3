"""Fed-SB: the square matrices and the head are shared, the factors around them are constants."""

import torch
from torch import nn

from fl.methods.averaging import AveragingMethod
from fl.methods.base import Method
from fl.methods.fed_sb.config import FedSbConfig
from fl.peft.install import freeze, head_names, snapshot
from fl.peft.lora import lora_targets
from fl.peft.lora_square import add_lora_square


def install(config: FedSbConfig, module: nn.Module, *, generator: torch.Generator) -> Method:
    """Put square matrices on query and value; they and the head travel, nothing is drawn."""
    freeze(module)
    added = add_lora_square(
        module, targets=lora_targets(module), rank=config.rank, alpha=config.alpha
    )
    initial = snapshot(module, [*added, *head_names(module)])
    return AveragingMethod(
        kind=config.kind,
        initial=initial,
        shared=tuple(name for name in initial if not name.endswith((".lora_A", ".lora_B"))),
        options=config,
    )
