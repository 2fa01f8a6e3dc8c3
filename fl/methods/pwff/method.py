"""Shared adapters and personal LoRA learn the task; then each LoRA is aligned to its client."""

import torch
from torch import nn

from fl.methods.base import Method
from fl.methods.preference import AligningMethod
from fl.methods.pwff.config import PolicyAlignment, PwffConfig
from fl.peft.bottleneck import add_bottleneck_adapters
from fl.peft.install import freeze, snapshot
from fl.peft.lora import add_lora, factor_names, lora_targets
from fl.rewards.reward import HelpfulnessOf, equal_weights
from fl.training.objective import TASK_LOSS, Phases, PolicyReward, PreferencePairs, SingleObjective

LORA_ENDS = (".lora_A", ".lora_B")
"""Ends of the names of what is aligned."""


def install(
    config: PwffConfig,
    module: nn.Module,
    *,
    generator: torch.Generator,
    helpfulness_of: HelpfulnessOf = equal_weights,
) -> Method:
    """Put adapters behind attention and feed-forward (shared), LoRA on query and value (personal).

    The global model has adapters and no LoRA.
    """
    freeze(module)
    add_lora(
        module,
        targets=lora_targets(module),
        rank=config.rank,
        alpha=config.alpha,
        generator=generator,
    )
    adapters = add_bottleneck_adapters(module, dim=config.adapter_dim, generator=generator)
    lora = factor_names(module)  # adapters wrap what they follow
    own = tuple(sorted(lora))
    return AligningMethod(
        kind=config.kind,
        initial=snapshot(module, [*lora, *adapters]),
        shared=tuple(sorted(adapters)),
        own=own,
        options=config,
        helpfulness_of=helpfulness_of,
        objective=Phases(first=TASK_LOSS, second=_alignment(config), second_trained=LORA_ENDS),
    )


def _alignment(config: PwffConfig) -> SingleObjective:
    alignment = config.alignment
    if isinstance(alignment, PolicyAlignment):
        return PolicyReward(policy=alignment.policy)
    return PreferencePairs(kl_weight=alignment.kl_weight, num_steps=alignment.num_steps)
