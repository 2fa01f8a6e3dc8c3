"""Where modules in series with a transformer block go, and how they are put there.

One place follows the attention's output projection, one the feed-forward's last layer, each before
the residual sum (positions of Houlsby et al., Parameter-Efficient Transfer Learning for NLP,
arXiv:1902.00751 [recollected]).
"""

from typing import Literal

import torch
from torch import nn

from fl.models.architecture import transformer_blocks
from fl.problems import ModelError

After = Literal["both", "attention", "mlp"]
"""Behind which projections of a block adapters go."""


class Adapted(nn.Module):
    """A frozen projection followed by its adapter."""

    def __init__(self, base_layer: nn.Module, adapter: nn.Module) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.adapter = adapter

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Apply the projection, then the adapter."""
        return self.adapter(self.base_layer(hidden))


def adapter_places(module: nn.Module, *, after: After = "both") -> list[str]:
    """Name the projections that an adapter follows, in the module's order.

    Parameters
    ----------
    module
        Transformer, bare or part of a larger module.
    after
        ``both``: two a block; ``attention`` or ``mlp``: one a block.

    Raises
    ------
    fl.problems.ModelError
        No attention is found, or a block's feed-forward does not end in a linear layer.
    """
    chosen = []
    for block in transformer_blocks(module):
        if block.feed_forward_output is None:
            msg = (
                f"model.name: adapters go after the last linear layer of the feed-forward, which "
                f"the block of {block.attention_output} in a {type(module).__name__} has not"
            )
            raise ModelError(msg)
        if after != "mlp":
            chosen.append(block.attention_output)
        if after != "attention":
            chosen.append(block.feed_forward_output)
    return [name for name, _ in module.named_modules() if name in set(chosen)]


def put_behind(module: nn.Module, name: str, adapter: nn.Module) -> list[str]:
    """Let an adapter follow the named projection, in place; give the added parameters' names."""
    parent_name, _, leaf = name.rpartition(".")
    parent = module.get_submodule(parent_name)
    setattr(parent, leaf, Adapted(getattr(parent, leaf), adapter))
    return [f"{name}.adapter.{part}" for part, _ in adapter.named_parameters()]
