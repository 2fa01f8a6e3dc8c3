"""The size of a payload is that of its bytes, and the bytes give it back."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fl.payload import Payload, decode

DTYPES = [
    *(torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32),
    *(torch.int16, torch.int8, torch.uint8, torch.bool),
]
SHAPES = st.lists(st.integers(0, 5), max_size=3)


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(
        st.text('ab.é😀"\\\n\x1f', min_size=1, max_size=6),
        st.tuples(st.sampled_from(DTYPES), SHAPES),
        min_size=1,
        max_size=8,
    )
)
def test_size_is_that_of_the_encoding(named):
    payload = Payload(
        {name: torch.ones(shape, dtype=kind) for name, (kind, shape) in named.items()}
    )
    assert payload.size_bytes == len(payload.encode())


def test_values_come_back():
    tensors = {"a.weight": torch.randn(3, 5), "b": torch.arange(4), "c": torch.randn(2, 4).T}
    back = decode(Payload(tensors).encode()).tensors
    assert back.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert torch.equal(back[name], tensor)


def test_tensor_bytes_are_four_a_float():
    payload = Payload({"x": torch.zeros(100, 8)})
    assert payload.tensor_bytes == 3200
    assert payload.size_bytes > 3200


def test_nothing_is_not_a_payload():
    with pytest.raises(ValueError, match="at least 1 tensor"):
        Payload({})


def test_payloads_that_differ_in_one_shape_or_type_differ_in_size():
    one = Payload({"a": torch.ones(9), "b": torch.ones(9)})
    for other in (torch.ones(10), torch.ones(9, dtype=torch.float64), torch.ones(9, 1)):
        payload = Payload({"a": torch.ones(9), "b": other})
        assert one.size_bytes == len(one.encode())
        assert payload.size_bytes == len(payload.encode())
