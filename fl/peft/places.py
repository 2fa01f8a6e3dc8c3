"""Where modules in series with a transformer block go, and how they are put there.

One place follows the attention's output projection, one the feed-forward's last layer, each before
the residual sum (positions of Houlsby et al., Parameter-Efficient Transfer Learning for NLP,
arXiv:1902.00751 [recollected]).
"""

from typing import Literal

import torch
from torch import nn

After = Literal["both", "attention", "mlp"]
"""Behind which projections of a block adapters go."""

PLACES: tuple[tuple[str, str], ...] = (
    ("attention.output.dense", "output.dense"),
    ("attn.o", "output.dense"),
    ("attention.out_lin", "ffn.lin2"),
    ("self_attn.o_proj", "mlp.down_proj"),
    ("self_attn.out_proj", "fc2"),
    ("attn.c_proj", "mlp.c_proj"),
)
"""Ends of the names of attention output and feed-forward output, one pair a family of models:
BERT (also RoBERTa, ELECTRA, DeBERTa), MPNet, DistilBERT, LLaMA (also Mistral, Qwen, Gemma), OPT,
GPT-2."""


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
    ValueError
        If the architecture is none of those in :data:`PLACES`.
    """
    names = [name for name, _ in module.named_modules()]
    for attention, feed_forward in PLACES:
        after_attention = [name for name in names if name.endswith(f".{attention}")]
        # "output.dense" ends "attention.output.dense" too.
        after_feed_forward = [
            name
            for name in names
            if name.endswith(f".{feed_forward}") and name not in after_attention
        ]
        if after_attention and len(after_attention) == len(after_feed_forward):
            chosen = {
                "both": {*after_attention, *after_feed_forward},
                "attention": {*after_attention},
                "mlp": {*after_feed_forward},
            }[after]
            return [name for name in names if name in chosen]
    known = "; ".join(f"{attention} and {feed_forward}" for attention, feed_forward in PLACES)
    msg = (
        f"model.name: adapters go after attention and feed-forward outputs named {known}; "
        f"{type(module).__name__} has none of these pairs"
    )
    raise ValueError(msg)


def put_behind(module: nn.Module, name: str, adapter: nn.Module) -> list[str]:
    """Let an adapter follow the named projection, in place; give the added parameters' names."""
    parent_name, _, leaf = name.rpartition(".")
    parent = module.get_submodule(parent_name)
    setattr(parent, leaf, Adapted(getattr(parent, leaf), adapter))
    return [f"{name}.adapter.{part}" for part, _ in adapter.named_parameters()]


def layer_shape(layer: nn.Module) -> tuple[int, int]:
    """Give output and input features of a linear layer; GPT-2 stores its weights transposed."""
    weight: torch.Tensor = layer.weight  # type: ignore[assignment]
    first, second = weight.shape
    return (first, second) if isinstance(layer, nn.Linear) else (second, first)
