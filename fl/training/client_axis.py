"""Several clients' values in one model: a forward pass of all their texts at once.

Texts of a pass lie client by client, as many of each. What is frozen sees them as one large batch.
A module with tensors that differ from client to client is called once on all of its clients' texts
by ``torch.func.vmap``, over values with a client axis first. So nothing of the model is written
twice, and its other parts need not know.

What a module is asked for must be text by text: an input has texts first, or tokens of them in the
order of the texts, or a first dimension of 1 that serves every text. Whether that is so cannot be
seen from the shapes alone: whoever trains so compares a step with that of a client alone.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn
from torch.func import functional_call

Forward = Callable[..., Any]


@runtime_checkable
class ByClient(Protocol):
    """A module that works by vector and knows a faster way than ``vmap`` for several clients."""

    by_client: tuple[str, ...]
    """Its parameters that may be of each client; the others must not be."""

    def forward_by_client(self, hidden: torch.Tensor, **values: torch.Tensor) -> torch.Tensor:
        """Return its outputs, shape ``(client, vector, out)`` as the input."""


class CannotStackError(RuntimeError):
    """A model or a method cannot pass several clients' texts at once; one line says why."""


class ClientAxis:
    """Lets a module be called with values of several clients.

    Parameters
    ----------
    module
        The whole model; its own parameters stay as they are.
    values
        By name of a parameter, its values with a client axis first; the names stay the same, while
        the values may be replaced, all of them by as many clients.

    Raises
    ------
    CannotStackError
        A parameter belongs to no module that is called.
    """

    def __init__(self, module: nn.Module, values: Mapping[str, torch.Tensor]) -> None:
        self.values = values
        self.num_texts = 1
        """Texts of each client in a pass."""
        self._module = module
        self._places = _places(module, values)

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Let passes of the module be those of several clients, for as long as this lasts."""
        for place in self._places:
            place.install(self)
        try:
            yield
        finally:
            for place in self._places:
                place.remove()


class _Place:
    """A module that holds clients' tensors, itself or in its parts."""

    def __init__(self, name: str, module: nn.Module, parameters: Mapping[str, str]) -> None:
        self._name = name
        self._module = module
        self._parameters = parameters
        """Names of the parameters in the whole model, by their names in this module."""
        self._axis: ClientAxis | None = None
        self._original: Forward | None = None
        self._own: Forward | None = None
        self._by_vector = isinstance(module, nn.Linear) or getattr(module, "is_by_vector", False)
        self._is_watched = True

    def install(self, axis: ClientAxis) -> None:
        self._axis = axis
        self._own = vars(self._module).get("forward")
        self._original = self._module.forward
        forward = (
            self._by_text if getattr(self._module, "reads_by_text", False) else self._by_client
        )
        self._module.forward = forward

    def remove(self) -> None:
        if self._own is None:
            del self._module.forward  # what its class defines is seen again
        else:
            self._module.forward = self._own
        self._axis = self._original = self._own = None

    def _called(self, values: Mapping[str, torch.Tensor], args: Any, kwargs: Any) -> Any:  # noqa: ANN401
        """Call the module as it is, with these values in it."""
        held = self._module.forward
        self._module.forward = self._original or held
        try:
            return functional_call(self._module, dict(values), args, kwargs)
        finally:
            self._module.forward = held

    def _by_text(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Call a module that takes a value of its own for each text."""
        axis = self._open()
        values = {}
        for local, name in self._parameters.items():
            stacked = axis.values[name].unsqueeze(1)
            shape = (stacked.shape[0], axis.num_texts, *stacked.shape[2:])
            values[local] = stacked.expand(shape).flatten(0, 1)
        return self._called(values, args, kwargs)

    def _by_client(self, *args: Any, **kwargs: Any) -> torch.Tensor:  # noqa: ANN401
        """Call a module once for each client, all at once."""
        axis = self._open()
        values = {local: axis.values[name] for local, name in self._parameters.items()}
        num_clients = len(next(iter(values.values())))
        inputs = [*args, *kwargs.values()]
        split = [self._split(each, num_clients) for each in inputs]
        tensors = [each for each in split if isinstance(each, torch.Tensor)]
        dims = [
            0 if each is not given else None
            for each, given in zip(split, inputs, strict=True)
            if isinstance(each, torch.Tensor)
        ]

        def call(own: Mapping[str, torch.Tensor], *given: torch.Tensor) -> torch.Tensor:
            rest = iter(given)
            all_inputs = [next(rest) if isinstance(each, torch.Tensor) else each for each in split]
            named = dict(zip(kwargs, all_inputs[len(args) :], strict=True))
            found = self._called(own, tuple(all_inputs[: len(args)]), named)
            if not isinstance(found, torch.Tensor):
                msg = f"{self._told()} gives a {type(found).__name__}, not a tensor"
                raise CannotStackError(msg)
            return found

        module = self._module
        if isinstance(module, ByClient) and values.keys() == set(module.by_client) and dims == [0]:
            found = module.forward_by_client(*tensors, **values)
            return found.reshape(*inputs[0].shape[:-1], found.shape[-1])
        kept = self._kept() if self._is_watched else {}
        found = torch.func.vmap(call, in_dims=(0, *dims))(values, *tensors)
        if self._is_watched:
            self._check_kept(kept)
            self._is_watched = False
        if 0 in dims and self._by_vector:
            return found.reshape(*inputs[0].shape[:-1], found.shape[-1])
        if 0 in dims:
            return found.flatten(0, 1)
        if found.dim() < 2 or found.shape[1] != 1:
            msg = f"{self._told()} gives no value for each text, shape {tuple(found.shape)}"
            raise CannotStackError(msg)
        return found.expand(-1, axis.num_texts, *found.shape[2:]).flatten(0, 1)

    def _split(self, given: Any, num_clients: int) -> Any:  # noqa: ANN401
        """Give an input a client axis if it holds something of each text."""
        if given is None or isinstance(given, bool | int | float | str):
            return given
        if not isinstance(given, torch.Tensor):
            msg = f"{self._told()} takes a {type(given).__name__}, not only tensors"
            raise CannotStackError(msg)
        if given.dim() and given.shape[0] == 1:
            return given
        if not given.dim() or given.shape[0] % num_clients:
            msg = f"{self._told()} takes what is of no text, shape {tuple(given.shape)}"
            raise CannotStackError(msg)
        if self._by_vector and given.dim() > 1:
            return given.reshape(num_clients, -1, given.shape[-1])
        return given.reshape(num_clients, -1, *given.shape[1:])

    def _kept(self) -> dict[tuple[int, str], object]:
        return {
            (index, name): value
            for index, part in enumerate(self._module.modules())
            for name, value in vars(part).items()
            if isinstance(value, torch.Tensor)
        }

    def _check_kept(self, before: Mapping[tuple[int, str], object]) -> None:
        """Refuse a module that keeps something of a pass: it would be of no client."""
        parts = list(self._module.modules())
        for (index, name), value in self._kept().items():
            if before.get((index, name)) is not value:
                setattr(parts[index], name, before.get((index, name)))
                msg = f"{self._told()} keeps {name} of a forward pass"
                raise CannotStackError(msg)

    def _open(self) -> ClientAxis:
        if self._axis is None:
            msg = f"{self._told()} is not called with values of several clients now"
            raise RuntimeError(msg)
        return self._axis

    def _told(self) -> str:
        return f"{self._name}, a {type(self._module).__name__},"


def _places(module: nn.Module, names: Mapping[str, torch.Tensor]) -> list[_Place]:
    """Return the outermost modules that hold the named parameters and are called."""
    parameters = dict(module.named_parameters())
    global_names = {id(parameters[name]): name for name in names}
    modules = dict(module.named_modules())
    holders: dict[str, dict[str, str]] = {}
    for prefix, part in modules.items():
        for local, parameter in part.named_parameters(recurse=False):
            if id(parameter) in global_names:
                holder, path = _caller(modules, prefix, local)
                holders.setdefault(holder, {})[path] = global_names[id(parameter)]
    by_text = {prefix for prefix in holders if getattr(modules[prefix], "reads_by_text", False)}
    outer: dict[str, dict[str, str]] = {}
    for prefix in sorted(holders, key=len):
        above = next(
            (
                each
                for each in outer
                if each not in by_text and (not each or prefix.startswith(f"{each}."))
            ),
            prefix,
        )
        inside = prefix[len(above) :].lstrip(".")
        for path, name in holders[prefix].items():
            outer.setdefault(above, {})[f"{inside}.{path}" if inside else path] = name
    return [_Place(prefix, modules[prefix], found) for prefix, found in outer.items()]


def _caller(modules: Mapping[str, nn.Module], prefix: str, local: str) -> tuple[str, str]:
    """Return the nearest module around a parameter that is called, and the path from there."""
    path = local
    while type(modules[prefix]).forward is nn.Module.forward:
        if not prefix:
            msg = f"{local} belongs to no module that is called"
            raise CannotStackError(msg)
        prefix, _, leaf = prefix.rpartition(".")
        path = f"{leaf}.{path}"
    return prefix, path
