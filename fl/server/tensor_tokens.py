"""Numbers that stand for tensor objects, so that nobody holds a tensor to compare it later."""

import weakref
from collections.abc import Sequence
from hashlib import blake2b
from itertools import count

import numpy as np
import torch

from fl.payload import Tensors

_KEY_BYTES = 16


class TensorTokens:
    """One number for each tensor object that is alive, and never the same for another.

    The number of an object that has gone is given to none that comes later, unless that is said to
    stand for it (:meth:`adopt`).
    """

    def __init__(self) -> None:
        self._known: dict[int, _Reference] = {}
        """By the address of the object, which another may have later."""
        self._next = count()

    def of(self, tensor: torch.Tensor) -> int:
        """Return the number of a tensor object."""
        known = self._known.get(id(tensor))
        if known is not None and known() is tensor:
            return known.token
        token = next(self._next)
        self.adopt(tensor, token)
        return token

    def adopt(self, tensor: torch.Tensor, token: int) -> None:
        """Let a tensor stand for an earlier one of equal values: it has its number from now on."""
        self._known[id(tensor)] = _Reference(tensor, token, self._known)

    def key(self, model: Tensors) -> bytes:
        """Return what two models have in common if they are made of the very same tensors."""
        names: Sequence[str] = sorted(model)
        tokens = np.array([self.of(model[name]) for name in names], dtype="<i8")
        digest = blake2b("\0".join(names).encode(), digest_size=_KEY_BYTES)
        digest.update(tokens.tobytes())
        return digest.digest()


class _Reference(weakref.ref[torch.Tensor]):
    """A tensor that is not held, with its number; forgotten when the tensor goes."""

    __slots__ = ("address", "known", "token")

    def __new__(
        cls, tensor: torch.Tensor, token: int, known: "dict[int, _Reference]"
    ) -> "_Reference":
        del token, known
        return super().__new__(cls, tensor, _forget)

    def __init__(self, tensor: torch.Tensor, token: int, known: "dict[int, _Reference]") -> None:
        self.token, self.known, self.address = token, known, id(tensor)


def _forget(reference: "weakref.ref[torch.Tensor]") -> None:
    if isinstance(reference, _Reference) and reference.known.get(reference.address) is reference:
        del reference.known[reference.address]
