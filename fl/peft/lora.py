"""Low-rank adaptation whose values can be exchanged, rank included.

``y = W x + s B A x`` with ``A`` uniform and ``B`` zero at the start (Hu et al., LoRA: Low-Rank
Adaptation of Large Language Models, arXiv:2106.09685), so a fresh adaptation changes nothing. peft
computes the same; ours reads its rank from its weights, so that clients of different rank take
turns in one model, and can carry a dense update that was merged into ``W``.
"""

import difflib
import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import nn
from torch.nn import functional
from transformers.pytorch_utils import Conv1D

from fl.models.architecture import attention_targets, layer_shape
from fl.models.lora_settings import DEFAULT_LORA, LoraSettings
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
    settings
        Dropout, and how the scale falls with the rank.
    """

    is_by_vector = True
    """Each vector of the last axis is worked out by itself."""
    by_client = ("lora_A", "lora_B")
    """What :meth:`forward_by_client` takes."""

    def __init__(
        self,
        base_layer: nn.Module,
        *,
        rank: int,
        alpha: float,
        scale_rank: int | None = None,
        settings: LoraSettings = DEFAULT_LORA,
    ) -> None:
        super().__init__()
        self.base_layer = base_layer
        out_features, in_features = layer_shape(base_layer)
        weight: torch.Tensor = base_layer.weight  # type: ignore[assignment]
        self.lora_A = nn.Parameter(weight.new_empty((rank, in_features)))
        self.lora_B = nn.Parameter(weight.new_empty((out_features, rank)))
        self._alpha = alpha
        self._scale_rank = scale_rank
        self._is_stabilised = settings.rank_stabilised
        self.lora_dropout = settings.dropout
        """Part of the input of the update that is dropped, in training mode."""

    @property
    def scale(self) -> float:
        """What the product is multiplied by."""
        rank = self._scale_rank or self.lora_A.shape[0]
        return scale_of(self._alpha, rank=rank, is_stabilised=self._is_stabilised)

    def forward(self, hidden: torch.Tensor) -> torch.Tensor:
        """Apply the layer and add the scaled update."""
        low = functional.linear(dropped(self, hidden), self.lora_A)
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


def set_lora_settings(module: nn.Module, settings: LoraSettings) -> None:
    """Let adaptations that are put into a backbone from now on have these settings."""
    module.lora_settings = settings  # type: ignore[assignment] # plain data on a module


def lora_settings_of(module: nn.Module) -> LoraSettings:
    """Return what :func:`set_lora_settings` was given for a backbone; else the defaults."""
    settings: LoraSettings = vars(module).get("lora_settings", DEFAULT_LORA)
    return settings


def lora_scale(module: nn.Module, *, alpha: float, rank: int) -> float:
    """Return what an update of a rank is multiplied by in a backbone."""
    is_stabilised = lora_settings_of(module).rank_stabilised
    return scale_of(alpha, rank=rank, is_stabilised=is_stabilised)


def scale_of(alpha: float, *, rank: int, is_stabilised: bool) -> float:
    """Return ``alpha / rank``, or ``alpha / sqrt(rank)``.

    The latter is rsLoRA: Kalajdzievski, arXiv:2312.03732 [recollected].
    """
    return alpha / (math.sqrt(rank) if is_stabilised else rank)


def dropped(layer: nn.Module, hidden: torch.Tensor) -> torch.Tensor:
    """Return the input of an update with some of its numbers at 0, while its layer trains."""
    share: float = layer.lora_dropout  # type: ignore[assignment]
    if not share or not layer.training:
        return hidden
    return functional.dropout(hidden, share, training=True)


def lora_targets(module: nn.Module) -> list[str]:
    """Name the layers of a backbone that are adapted, or ends of their names.

    Raises
    ------
    ValueError
        One line: a name that no linear layer of a block ends in, with the nearest that there are.
    """
    wanted = lora_settings_of(module).targets
    if wanted == "query-and-value":
        return query_and_value(module)
    if wanted == "query":
        return [attention_targets(module.encoder).query]  # type: ignore[arg-type]
    places = [
        name
        for name, layer in module.named_modules()
        if name.startswith("encoder.")
        and isinstance(layer, nn.Linear | Conv1D)
        and any(part.isdigit() for part in name.split("."))  # a block in a list of them
    ]
    if wanted == "all-linear":
        return places
    found: list[str] = []
    for end in wanted:
        named = [name for name in places if f".{name}".endswith(f".{end}")]
        if not named:
            raise ValueError(_unknown_target(end, places))
        found += [name for name in named if name not in found]
    return found


def _unknown_target(end: str, places: Sequence[str]) -> str:
    """Return what is wrong with a target that is in no block."""
    ends = sorted({name.rpartition(".")[2] for name in places})
    longer = {".".join(name.split(".")[-count:]) for name in places for count in (2, 3)}
    near = difflib.get_close_matches(end, [*ends, *sorted(longer)], n=3, cutoff=0.5)
    told = f"nearest: {', '.join(near)}" if near else f"there are {', '.join(ends)}"
    return f"training.lora.targets: no linear layer of a block ends in {end!r}; {told}"


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
    settings = lora_settings_of(module)

    def adapted(base_layer: nn.Module) -> LoraLinear:
        layer = LoraLinear(
            base_layer, rank=rank, alpha=alpha, scale_rank=scale_rank, settings=settings
        )
        nn.init.kaiming_uniform_(layer.lora_A, a=math.sqrt(5), generator=generator)
        nn.init.zeros_(layer.lora_B)
        return layer

    places = replace_layers(module, targets, rank=rank, made=adapted)
    return sorted(f"{name}.{factor}" for name in places for factor in ("lora_A", "lora_B"))


def install_lora(
    module: nn.Module,
    *,
    rank: int,
    alpha: float,
    generator: torch.Generator,
    scale_rank: int | None = None,
) -> dict[str, torch.Tensor]:
    """Freeze a model and put low-rank updates on its target layers, in place.

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
        targets=lora_targets(module),
        rank=rank,
        alpha=alpha,
        generator=generator,
        scale_rank=scale_rank,
    )
    return snapshot(module, [*lora, *head_names(module)])


def factor_names(module: nn.Module) -> list[str]:
    """Name the factors of low-rank updates in a module, wherever they have got to."""
    ends = (".lora_A", ".lora_B")
    return sorted(name for name, _ in module.named_parameters() if name.endswith(ends))


def replace_layers(
    module: nn.Module,
    targets: Sequence[str],
    *,
    rank: int,
    made: Callable[[nn.Module], nn.Module],
) -> list[str]:
    """Put another layer in the place of every target layer, made from it; name them, in order.

    Raises
    ------
    ValueError
        No layer of that name, or a rank above the smaller side of a target layer.
    """
    places = target_layers(module, targets)
    check_rank(module, places, rank=rank)
    for name in places:
        parent_name, _, leaf = name.rpartition(".")
        parent = module.get_submodule(parent_name)
        setattr(parent, leaf, made(getattr(parent, leaf)))
    return places


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
