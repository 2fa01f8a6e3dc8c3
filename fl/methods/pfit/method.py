"""Policy optimisation of the last blocks under each client's own weighing of two rewards."""

import numpy as np
import torch
from torch import nn

from fl.methods.base import Method
from fl.methods.pfit.config import PfitConfig
from fl.methods.preference import AligningMethod
from fl.models.sparse_attention import use_sparse_attention
from fl.peft.install import freeze, snapshot
from fl.peft.last_blocks import last_block_names
from fl.rewards.reward import HelpfulnessOf, equal_weights
from fl.training.objective import PolicyReward


def install(
    config: PfitConfig,
    module: nn.Module,
    *,
    generator: torch.Generator,
    num_clients: int,
    helpfulness_of: HelpfulnessOf = equal_weights,
) -> Method:
    """Train the last blocks, as they were loaded; nothing is added and nothing drawn.

    Raises
    ------
    fl.problems.ModelError
        The model has fewer blocks, or attention that cannot be made sparse.
    """
    del generator
    freeze(module)
    if config.attention is not None:
        use_sparse_attention(
            module, window=config.attention.window, num_first=config.attention.num_first
        )
    initial = snapshot(module, last_block_names(module, config.num_blocks))
    is_shared = config.exchange == "averaged"
    if config.preference == "common":
        common = float(np.mean([helpfulness_of(client_id) for client_id in range(num_clients)]))
        helpfulness_of = lambda _: common  # noqa: E731
    return AligningMethod(
        kind=config.kind,
        initial=initial,
        shared=tuple(initial) if is_shared else (),
        own=() if is_shared else tuple(initial),
        has_global_model=is_shared,
        options=config,
        helpfulness_of=helpfulness_of,
        objective=PolicyReward(policy=config.policy),
        keeps_tuned=is_shared,
    )
