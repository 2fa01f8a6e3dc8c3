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

from fl.models.architecture import layer_shape
from fl.peft.places import After, adapter_places, put_behind

MAX_EXPANSION = 4
"""Widest adapter, in widths of the block; our choice: wider than a usual feed-forward layer, it
would be no bottleneck."""


class BottleneckAdapter(nn.Module):
    """Residual bottleneck of width ``dim`` on vectors of width ``features``.

    Values are unset until :meth:`reset`.
    """

    def __init__(self, *, features: int, dim: int, device: torch.device | str = "cpu") -> None:
        super().__init__()
        # Nothing is drawn from the process's generator.
        self.down = nn.utils.skip_init(  # type: ignore[no-untyped-call]
            nn.Linear, features, dim, device=device
        )
        self.up = nn.utils.skip_init(  # type: ignore[no-untyped-call]
            nn.Linear, dim, features, device=device
        )

    def reset(self, generator: torch.Generator) -> None:
        """Draw ``W_down`` uniform within ``1 / sqrt(features)``; set the rest to zero."""
        nn.init.kaiming_uniform_(self.down.weight, a=math.sqrt(5), generator=generator)
        for zero in (self.down.bias, self.up.weight, self.up.bias):
            nn.init.zeros_(zero)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return ``hidden`` plus the bottleneck's output; last axis of ``features`` entries."""
        return hidden + self.up(functional.gelu(self.down(hidden)))


def add_bottleneck_adapters(
    module: nn.Module, *, dim: int, generator: torch.Generator, after: After = "both"
) -> list[str]:
    """Put an adapter behind projections of every block, in place.

    Parameters
    ----------
    module
        Backbone; its own parameters keep their values (their names gain ``base_layer``).
    dim
        Width of the bottleneck, from 1 to 4 times that of the block.
    generator
        Source of the initial ``W_down``, uniform within ``1 / sqrt(features)``.
    after
        Behind which projections of a block.

    Returns
    -------
    list of str
        Names of the added parameters: ``2 d m + d + m`` numbers an adapter of width ``m`` in a
        block of width ``d``, and two adapters a block after ``both``.

    Raises
    ------
    ValueError
        A bottleneck wider than 4 times the block, or an unknown architecture.
    """
    places = adapter_places(module, after=after)
    check_width(min(layer_shape(module.get_submodule(name))[0] for name in places), dim=dim)
    added = []
    for name in places:
        base = module.get_submodule(name)
        device = next(base.parameters()).device
        adapter = BottleneckAdapter(features=layer_shape(base)[0], dim=dim, device=device)
        adapter.reset(generator)
        added += put_behind(module, name, adapter)
    return sorted(added)


def check_width(features: int, *, dim: int) -> None:
    """Refuse a bottleneck that is none.

    Raises
    ------
    ValueError
        Wider than 4 times the block.
    """
    if dim > MAX_EXPANSION * features:
        most = f"{MAX_EXPANSION} x {features} = {MAX_EXPANSION * features}"
        msg = f"adapter_dim: must be <= {most} at a hidden size of {features}, got {dim}"
        raise ValueError(msg)
