"""Learned keys and values before those of the text, in every attention layer.

Li and Liang, Prefix-Tuning: Optimizing Continuous Prompts for Generation, arXiv:2101.00190
[recollected]. The prefixes are made by peft's ``PrefixEncoder``, which reads them from a table or,
reparameterised, through a two-layer network shared by all layers. They enter where an attention
layer of transformers would take keys and values from its cache, after the projections and, where
there are rotary positions, after the rotation. The text keeps its positions, and a prefix has none:
it takes none of the positions that a model has [our choice; peft moves the text behind it].
"""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
import transformers
from peft import PrefixEncoder, PrefixTuningConfig
from torch import nn
from torch.nn import functional

from fl.models.probe import short_text
from fl.problems import ModelError

PREFIX_INIT_STD = 0.02
"""Standard deviation of the first values of the table [our choice: that of BERT's embeddings]."""

CACHE_ARGUMENTS = ("past_key_values", "past_key_value", "layer_past")
"""What attention layers of transformers call the argument that holds earlier keys and values."""


class PrefixCache:
    """Keys and values that an attention layer finds before those of the text.

    Where the text has a cache of its own, that is updated first: the prefix is never in it.
    """

    def __init__(
        self,
        keys: torch.Tensor,
        values: torch.Tensor,
        text_cache: transformers.Cache | None = None,
    ) -> None:
        self.keys, self.values, self.text_cache = keys, values, text_cache

    def update(
        self,
        keys: torch.Tensor,
        values: torch.Tensor,
        *args: Any,  # noqa: ANN401 -- number of the layer, rotary tables
        **kwargs: Any,  # noqa: ANN401
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return keys and values, shape ``(text, head, token, channel)``, with the prefix first."""
        if self.text_cache is not None:
            keys, values = self.text_cache.update(keys, values, *args, **kwargs)
        texts = len(keys)
        return (
            torch.cat([self.keys.expand(texts, -1, -1, -1), keys], dim=2),
            torch.cat([self.values.expand(texts, -1, -1, -1), values], dim=2),
        )


class PrefixedAttention(nn.Module):
    """A self-attention layer of transformers that sees a prefix, whatever hides the text."""

    def __init__(self, base_layer: nn.Module) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.argument = _cache_argument(base_layer)
        """Name of the argument that takes the prefix."""
        self.cache: PrefixCache | None = None
        """Set for the length of a forward pass."""

    def forward(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 -- those of any attention
        """Attend to the prefix and to what the additive mask leaves of the text."""
        mask, cache = kwargs.get("attention_mask"), self.cache
        if mask is not None and cache is not None:
            # An eager mask is added to the scores: 0 hides nothing.
            kwargs["attention_mask"] = functional.pad(mask, (cache.keys.shape[-2], 0))
        text_cache = kwargs.get(self.argument)
        if cache is not None and text_cache is not None:
            cache = PrefixCache(cache.keys, cache.values, text_cache)
        return self.base_layer(*args, **{**kwargs, self.argument: cache})


class PrefixedEncoder(nn.Module):
    """An encoder whose attention layers have prefixes, computed once a pass.

    Parameters
    ----------
    base_layer
        Encoder whose attention layers are :class:`PrefixedAttention`.
    prefix
        Gives the rows of the virtual tokens, ``2 L`` keys and values of ``heads x channels``.
    key_shape
        Heads, and channels a head, of an attention layer's keys.
    """

    def __init__(
        self,
        base_layer: transformers.PreTrainedModel,
        prefix: PrefixEncoder,
        *,
        key_shape: tuple[int, int],
    ) -> None:
        super().__init__()
        self.base_layer = base_layer
        self.prefix = prefix
        self._key_shape = key_shape

    @property
    def config(self) -> transformers.PretrainedConfig:
        """Settings of the encoder."""
        return self.base_layer.config

    def forward(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 -- those of any encoder
        """Encode a batch; arguments and result are those of the encoder."""
        attentions = [each for each in self.modules() if isinstance(each, PrefixedAttention)]
        table: torch.Tensor = self.prefix.embedding.weight
        # One table serves all texts; where texts of several clients are passed, each has its own.
        rows = self.prefix(torch.arange(len(table), device=table.device).unsqueeze(0))
        heads, channels = self._key_shape
        # As peft lays it out: of each virtual token, key and value of the first layer, and so on.
        shape = (len(rows), len(table), 2 * len(attentions), heads, channels)
        states = rows.reshape(shape).permute(2, 0, 3, 1, 4)
        for index, attention in enumerate(attentions):
            attention.cache = PrefixCache(states[2 * index], states[2 * index + 1])
        try:
            return self.base_layer(*args, **kwargs)
        finally:
            for attention in attentions:
                attention.cache = None


def add_prefix(
    module: nn.Module,
    *,
    num_tokens: int,
    projection_dim: int | None,
    generator: torch.Generator,
) -> list[str]:
    """Put learned keys and values into every attention layer of a module's ``encoder``, in place.

    Parameters
    ----------
    module
        Model with an ``encoder`` whose attention runs eagerly; its parameters keep their values
        (their names gain ``base_layer``).
    num_tokens
        Virtual tokens, at least 1.
    projection_dim
        Hidden width of the network that makes the prefixes; ``None``: they are trained themselves.
    generator
        Source of the first values: the table normal, the network's weights uniform within
        ``1 / sqrt(in features)``, its biases 0.

    Returns
    -------
    list of str
        Names of the added parameters. With ``k`` the width of all keys of a token: ``2 L n k``
        numbers, or, reparameterised with hidden width ``h``, ``n k + (k h + h) + (h + 1) 2 L k``.

    Raises
    ------
    ValueError
        If the attention layers of this architecture take no cache, differ in the shape of their
        keys, or do not run eagerly.
    """
    encoder: transformers.PreTrainedModel = module.encoder  # type: ignore[assignment]
    if encoder.config._attn_implementation != "eager":
        msg = f"module: attention must be eager, got {encoder.config._attn_implementation}"
        raise ValueError(msg)
    places = attention_places(encoder)
    heads, channels = key_shape = _key_shape(encoder, places)
    settings = PrefixTuningConfig(
        num_virtual_tokens=num_tokens,
        token_dim=heads * channels,
        num_layers=len(places),
        encoder_hidden_size=projection_dim or 0,
        prefix_projection=projection_dim is not None,
    )
    # No start is drawn from the process's generator: all values are set right below.
    with torch.random.fork_rng(devices=[]), next(encoder.parameters()).device:
        prefix = PrefixEncoder(settings)  # type: ignore[no-untyped-call]
    for name, parameter in prefix.named_parameters():
        if name == "embedding.weight":
            nn.init.normal_(parameter, std=PREFIX_INIT_STD, generator=generator)
        elif name.endswith("weight"):
            nn.init.kaiming_uniform_(parameter, a=5**0.5, generator=generator)
        else:
            nn.init.zeros_(parameter)
    for name in places:
        parent_name, _, leaf = name.rpartition(".")
        parent = encoder.get_submodule(parent_name)
        setattr(parent, leaf, PrefixedAttention(getattr(parent, leaf)))
    module.encoder = PrefixedEncoder(encoder, prefix, key_shape=key_shape)
    return sorted(f"encoder.prefix.{name}" for name, _ in prefix.named_parameters())


def attention_places(encoder: nn.Module) -> list[str]:
    """Name the attention layers that take keys and values from a cache, in order.

    They are the innermost modules with such an argument: blocks pass it on.

    Raises
    ------
    fl.problems.ModelError
        If there is none.
    """
    taking = [name for name, layer in encoder.named_modules() if name and _cache_argument(layer)]
    names = [name for name in taking if not any(other.startswith(f"{name}.") for other in taking)]
    if not names:
        msg = (
            "model.name: prefixes need attention layers that take earlier keys and values "
            f"({', '.join(CACHE_ARGUMENTS)}); {type(encoder).__name__} has none"
        )
        raise ModelError(msg)
    return names


def _cache_argument(layer: nn.Module) -> str:
    """Name the argument of a layer that takes earlier keys and values; empty where it has none."""
    arguments = inspect.signature(layer.forward).parameters
    return next((name for name in CACHE_ARGUMENTS if name in arguments), "")


class _ShapeCache:
    """Notes the shapes of keys and values, and adds nothing to them."""

    def __init__(self) -> None:
        self.shapes: list[tuple[int, int]] = []

    def update(
        self,
        keys: torch.Tensor,
        values: torch.Tensor,
        *_: Any,  # noqa: ANN401
        **__: Any,  # noqa: ANN401
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return keys and values as they are."""
        heads, channels = keys.shape[1], keys.shape[3]
        self.shapes.append((heads, channels) if keys.shape == values.shape else (0, 0))
        return keys, values


def _key_shape(encoder: nn.Module, places: list[str]) -> tuple[int, int]:
    """Return heads, and channels a head, of the keys in every layer, seen in a forward pass.

    Raises
    ------
    fl.problems.ModelError
        If an attention layer does not use the cache once a pass, or the shapes differ.
    """
    seen = [_ShapeCache() for _ in places]
    with _with_caches(encoder, dict(zip(places, seen, strict=True))), torch.no_grad():
        try:
            encoder(input_ids=short_text(cast("transformers.PreTrainedModel", encoder)))
        except AttributeError as error:
            # A layer that asks its cache for more than to be updated, as for its length.
            msg = f"model.name: {type(encoder).__name__} takes no prefixes: {error}"
            raise ModelError(msg) from None
    shapes = [tuple(cache.shapes) for cache in seen]
    if len(shapes[0]) != 1 or len(set(shapes)) != 1 or not all(shapes[0][0]):
        msg = (
            "model.name: prefixes need keys and values of one shape in all attention layers; "
            f"those of {type(encoder).__name__} differ"
        )
        raise ModelError(msg)
    return shapes[0][0]


@contextmanager
def _with_caches(encoder: nn.Module, caches: dict[str, _ShapeCache]) -> Iterator[None]:
    """Let attention layers find a cache each, for as long as the context lasts."""
    handles = []
    for name, cache in caches.items():
        layer = encoder.get_submodule(name)

        def give(
            layer: nn.Module,
            args: tuple[Any, ...],
            kwargs: dict[str, Any],
            cache: _ShapeCache = cache,
        ) -> tuple[tuple[Any, ...], dict[str, Any]]:
            return args, {**kwargs, _cache_argument(layer): cache}

        handles.append(layer.register_forward_pre_hook(give, with_kwargs=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
