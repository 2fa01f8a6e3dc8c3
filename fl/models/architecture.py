"""Where a transformer keeps its attention and feed-forward projections, read from its modules.

Nothing is looked up by model type: layers are found by what they are called, which a few names
cover over all architectures, and by where they stand in a block.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn
from transformers.pytorch_utils import Conv1D

from fl.problems import ModelError

SEPARATE = (
    ("query", "key", "value"),
    ("q_proj", "k_proj", "v_proj"),
    ("q_lin", "k_lin", "v_lin"),
    ("query_proj", "key_proj", "value_proj"),
    ("q_head", "k_head", "v_head"),
    ("q", "k", "v"),
)
"""Names of the query, key and value layers of one attention module."""
FUSED = ("c_attn", "query_key_value", "qkv_proj", "Wqkv", "qkv", "in_proj")
"""Names of a layer that computes query, key and value at once."""


@dataclass(frozen=True, kw_only=True)
class AttentionTargets:
    """Ends of the module names of one attention layer, as peft's ``target_modules`` reads them.

    Query, key and value have the same name where one layer computes them.
    """

    query: str
    key: str
    value: str
    output: str


@dataclass(frozen=True, kw_only=True)
class Block:
    """One transformer block and its projections, by full name."""

    name: str
    """Module that holds the block; empty where that is the transformer itself."""
    query: str
    key: str
    value: str
    attention_output: str
    """Last projection of the attention."""
    feed_forward_output: str | None
    """Last projection of the feed-forward; ``None`` where it is no linear layer of this width."""


def layer_shape(layer: nn.Module) -> tuple[int, int]:
    """Return output and input features of a projection, or of the one that a layer wraps.

    GPT-2 stores its weights transposed.
    """
    while hasattr(layer, "base_layer"):
        layer = layer.base_layer  # type: ignore[assignment]
    weight: nn.Parameter = layer.weight  # type: ignore[assignment]
    first, second = weight.shape
    return (first, second) if isinstance(layer, nn.Linear) else (second, first)


def transformer_blocks(module: nn.Module) -> list[Block]:
    """Return the blocks of a transformer, first to last; a block that is used twice, once.

    Layers that a method has already put into the module do not hide those that they wrap.

    Raises
    ------
    fl.problems.ModelError
        No attention with projections of known names is found.
    """
    modules = dict(module.named_modules())
    blocks: list[Block] = []
    for name, layer in modules.items():
        found = _projections(name, layer)
        if found is not None:
            blocks.append(_block(found, modules))
    if not blocks:
        known = ", ".join("/".join(names) for names in SEPARATE)
        msg = (
            f"model.name: no attention is found in a {type(module).__name__}: its projections "
            f"must be called {known} or {', '.join(FUSED)}"
        )
        raise ModelError(msg)
    return blocks


def attention_targets(module: nn.Module) -> AttentionTargets:
    """Name the query, key, value and output layers of a transformer's attention.

    Raises
    ------
    fl.problems.ModelError
        No attention with projections of known names is found.
    """
    blocks = transformer_blocks(module)
    names = [name for name, _ in module.named_modules()]

    def end_of(places: Sequence[str]) -> str:
        """Return the shortest common end of names that no other module shares."""
        wanted = set(places)
        parts = places[0].split(".")
        for count in range(1, len(parts) + 1):
            end = ".".join(parts[-count:])
            if {name for name in names if f".{name}".endswith(f".{end}")} == wanted:
                return end
        msg = (
            f"model.name: the attention layers of a {type(module).__name__} differ in name, "
            f"first {places[0]}, last {places[-1]}"
        )
        raise ModelError(msg)

    return AttentionTargets(
        query=end_of([block.query for block in blocks]),
        key=end_of([block.key for block in blocks]),
        value=end_of([block.value for block in blocks]),
        output=end_of([block.attention_output for block in blocks]),
    )


def _projections(name: str, layer: nn.Module) -> tuple[str, str, str] | None:
    """Return the names of the query, key and value layers that a module holds directly."""
    if "att" not in name.lower():  # "self_attn", "attention.self", "attn.attention"
        return None
    children = dict(layer.named_children())
    for names in SEPARATE:
        if all(each in children for each in names):
            query, key, value = (f"{name}.{each}" for each in names)
            return query, key, value
    for each in FUSED:
        if each in children:
            return (f"{name}.{each}",) * 3
    return None


def _block(found: tuple[str, str, str], modules: dict[str, nn.Module]) -> Block:
    query, key, value = found
    attention = query.rpartition(".")[0]
    block = attention
    while block and not isinstance(modules[block.rpartition(".")[0]], nn.ModuleList):
        attention, block = block, block.rpartition(".")[0]
    inside = _projections_within(block, modules)
    of_attention = [name for name in inside if name.startswith(f"{attention}.")]
    behind = [name for name in of_attention if name not in found]
    if not behind:
        msg = f"model.name: {attention} has no projection after query, key and value"
        raise ModelError(msg)
    width = _width(modules[behind[-1]])
    rest = [name for name in inside if name not in of_attention]
    is_wide = bool(rest) and _width(modules[rest[-1]]) == width
    return Block(
        name=block,
        query=query,
        key=key,
        value=value,
        attention_output=behind[-1],
        feed_forward_output=rest[-1] if is_wide else None,
    )


def _projections_within(block: str, modules: dict[str, nn.Module]) -> list[str]:
    """Name the projections of a block in order; one that a method has wrapped, by its wrapper."""
    inside: list[str] = []
    wrapped = "."
    for name, layer in modules.items():
        if not name.startswith(f"{block}." if block else "") or name.startswith(wrapped):
            continue
        if hasattr(layer, "base_layer"):
            wrapped = f"{name}."
            inside.append(name)
        elif isinstance(layer, nn.Linear | Conv1D):
            inside.append(name)
    return inside


def _width(layer: nn.Module) -> int:
    """Return the output features of a projection or of what wraps it."""
    return layer_shape(layer)[0]
