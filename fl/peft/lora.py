"""Low-rank adaptation: a thin layer over peft that draws from an addressed generator.

``y = W x + (alpha / r) B A x`` with ``A`` uniform and ``B`` zero at the start (Hu et al., LoRA:
Low-Rank Adaptation of Large Language Models, arXiv:2106.09685), so a fresh adaptation changes
nothing.
"""

import math
from collections.abc import Sequence

import torch
from peft import LoraConfig, inject_adapter_in_model
from torch import nn

from fl.models.architecture import attention_targets


def query_and_value(module: nn.Module) -> list[str]:
    """Name the ends of the query and value projections of a classifier's encoder."""
    targets = attention_targets(module.encoder)  # type: ignore[arg-type]
    return [targets.query, targets.value]


def add_lora(
    module: nn.Module,
    *,
    targets: Sequence[str],
    rank: int,
    alpha: float,
    generator: torch.Generator,
) -> list[str]:
    """Put a low-rank update beside every target layer, in place.

    Parameters
    ----------
    module
        Backbone; its other parameters keep their values.
    targets
        Ends of the names of the linear layers to adapt.
    rank
        Rank of the update, at least 1.
    alpha
        Scale; the update enters as ``alpha / rank``.
    generator
        Source of the initial ``A``, uniform within ``1 / sqrt(in features)`` as peft draws it.

    Returns
    -------
    list of str
        Names of the added parameters, ``2`` a layer: ``A`` of shape ``(rank, in)`` and ``B`` of
        shape ``(out, rank)``.

    Raises
    ------
    ValueError
        A rank above the smaller side of a target layer, where the update can have no such rank.
    """
    _check_rank(module, targets=targets, rank=rank)
    before = {name.replace(".base_layer.", ".") for name, _ in module.named_parameters()}
    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,  # type: ignore[arg-type]  # divided by the rank, so any number does
        target_modules=list(targets),
        lora_dropout=0.0,
        bias="none",
    )
    # peft draws its own start from the global generator: keep that out of the process's state.
    with torch.random.fork_rng(devices=[]):
        inject_adapter_in_model(config, module)
    parameters = dict(module.named_parameters())
    added = sorted(name for name in parameters if name.replace(".base_layer.", ".") not in before)
    for name in added:
        if ".lora_A." in name:
            nn.init.kaiming_uniform_(parameters[name], a=math.sqrt(5), generator=generator)
        else:
            nn.init.zeros_(parameters[name])
    return added


def _check_rank(module: nn.Module, *, targets: Sequence[str], rank: int) -> None:
    """Refuse a rank that a target's weight, of shape (out, in) or (in, out), cannot have."""
    ends = tuple(f".{target}" for target in targets)
    sides = {
        name: min(part.weight.shape) for name, part in module.named_modules() if name.endswith(ends)
    }
    too_narrow = [name for name, side in sides.items() if side < rank]
    if too_narrow:
        name = min(too_narrow, key=lambda name: sides[name])
        msg = f"rank: must be <= {sides[name]}, the smaller side of the layer {name}, got {rank}"
        raise ValueError(msg)
