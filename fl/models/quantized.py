"""Frozen weights in one byte or half a byte on the machine that trains, by bitsandbytes.

A model is loaded as ever and quantised layer by layer when it is put where jobs run: a method finds
ordinary layers when it is installed, the digest of a model is that of its files, and the device
never holds more than one layer in single precision. Costs of simulated devices are counted without
it; what they store frozen weights in is ``clients.precision``.
"""

import importlib
import importlib.metadata
import warnings
from typing import Any, Literal

import torch
from torch import nn

from fl.models.frozen_weights import FrozenLayer, frozen_layers, is_output

FrozenWeights = Literal["int8", "nf4"]
"""``int8``: rows scaled to one byte, large inputs apart (LLM.int8(), Dettmers et al. 2022,
doi:10.48550/arXiv.2208.07339). ``nf4``: four bits, levels at quantiles of a normal distribution,
blocks of 64 (QLoRA, Dettmers et al. 2023, doi:10.48550/arXiv.2305.14314)."""


class QuantizationError(ValueError):
    """Frozen weights cannot be quantised here; one line."""


def check_quantization(device: str) -> None:
    """Refuse where bitsandbytes is absent, or does not serve a device.

    Raises
    ------
    QuantizationError
        One line.
    """
    _bitsandbytes()
    kind = device.partition(":")[0]
    if kind not in {"cpu", "cuda"}:
        msg = f"training.frozen_weights: bitsandbytes needs device cpu or cuda, got {device}"
        raise QuantizationError(msg)


def quantization_version() -> str:
    """Return the version of bitsandbytes, on which values depend."""
    check_quantization("cpu")
    return importlib.metadata.version("bitsandbytes")


def quantize_frozen(
    module: nn.Module,
    kind: FrozenWeights,
    *,
    installed: frozenset[str],
    device: torch.device,
    dtype: torch.dtype,
) -> int:
    """Quantise the frozen weights of linear layers, in place; return the bytes that this saves.

    The output layer stays, and what :func:`fl.models.frozen_weights.frozen_layers` leaves out.

    Parameters
    ----------
    module
        Model with a method installed.
    kind
        In how many bits.
    installed
        Names of the parameters that are the method's.
    device
        Where the layers go.
    dtype
        Of the products of ``nf4``; those of ``int8`` are of bytes.

    Raises
    ------
    QuantizationError
        bitsandbytes is absent.
    """
    bnb = _bitsandbytes()
    saved = 0
    for place, layer in _places(module, installed):
        before = layer.weight.nbytes
        quantized = _quantized(bnb, layer, kind, dtype=dtype).to(device)
        quantized.requires_grad_(requires_grad=False)
        setattr(place.parent, place.name, quantized)
        weight: torch.Tensor = quantized.weight  # type: ignore[assignment]
        saved += before - weight.nbytes
    return saved


def check_frozen(module: nn.Module, *, installed: frozenset[str]) -> None:
    """Refuse a model of which there is nothing to quantise; arguments as above.

    Raises
    ------
    QuantizationError
        One line.
    """
    if not _places(module, installed):
        msg = "training.frozen_weights: no linear layer stays frozen that can be; leave it out"
        raise QuantizationError(msg)


def _places(module: nn.Module, installed: frozenset[str]) -> list[tuple[FrozenLayer, nn.Linear]]:
    return [
        (place, place.layer)
        for place in frozen_layers(module, installed=installed)
        if isinstance(place.layer, nn.Linear) and not is_output(module, place.layer)
    ]


def _quantized(bnb: Any, layer: nn.Linear, kind: FrozenWeights, *, dtype: torch.dtype) -> nn.Module:  # noqa: ANN401
    """Return a layer of bitsandbytes with the values of another; it quantises when it is moved."""
    sizes = (layer.in_features, layer.out_features, layer.bias is not None)
    made: nn.Module
    if kind == "nf4":
        made = bnb.nn.Linear4bit(*sizes, compute_dtype=dtype, quant_type="nf4")
    else:
        # it says at every call that it casts its inputs
        warnings.filterwarnings("ignore", message="MatMul8bitLt: inputs will be cast")
        made = bnb.nn.Linear8bitLt(*sizes, has_fp16_weights=False, threshold=6.0)
    with torch.no_grad():
        made.load_state_dict(layer.state_dict())
    return made.eval()


def _bitsandbytes() -> Any:  # noqa: ANN401 -- the package, which may be absent
    try:
        return importlib.import_module("bitsandbytes")
    except Exception as error:  # with no library that fits, it fails in ways of its own
        told = " ".join(str(error).split())[:200]
        msg = (
            f"training.frozen_weights: the package bitsandbytes is needed ({told}): "
            "pip install 'airtune[quantized]'"
        )
        raise QuantizationError(msg) from error
