"""Numbers of tensor objects: one for each that is alive, none twice."""

import torch

from fl.server.tensor_tokens import TensorTokens


def test_an_object_keeps_its_number_and_equal_values_are_another_object():
    tokens, first = TensorTokens(), torch.ones(3)
    assert tokens.of(first) == tokens.of(first)
    assert tokens.of(first.clone()) != tokens.of(first)


def test_an_object_at_the_address_of_one_that_has_gone_has_another_number():
    tokens, seen = TensorTokens(), set()
    for _ in range(50):
        seen.add(tokens.of(torch.ones(3)))
    assert len(seen) == 50
    assert not tokens._known  # nothing is held, nor remembered


def test_a_tensor_may_stand_for_one_that_has_gone():
    tokens, first, second = TensorTokens(), torch.ones(3), torch.ones(3)
    token = tokens.of(first)
    tokens.adopt(second, token)
    assert tokens.of(second) == token
    del first
    assert tokens.of(second) == token


def test_models_of_the_same_tensors_have_one_key():
    tokens, a, b = TensorTokens(), torch.ones(3), torch.ones(3)
    assert tokens.key({"x": a, "y": b}) == tokens.key({"y": b, "x": a})
    keys = [{"x": a, "y": b}, {"x": b, "y": a}, {"x": a, "z": b}, {"x": a}, {"x": a, "y": a}]
    assert len({tokens.key(each) for each in keys}) == len(keys)
