"""The methods: what is trained, what travels, how updates merge. One table, one line a method.

Settings are plain dataclasses, so a scenario is checked without torch; :func:`install_method`
imports the code that a run needs.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from fl.methods.fedit.config import FeditConfig
from fl.methods.local.config import LocalConfig
from fl.methods.pftt.config import PfttConfig

if TYPE_CHECKING:
    import torch

    from fl.methods.base import Method

MethodConfig = LocalConfig | FeditConfig | PfttConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodEntry:
    """One method as the scenario and the command line see it."""

    config: type[Any]
    """Class of its settings."""
    module: str
    """Module whose ``install(config, module, *, generator)`` builds the method."""
    summary: str
    """One line: what it trains and what it sends."""


METHODS: dict[str, MethodEntry] = {
    "local": MethodEntry(
        config=LocalConfig,
        module="fl.methods.local.method",
        summary="each client trains its own LoRA and head; nothing is exchanged",
    ),
    "fedit": MethodEntry(
        config=FeditConfig,
        module="fl.methods.fedit.method",
        summary="one LoRA and one head, averaged over clients",
    ),
    "pftt": MethodEntry(
        config=PfttConfig,
        module="fl.methods.pftt.method",
        summary="bottleneck adapters averaged over clients, LoRA kept by each client",
    ),
}


def install_method(
    config: MethodConfig, module: "torch.nn.Module", *, generator: "torch.Generator"
) -> "Method":
    """Put a method's trainable tensors into a backbone, in place, and give the method.

    Parameters
    ----------
    config
        Settings; their ``kind`` names the method.
    module
        Backbone with a linear ``head``; its weights become frozen and stay where they are.
    generator
        Source of the initial values, the same for every client.

    Raises
    ------
    ValueError
        If no method has this kind, or the backbone has no place for its tensors.
    """
    entry: MethodEntry | None = METHODS.get(config.kind)
    if entry is None:
        msg = f"kind: must be one of {', '.join(sorted(METHODS))}, got {config.kind!r}"
        raise ValueError(msg)
    return import_module(entry.module).install(config, module, generator=generator)
