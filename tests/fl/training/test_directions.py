"""Directions by their addresses, and weights rebuilt from distances."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fl.training.directions import Directions, Walk

SHAPES = {"a": (5, 7), "b": (3,), "c": (40,)}
ROOM = {name: torch.zeros(shape) for name, shape in SHAPES.items()}


def walk(seed=4, *, names=("a", "b")):
    generator = torch.Generator().manual_seed(1)
    initial = {name: torch.randn(shape, generator=generator) for name, shape in SHAPES.items()}
    return Walk(Directions(seed, names), initial)


def test_a_direction_is_a_function_of_seed_and_index():
    first = dict(Directions(4, ("a", "c")).draw(7, ROOM))
    torch.rand(2)
    again = dict(Directions(4, ("a", "c")).draw(7, ROOM))
    assert {name: value.shape for name, value in first.items()} == {
        "a": SHAPES["a"],
        "c": SHAPES["c"],
    }
    assert all(torch.equal(first[name], again[name]) for name in first)
    for seed, index in ((5, 7), (4, 8)):
        other = dict(Directions(seed, ("a", "c")).draw(index, ROOM))
        assert not torch.equal(first["c"], other["c"])


def test_numbers_are_standard_normal():
    room = {"w": torch.zeros(200_000)}
    (_, drawn), (_, other) = (next(Directions(9, ("w",)).draw(index, room)) for index in (0, 1))
    assert abs(float(drawn.mean())) < 4 * 200_000**-0.5
    assert abs(float(drawn.square().mean()) - 1) < 4 * (2 / 200_000) ** 0.5
    assert abs(float((drawn * other).mean())) < 4 * 200_000**-0.5


def test_weights_are_the_sum_by_hand():
    made = walk()
    found = made.tensors(torch.tensor([0.5, 0.0, -2.0]))
    assert found.keys() == {"a", "b"}
    for name in found:
        first, third = (dict(made.directions.draw(index, ROOM))[name] for index in (0, 2))
        wanted = made.initial[name].double() - 0.5 * first.double() + 2 * third.double()
        assert torch.allclose(found[name].double(), wanted, rtol=0, atol=3e-7)


def test_without_a_step_the_weights_are_those_of_the_beginning():
    made = walk()
    found = made.tensors(torch.zeros(3))
    assert all(found[name] is made.initial[name] for name in found)


distances = st.lists(
    st.sampled_from([0.0, 0.1, -3e-4, 1 / 3, 7e-9, -2.5]), min_size=4, max_size=4
).map(torch.tensor)


@given(st.lists(distances, min_size=1, max_size=5))
@settings(max_examples=30, deadline=None)
def test_the_way_there_changes_no_bit(stops):
    made = walk()
    for stop in stops:
        found = made.tensors(stop)
    fresh = walk().tensors(stops[-1])
    assert all(torch.equal(found[name], fresh[name]) for name in fresh)
    again = made.tensors(stops[-1].clone())
    assert all(again[name] is found[name] for name in found)


def test_tensors_without_values_come_back():
    initial = {"a": torch.empty(4, device="meta")}
    found = Walk(Directions(1, ("a",)), initial).tensors(torch.ones(2))
    assert found["a"] is initial["a"]
