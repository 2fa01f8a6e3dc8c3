"""Prompt tuning: virtual tokens and head are shared."""

import torch
from torch import nn

from fl.methods.averaging import AveragingMethod
from fl.methods.base import Method
from fl.methods.prompt_tuning.config import PromptTuningConfig
from fl.peft.install import freeze, head_names, snapshot
from fl.peft.prompt import add_prompt


def install(config: PromptTuningConfig, module: nn.Module, *, generator: torch.Generator) -> Method:
    """Put virtual tokens before every text; they and the head travel and are averaged."""
    freeze(module)
    prompt = add_prompt(module, num_tokens=config.num_virtual_tokens, generator=generator)
    initial = snapshot(module, [*prompt, *head_names(module)])
    return AveragingMethod(kind=config.kind, initial=initial, shared=tuple(initial), options=config)
