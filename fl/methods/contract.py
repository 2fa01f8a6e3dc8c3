"""What a method's answers must look like: types, names, shapes, finite values.

Each function returns ``None``, or the first rule that an answer breaks with what was found.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int

from fl.methods.base import ServerState
from fl.payload import Payload, Tensors
from fl.training.job import Start

Shapes = tuple[tuple[str, torch.Size, torch.dtype], ...]
"""Names, shapes and types of some tensors, sorted by name."""


def shapes_of(tensors: Tensors) -> Shapes:
    """Return names, shapes and types: all that the size of an upload may depend on."""
    return tuple((name, tensors[name].shape, tensors[name].dtype) for name in sorted(tensors))


@dataclass(frozen=True, slots=True)
class Installed:
    """The tensors that a method installed, against which its answers are held."""

    tensors: Tensors
    resized: frozenset[str] = frozenset()
    """Names of those whose shape may differ from client to client."""

    def find_fault_of_model(self, answer: object) -> str | None:
        """Return what is wrong with a whole model: a value for every installed tensor."""
        fault = self.find_fault_of_tensors(answer)
        if fault is not None or not isinstance(answer, Mapping):
            return fault
        lacking = [name for name in self.tensors if name not in answer]
        if lacking:
            return f"needs a value for every installed tensor, lacks {_some(lacking)}"
        odd = [name for name in answer if name not in self.tensors]
        if odd:
            return f"may only name installed tensors, got {_some(odd)}"
        return None

    def find_fault_of_tensors(self, answer: object) -> str | None:
        """Return what is wrong with a mapping of tensors; other names than installed ones may be.

        An installed tensor keeps its shape and type. What is the installed object itself is right.
        """
        if not isinstance(answer, Mapping):
            return f"must be a mapping from names to tensors, got {type(answer).__name__}"
        for name, tensor in answer.items():
            fault = _find_fault_of_value(name, tensor, self.tensors.get(name))
            if fault is not None:
                return fault
            installed = self.tensors.get(name)
            if installed is None or tensor is installed:
                continue
            if name not in self.resized and tensor.shape != installed.shape:
                shape = tuple(installed.shape)
                hint = "name it in `resized` if clients differ"
                found = tuple(tensor.shape)
                return f"{name!r} must have the installed shape {shape}, got {found}; {hint}"
            if tensor.dtype != installed.dtype:
                return (
                    f"{name!r} must have the installed type {installed.dtype}, got {tensor.dtype}"
                )
        return None

    def find_fault_of_state(
        self, answer: object, *, version: int, needed: Collection[str] = ()
    ) -> str | None:
        """Return what is wrong with a server's state.

        Parameters
        ----------
        answer
            What the method returned.
        version
            Version that it must have.
        needed
            Names that must be among its tensors.
        """
        if not isinstance(answer, ServerState):
            return f"must return a ServerState, got {type(answer).__name__}"
        if answer.version != version:
            return f"version must be {version}, got {answer.version!r}"
        lacking = [name for name in needed if name not in answer.tensors]
        if lacking:
            return f"tensors must go on naming what the first state named, lacks {_some(lacking)}"
        fault = self.find_fault_of_tensors(answer.tensors)
        if fault is not None:
            return f"tensors: {fault}"
        memory = _find_fault_of_values(answer.memory)
        return None if memory is None else f"memory: {memory}"

    def find_fault_of_start(self, answer: object) -> str | None:
        """Return what is wrong with the start of a job."""
        if not isinstance(answer, Start):
            return f"must return a Start, got {type(answer).__name__}"
        fault = self.find_fault_of_model(answer.tensors)
        if fault is not None:
            return f"tensors: {fault}"
        if not answer.trainable:
            return "trainable: must name at least 1 installed tensor, got none"
        odd = [name for name in answer.trainable if name not in self.tensors]
        if odd:
            return f"trainable: may only name installed tensors, got {_some(odd)}"
        outputs = _find_fault_of_values(answer.client_outputs)
        return None if outputs is None else f"client_outputs: {outputs}"


def find_fault_of_payload(answer: object) -> str | None:
    """Return what is wrong with something to be sent; ``None`` is nothing to be sent."""
    if answer is None:
        return None
    if not isinstance(answer, Payload):
        return f"must return a Payload or None, got {type(answer).__name__}"
    return _find_fault_of_values(answer.tensors)


def find_fault_of_outputs(answer: object, announced: Tensors) -> str | None:
    """Return what is wrong with the outputs of a client, given those that its start announced."""
    fault = _find_fault_of_values(answer)
    if fault is not None or not isinstance(answer, Mapping):
        return fault
    if shapes_of(answer) == shapes_of(announced):
        return None
    wanted, found = _named_shapes(announced), _named_shapes(answer)
    return f"must be what start announced as client_outputs, {wanted}; got {found}"


def find_fault_of_batches(answer: object, samples: Int[np.ndarray, " text"]) -> str | None:
    """Return what is wrong with the batches that are passed forward, given a client's texts."""
    if not isinstance(answer, list | tuple):
        return f"must be a list of arrays of texts, got {type(answer).__name__}"
    for batch in answer:
        if not (isinstance(batch, np.ndarray) and batch.ndim == 1 and batch.dtype.kind in "iu"):
            return f"each batch must be an array of whole numbers, got {type(batch).__name__}"
        if not (len(batch) and np.isin(batch, samples).all()):
            return "each batch must hold texts out of those that it was given, at least one"
    return None


def find_fault_of_texts(answer: object, samples: Int[np.ndarray, " text"]) -> str | None:
    """Return what is wrong with the texts that steps train on, given a client's texts."""
    return find_fault_of_batches([answer], samples)


def find_fault_of_penalty(answer: object) -> str | None:
    """Return what is wrong with a term of the loss; ``None`` is no term."""
    if answer is None:
        return None
    if not isinstance(answer, torch.Tensor):
        return f"must return a tensor or None, got {type(answer).__name__}"
    if answer.ndim:
        return f"must be a scalar, got shape {tuple(answer.shape)}"
    return None if bool(torch.isfinite(answer)) else f"must be finite, got {answer.item()}"


def _find_fault_of_values(answer: object) -> str | None:
    if not isinstance(answer, Mapping):
        return f"must be a mapping from names to tensors, got {type(answer).__name__}"
    faults = (_find_fault_of_value(name, tensor, None) for name, tensor in answer.items())
    return next((fault for fault in faults if fault is not None), None)


def _find_fault_of_value(
    name: object, tensor: object, installed: torch.Tensor | None
) -> str | None:
    if not isinstance(name, str):
        return f"names must be text, got {name!r}"
    if not isinstance(tensor, torch.Tensor):
        return f"{name!r} must be a tensor, got {type(tensor).__name__}"
    if tensor.layout != torch.strided:
        return f"{name!r} must be a dense tensor, got {tensor.layout}"
    # On the meta device, of a larger model, there are only shapes.
    has_values = not tensor.is_meta and (tensor.is_floating_point() or tensor.is_complex())
    if tensor is installed or not has_values:
        return None
    if bool(torch.isfinite(tensor).all()):
        return None
    count = int((~torch.isfinite(tensor)).sum())
    return f"{name!r} must be finite, {count} of {tensor.numel()} values are not"


def _named_shapes(tensors: Tensors) -> str:
    shapes = [f"{name} {tuple(tensors[name].shape)}" for name in sorted(tensors)]
    return _some(shapes) if shapes else "none"


def _some(names: Collection[str]) -> str:
    """Name the first of some things, and say how many more there are."""
    first, *others = names
    return f"{first!r} and {len(others)} more" if others else repr(first)
