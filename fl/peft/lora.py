"""Low-rank adaptation whose values can be exchanged, rank included.

``y = W x + s B A x`` with ``A`` uniform and ``B`` zero at the start (Hu et al., LoRA: Low-Rank
Adaptation of Large Language Models, arXiv:2106.09685), so a fresh adaptation changes nothing. peft
computes the same; ours reads its rank from its weights, so that clients of different rank take
turns in one model, and can carry a dense update that was merged into ``W``.
"""

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import nn
from torch.nn import functional

from fl.models.architecture import attention_targets, layer_shape
from fl.peft.install import freeze, head_names, snapshot


class LoraLinear(nn.Module):
    """A frozen linear layer with a low-rank update beside it.

    Parameters
    ----------
    base_layer
        ``nn.Linear`` or GPT-2's transposed ``Conv1D``.
    rank
        Rank of the first values.
    alpha
        Numerator of the scale.
    scale_rank
        Denominator of the scale; the rank of the values in place when ``None``. Methods that add
        products of clients of different rank give one for all.
    """

    is_by_vector = True
    """Each vector of the last axis is worked out by itself."""
    by_client = ("lora_A", "lora_B")
    """What :meth:`forward_by_client` takes."""

    def __init__(
        self, base_layer: nn.Module, *, rank: int, alpha: float, scale_rank: int | None = None
    ) -> None:
        super().__init__()
        self.base_layer = base_layer
        out_features, in_features = layer_shape(base_layer)
        weight: torch.Tensor = base_layer.weight  # type: ignore[assignment]
        self.lora_A = nn.Parameter(weight.new_empty((rank, in_features)))
        self.lora_B = nn.Parameter(weight.new_empty((out_features, rank)))
        self._alpha = alpha
        self._scale_rank = scale_rank

    @property
    def scale(self) -> float:
        """What the product is multiplied by."""
        return self._alpha / (self._scale_rank or self.lora_A.shape[0])

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Apply the layer and add the scaled update."""
        low = functional.linear(hidden, self.lora_A)
        return self.base_layer(hidden) + self.scale * functional.linear(low, self.lora_B)

    def forward_by_client(
        self,
        hidden: Float[torch.Tensor, "client vector in"],
        *,
        lora_A: Float[torch.Tensor, "client rank in"],  # noqa: N803 -- the parameter's name
        lora_B: Float[torch.Tensor, "client out rank"],  # noqa: N803
    ) -> Float[torch.Tensor, "client vector out"]:
        """Do the same with factors of each client, in fewer and larger operations."""
        low = torch.bmm(hidden, lora_A.transpose(1, 2))
        base = self.base_layer(hidden.flatten(0, 1)).unflatten(0, (len(hidden), -1))
        return torch.baddbmm(base, low, lora_B.transpose(1, 2), alpha=self.scale)


def query_and_value(module: nn.Module) -> list[str]:
    """Name the ends of the query and value projections of a model's encoder, each once.

    GPT-2 computes query, key and value in one layer, which is then the only one named.
    """
    targets = attention_targets(module.encoder)  # type: ignore[arg-type]
    return sorted({targets.query, targets.value})


def add_lora(
    module: nn.Module,
    *,
    targets: Sequence[str],
    rank: int,
    alpha: float,
    generator: torch.Generator,
    scale_rank: int | None = None,
) -> list[str]:
    """Put a low-rank update beside every target layer, in place.

    Parameters
    ----------
    module
        Backbone; its other parameters keep their values (their names gain ``base_layer``).
    targets
        Ends of the names of the linear layers to adapt.
    rank
        Rank of the update, at least 1.
    alpha
        Scale; the update enters as ``alpha / rank``.
    generator
        Source of the initial ``A``, uniform within ``1 / sqrt(in features)`` as peft draws it.
    scale_rank
        Divides ``alpha`` in place of the rank that a client's values have.

    Returns
    -------
    list of str
        Names of the added parameters, ``2`` a layer: ``lora_A`` of shape ``(rank, in)`` and
        ``lora_B`` of shape ``(out, rank)``, whichever way round the layer keeps its own weight.

    Raises
    ------
    ValueError
        No layer of that name, or a rank above the smaller side of a target layer, where the update
        can have no such rank.
    """
    places = target_layers(module, targets)
    check_rank(module, places, rank=rank)
    added = []
    for name in places:
        parent_name, _, leaf = name.rpartition(".")
        parent = module.get_submodule(parent_name)
        layer = LoraLinear(getattr(parent, leaf), rank=rank, alpha=alpha, scale_rank=scale_rank)
        nn.init.kaiming_uniform_(layer.lora_A, a=math.sqrt(5), generator=generator)
        nn.init.zeros_(layer.lora_B)
        setattr(parent, leaf, layer)
        added += [f"{name}.lora_A", f"{name}.lora_B"]
    return sorted(added)


def install_lora(
    module: nn.Module,
    *,
    rank: int,
    alpha: float,
    generator: torch.Generator,
    scale_rank: int | None = None,
) -> dict[str, torch.Tensor]:
    """Freeze a model and put low-rank updates on its query and value projections, in place.

    Parameters
    ----------
    module, rank, alpha, generator, scale_rank
        As :func:`add_lora` takes them.

    Returns
    -------
    dict
        First values of what is to be trained, the factors and the head, sorted by name.
    """
    freeze(module)
    lora = add_lora(
        module,
        targets=query_and_value(module),
        rank=rank,
        alpha=alpha,
        generator=generator,
        scale_rank=scale_rank,
    )
    return snapshot(module, [*lora, *head_names(module)])


def target_layers(module: nn.Module, targets: Sequence[str]) -> list[str]:
    """Name the layers whose names end in one of the targets, in the module's order.

    Raises
    ------
    ValueError
        If there is none.
    """
    ends = tuple(f".{target}" for target in targets)
    names = [name for name, _ in module.named_modules() if f".{name}".endswith(ends)]
    if not names:
        msg = f"targets: no layer of a {type(module).__name__} ends in one of {', '.join(targets)}"
        raise ValueError(msg)
    return names


def fresh_lora(initial: torch.Tensor, *, rank: int, generator: torch.Generator) -> torch.Tensor:
    """Draw the first ``A`` of another rank for the layer whose ``A`` is given."""
    drawn = torch.empty((rank, initial.shape[1]), dtype=initial.dtype, device=initial.device)
    return nn.init.kaiming_uniform_(drawn, a=math.sqrt(5), generator=generator)


def check_rank(module: nn.Module, places: Sequence[str], *, rank: int) -> None:
    """Refuse a rank that a target's weight cannot have."""
    sides = {name: min(layer_shape(module.get_submodule(name))) for name in places}
    name = min(sides, key=lambda place: sides[place])
    if sides[name] < rank:
        msg = f"rank: must be <= {sides[name]}, the smaller side of the layer {name}, got {rank}"
        raise ValueError(msg)
