"""A method of a user's own, from a Python file named in the scenario as ``path.py:Class``."""

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Protocol

from annotated_types import Predicate

from fl.methods.options import MethodOptions
from fl.models.lora_settings import LORA_SETTINGS
from fl.own_code import load_class, names_a_class

if TYPE_CHECKING:
    import torch

    from fl.methods.base import Method


@dataclass(frozen=True, kw_only=True)
class OwnConfig(MethodOptions):
    """A class in a file; all keys beside those below are its arguments.

    The class is made with them as keywords. Its ``install(module, *, generator)`` puts
    tensors into the model and returns a :class:`fl.methods.base.Method`, as the functions
    ``install`` of the methods here do.
    """

    kind: Annotated[str, Predicate(names_a_class)]
    """File and class: ``path.py:Class``."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Arguments of the class; in a file they stand beside ``kind``."""

    @property
    def lora_settings(self) -> Collection[str]:
        """Name the settings of ``training.lora`` that may act: a class may use what is here."""
        return LORA_SETTINGS

    @property
    def merges_changes(self) -> bool:
        """Whether the server averages what it is sent: its method says so when it is made."""
        return True

    @property
    def has_text_gradients(self) -> bool:
        """Whether jobs read texts by gradients alone: not known."""
        return False

    @property
    def can_average_products(self) -> bool:
        """Whether products can be averaged in place of factors: where it shares both of LoRA."""
        return True

    @property
    def is_identity_at_start(self) -> bool:
        """Whether the model scores as before: not known."""
        return False

    @property
    def name(self) -> str:
        """Name of the class: tables and folders call the method so."""
        return self.label or self.kind.rpartition(":")[2]


class Installer(Protocol):
    """What the class in the user's file offers."""

    def install(self, module: "torch.nn.Module", *, generator: "torch.Generator") -> "Method":
        """Put tensors into the model, in place, and return the method."""


def install_own(
    config: OwnConfig, module: "torch.nn.Module", *, generator: "torch.Generator"
) -> "Method":
    """Install a user's own method in a model; return it with its answers checked.

    Raises
    ------
    fl.problems.OwnCodeError
        One line that says what is wrong with the file, its class or what ``install`` returns.
    """
    from fl.methods.base import Method  # noqa: PLC0415  torch is loaded where a method runs
    from fl.methods.checked import CheckedMethod  # noqa: PLC0415

    own = load_class(config.kind, key="methods", protocol=Installer)
    made: Installer = own.make(config.settings, key="methods", protocol=Installer)
    with own.blame("install", made):
        method = made.install(module, generator=generator)
    own.check_offers(method, Method, key="methods")
    shapes = {name: parameter.shape for name, parameter in module.named_parameters()}
    seed = generator.initial_seed()
    return CheckedMethod(method, own=own, module_shapes=shapes, seed=seed)
