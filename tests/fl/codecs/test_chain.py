"""The table of codecs, and which may follow which."""

import pytest

from fl.codecs import CODECS, find_problems, selects
from fl.codecs.codec import NumberFormat, Selection
from fl.codecs.int8 import Int8Codec
from fl.codecs.top_k import TopKCodec


def chain_of(*kinds):
    return [CODECS[kind].config() for kind in kinds]


def told(*kinds, is_of_changes=True):
    found = find_problems(chain_of(*kinds), is_of_changes=is_of_changes, path=("up",))
    return [(".".join(each.path), each.message) for each in found]


def test_table_names_its_codecs():
    assert set(CODECS) == {"fp16", "bf16", "int8", "int4", "top_k"}
    for kind, entry in CODECS.items():
        codec = entry.config()
        assert codec.kind == kind
        assert isinstance(codec, Selection) != isinstance(codec, NumberFormat)
        assert entry.summary
        assert entry.source


@pytest.mark.parametrize("kinds", [(), ("int8",), ("top_k",), ("top_k", "int4"), ("top_k", "bf16")])
def test_chains_that_can_be(kinds):
    assert told(*kinds) == []


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        (("int8", "top_k"), "must come first and once, it comes after int8; got top_k"),
        (("top_k", "top_k"), "must come first and once, it comes after top_k; got top_k"),
        (("fp16", "int8"), "must be the only codec of numbers, it comes after fp16; got int8"),
    ],
)
def test_chains_that_cannot_be(kinds, message):
    assert told(*kinds) == [("up.1.kind", message)]


def test_weights_cannot_be_left_out():
    message = "codes changes, what is sent here is weights; int8 would do; got top_k"
    assert told("top_k", is_of_changes=False) == [("up.0.kind", message)]
    assert told("int8", is_of_changes=False) == []


def test_selection_is_told_from_numbers():
    assert selects([TopKCodec(), Int8Codec()])
    assert not selects([Int8Codec()])
