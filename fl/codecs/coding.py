"""Coding of payloads: which tensors are sent in place of a payload's own, and back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, UInt8

from fl.codecs import CodecConfig
from fl.codecs.codec import CodedNumbers, NumberFormat, Selection
from fl.codecs.places import num_bytes, pack, unpack
from fl.payload import Payload, Tensors

SCALES, PLACES = ":scales", ":places"
"""Names of what is sent beside the coded tensors: all their scales, all places of their entries."""
_DTYPES = {
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I8": torch.int8,
    "U8": torch.uint8,
}


@dataclass(frozen=True)
class Coder:
    """A chain of codecs, applied to every floating-point tensor of a payload.

    Tensors of whole numbers travel as they are. The coded payload names the same tensors, and
    besides one of all scales (single precision, in order of name) and one of all places.
    Sizes depend on names, shapes and types alone.
    """

    chain: tuple[CodecConfig, ...]

    @cached_property
    def selection(self) -> Selection | None:
        """What leaves entries out; ``None``: nothing does."""
        return next((each for each in self.chain if isinstance(each, Selection)), None)

    @cached_property
    def numbers(self) -> NumberFormat | None:
        """What writes numbers in fewer bits; ``None``: they travel in the type of their tensor."""
        return next((each for each in self.chain if isinstance(each, NumberFormat)), None)

    def shapes(self, payload: Payload) -> Payload:
        """Return the coded payload without values: on the meta device."""
        sent: dict[str, torch.Tensor] = {}
        num_scales = size_bytes = 0
        for name, tensor in sorted(payload.tensors.items()):
            if not _is_coded(tensor):
                sent[name] = torch.empty(tensor.shape, dtype=tensor.dtype, device="meta")
                continue
            count = kept = tensor.numel()
            if self.selection is not None:
                kept = self.selection.num_kept(count)
                size_bytes += num_bytes(kept=kept, count=count)
            num_scales += 1
            sent[name] = torch.empty(
                self._shape(tensor, kept), dtype=self._dtype(tensor), device="meta"
            )
        if self.numbers is not None and self.numbers.has_scale and num_scales:
            sent[SCALES] = torch.empty(num_scales, dtype=torch.float32, device="meta")
        if self.selection is not None and num_scales:
            sent[PLACES] = torch.empty(size_bytes, dtype=torch.uint8, device="meta")
        return Payload(sent)

    def encode(
        self,
        values: Mapping[str, Float[np.ndarray, " value"]],
        like: Tensors,
        *,
        rng: np.random.Generator,
    ) -> Payload:
        """Return what is sent.

        Parameters
        ----------
        values
            What is coded of each floating-point tensor, flat: its values, or its change.
        like
            The tensors, in whose shapes and types they are; others travel as they are here.
        rng
            Of stochastic rounding; read in the order of names.
        """
        sent: dict[str, torch.Tensor] = {}
        scales: list[float] = []
        places: list[UInt8[np.ndarray, " byte"]] = []
        for name, tensor in sorted(like.items()):
            if not _is_coded(tensor):
                sent[name] = tensor
                continue
            flat, count = values[name], tensor.numel()
            if self.selection is not None:
                chosen = self.selection.select(flat)
                places.append(pack(chosen, count=count))
                flat = flat[chosen]
            shape = self._shape(tensor, len(flat))
            if self.numbers is None:
                sent[name] = torch.from_numpy(flat).to(tensor.dtype).reshape(shape)
                continue
            coded = self.numbers.encode(flat, rng)
            scales.append(coded.scale)
            data = torch.from_numpy(np.ascontiguousarray(coded.data))
            sent[name] = data.view(self._dtype(tensor)).reshape(shape)
        if self.numbers is not None and self.numbers.has_scale and scales:
            sent[SCALES] = torch.tensor(scales, dtype=torch.float32)
        if places:
            sent[PLACES] = torch.from_numpy(np.concatenate(places))
        return Payload(sent)

    def decode(self, sent: Payload, like: Tensors) -> dict[str, Float[np.ndarray, " value"]]:
        """Return what is received of each floating-point tensor, flat: 0 where nothing was sent.

        ``like`` has the names, shapes and types of the payload that was coded.
        """
        found: dict[str, Float[np.ndarray, " value"]] = {}
        at, index = 0, 0
        for name, tensor in sorted(like.items()):
            if not _is_coded(tensor):
                continue
            count = kept = tensor.numel()
            if self.selection is not None:
                kept = self.selection.num_kept(count)
            flat = self._read(sent, name, index=index, count=kept)
            index += 1
            if self.selection is None:
                found[name] = flat
                continue
            size = num_bytes(kept=kept, count=count)
            places = sent.tensors[PLACES][at : at + size].numpy()
            at += size
            found[name] = np.zeros(count)
            found[name][unpack(places, kept=kept, count=count)] = flat
        return found

    def _read(
        self, sent: Payload, name: str, *, index: int, count: int
    ) -> Float[np.ndarray, " value"]:
        data = sent.tensors[name].reshape(-1)
        if self.numbers is None:
            return data.to(torch.float64).numpy()
        if data.dtype == torch.bfloat16:
            data = data.view(torch.int16)
        scale = float(sent.tensors[SCALES][index]) if self.numbers.has_scale else 1.0
        return self.numbers.decode(CodedNumbers(data.numpy(), scale), count)

    def _dtype(self, tensor: torch.Tensor) -> torch.dtype:
        return tensor.dtype if self.numbers is None else _DTYPES[self.numbers.dtype]

    def _shape(self, tensor: torch.Tensor, kept: int) -> Sequence[int]:
        """Return the shape of what is sent: the tensor's own where every entry is one item."""
        num_items = kept if self.numbers is None else self.numbers.num_items(kept)
        if self.selection is None and num_items == tensor.numel():
            return tensor.shape
        return (num_items,)


def _is_coded(tensor: torch.Tensor) -> bool:
    return tensor.is_floating_point()
