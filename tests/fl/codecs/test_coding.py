"""Coded payloads: their bytes by hand and as encoded, and what comes back."""

import numpy as np
import pytest
import torch

from fl.codecs import CODECS
from fl.codecs.coding import PLACES, SCALES, Coder
from fl.codecs.top_k import TopKCodec
from fl.payload import Payload, agreed_bytes, decode

CHAINS = [
    ("fp16",),
    ("bf16",),
    ("int8",),
    ("int4",),
    ("top_k",),
    ("top_k", "fp16"),
    ("top_k", "bf16"),
    ("top_k", "int8"),
    ("top_k", "int4"),
]


def coder_of(*kinds, fraction=0.1):
    made = [
        TopKCodec(fraction=fraction) if kind == "top_k" else CODECS[kind].config() for kind in kinds
    ]
    return Coder(tuple(made))


def payload():
    generator = torch.Generator().manual_seed(0)
    return Payload(
        {
            "b.weight": torch.randn(10, 30, generator=generator),
            "a.bias": torch.randn(7, generator=generator),
            "head": torch.randn((), generator=generator),
            "rank": torch.tensor(4),
        }
    )


def flat(given):
    return {
        name: tensor.to(torch.float64).reshape(-1).numpy()
        for name, tensor in given.tensors.items()
        if tensor.is_floating_point()
    }


def coded(coder, given, seed=1):
    return coder.encode(flat(given), given.tensors, rng=np.random.default_rng(seed))


@pytest.mark.parametrize("kinds", CHAINS)
def test_bytes_are_those_announced_and_those_encoded(kinds):
    coder, given = coder_of(*kinds), payload()
    sent = coded(coder, given)
    announced = coder.shapes(given)
    assert {name: (each.shape, each.dtype) for name, each in sent.tensors.items()} == {
        name: (each.shape, each.dtype) for name, each in announced.tensors.items()
    }
    assert announced.size_bytes == sent.size_bytes == len(sent.encode())
    assert agreed_bytes(announced) == 8 + sent.tensor_bytes


@pytest.mark.parametrize("kinds", CHAINS)
def test_what_is_read_from_the_bytes_is_what_was_coded(kinds):
    coder, given = coder_of(*kinds), payload()
    sent = coded(coder, given)
    read = decode(sent.encode())
    assert torch.equal(read.tensors["rank"], given.tensors["rank"])
    one, other = coder.decode(sent, given.tensors), coder.decode(read, given.tensors)
    assert one.keys() == other.keys() == flat(given).keys()
    assert all((one[name] == other[name]).all() for name in one)


@pytest.mark.parametrize(
    ("kinds", "num_bytes"),
    [
        # 300 + 7 + 1 numbers, and a rank of 8 bytes
        ((), 308 * 4 + 8),
        (("fp16",), 308 * 2 + 8),
        (("bf16",), 308 * 2 + 8),
        # a scale of 4 bytes for each of three tensors
        (("int8",), 308 + 3 * 4 + 8),
        (("int4",), 150 + 4 + 1 + 3 * 4 + 8),
        # 30 + 1 + 1 entries; places of 9 bits: 34 bytes, of 3 bits: 1 byte, of none
        (("top_k",), 32 * 4 + 34 + 1 + 8),
        (("top_k", "int8"), 32 + 34 + 1 + 3 * 4 + 8),
        (("top_k", "int4"), 15 + 1 + 1 + 34 + 1 + 3 * 4 + 8),
    ],
)
def test_bytes_of_the_values_by_hand(kinds, num_bytes):
    given = payload()
    sent = coder_of(*kinds).shapes(given) if kinds else given
    assert sent.tensor_bytes == num_bytes


@pytest.mark.parametrize("kinds", CHAINS)
def test_errors_are_within_the_bound_of_the_codec(kinds):
    coder, given = coder_of(*kinds), payload()
    values, got = flat(given), coder.decode(coded(coder, given), given.tensors)
    for name, value in values.items():
        largest = np.abs(value).max()
        bound = {"fp16": 2.0**-11, "bf16": 2.0**-8, "int8": 1.001 / 127, "int4": 1.001 / 7}
        error = np.abs(got[name] - value)
        is_sent = got[name] != 0 if "top_k" in kinds else np.ones(len(value), dtype=bool)
        assert (error[is_sent] <= bound.get(kinds[-1], 1e-7) * largest).all()
        if "top_k" in kinds:
            assert is_sent.sum() <= coder.selection.num_kept(len(value))


def test_scales_and_places_travel_as_one_tensor_each():
    sent = coded(coder_of("top_k", "int8"), payload())
    assert sent.tensors[SCALES].shape == (3,)
    assert sent.tensors[SCALES].dtype == torch.float32
    assert sent.tensors[PLACES].dtype == torch.uint8


def test_whole_numbers_alone_are_not_coded():
    given = Payload({"rank": torch.tensor(4)})
    for kinds in CHAINS:
        assert coder_of(*kinds).shapes(given).size_bytes == given.size_bytes


def test_sizes_need_no_values():
    given = payload()
    shapes = Payload({name: tensor.to("meta") for name, tensor in given.tensors.items()})
    for kinds in CHAINS:
        coder = coder_of(*kinds)
        assert coder.shapes(shapes).size_bytes == coder.shapes(given).size_bytes
