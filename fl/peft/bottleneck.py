"""Bottleneck adapters in series with a transformer block's two projections.

``h <- h + W_up gelu(W_down h + b_down) + b_up`` after the attention's output projection and after
the feed-forward's second layer, each before the residual sum (Houlsby et al., Parameter-Efficient
Transfer Learning for NLP, arXiv:1902.00751; positions recollected). ``W_up`` and both biases start
at zero, so a fresh adapter changes nothing.
"""

import math

import torch
from torch import nn
from torch.nn import functional

PLACES: tuple[tuple[str, str], ...] = (
    ("attention.output.dense", "output.dense"),
    ("attn.o", "output.dense"),
    ("attention.out_lin", "ffn.lin2"),
    ("self_attn.o_proj", "mlp.down_proj"),
    ("self_attn.out_proj", "fc2"),
    ("attn.c_proj", "mlp.c_proj"),
)
"""Ends of the names of attention output and feed-forward output, one pair a family of models:
BERT, MPNet, DistilBERT, LLaMA, OPT, GPT-2."""


MAX_EXPANSION = 4
"""Widest adapter, in widths of the block; our choice: wider than a usual feed-forward layer, it
would be no bottleneck."""


class BottleneckAdapter(nn.Module):
    """Residual bottleneck of width ``dim`` on vectors of width ``features``."""

    def __init__(self, *, features: int, dim: int, device: torch.device) -> None:
        super().__init__()
        self.down = nn.Linear(features, dim, device=device)
        self.up = nn.Linear(dim, features, device=device)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Give ``hidden`` plus the bottleneck's answer; the last axis has ``features`` entries."""
        return hidden + self.up(functional.gelu(self.down(hidden)))


class Adapted(nn.Module):
    """A frozen projection followed by its adapter."""

    def __init__(self, base_layer: nn.Module, adapter: BottleneckAdapter) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.adapter = adapter

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Apply the projection, then the adapter."""
        return self.adapter(self.base_layer(hidden))


def adapter_places(module: nn.Module) -> list[str]:
    """Name the projections that an adapter follows: two a block, in the module's order.

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
            places = {*after_attention, *after_feed_forward}
            return [name for name in names if name in places]
    known = "; ".join(f"{attention} and {feed_forward}" for attention, feed_forward in PLACES)
    msg = (
        f"model.name: adapters go after attention and feed-forward outputs named {known}; "
        f"{type(module).__name__} has none of these pairs"
    )
    raise ValueError(msg)


def add_bottleneck_adapters(
    module: nn.Module, *, dim: int, generator: torch.Generator
) -> list[str]:
    """Put an adapter behind both projections of every block, in place.

    Parameters
    ----------
    module
        Backbone; its own parameters keep their values (their names gain ``base_layer``).
    dim
        Width of the bottleneck, from 1 to 4 times that of the block.
    generator
        Source of the initial ``W_down``, uniform within ``1 / sqrt(features)``.

    Returns
    -------
    list of str
        Names of the added parameters: ``2 L (2 d m + d + m)`` numbers for ``L`` blocks of width
        ``d`` and bottlenecks of width ``m``.

    Raises
    ------
    ValueError
        A bottleneck wider than 4 times the block, or an unknown architecture.
    """
    places = adapter_places(module)
    features = min(_out_features(module.get_submodule(name)) for name in places)
    if dim > MAX_EXPANSION * features:
        most = f"{MAX_EXPANSION} x {features} = {MAX_EXPANSION * features}"
        msg = f"adapter_dim: must be <= {most} at a hidden size of {features}, got {dim}"
        raise ValueError(msg)
    added = []
    for name in places:
        parent_name, _, leaf = name.rpartition(".")
        parent = module.get_submodule(parent_name)
        base = getattr(parent, leaf)
        features = _out_features(base)
        # No start is drawn from the process's generator: all values are set right below.
        with torch.random.fork_rng(devices=[]):
            adapter = BottleneckAdapter(features=features, dim=dim, device=base.weight.device)
        nn.init.kaiming_uniform_(adapter.down.weight, a=math.sqrt(5), generator=generator)
        for zero in (adapter.down.bias, adapter.up.weight, adapter.up.bias):
            nn.init.zeros_(zero)
        setattr(parent, leaf, Adapted(base, adapter))
        added += [f"{name}.adapter.{leaf_name}" for leaf_name, _ in adapter.named_parameters()]
    return sorted(added)


def _out_features(layer: nn.Module) -> int:
    """Give the width of a projection's result; GPT-2 stores its weights transposed."""
    return int(layer.out_features if isinstance(layer, nn.Linear) else layer.nf)  # type: ignore[arg-type]
