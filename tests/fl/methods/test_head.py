"""The head alone."""

import pytest
import torch

from fl.methods.head.config import HeadConfig
from fl.server.modes.sync import run_rounds
from tests.fl.fakes import classifier, federation
from tests.fl.methods.updates import installed


def payload_numbers(shape, version):
    numbers = shape.hidden * shape.num_classes + shape.num_classes
    return numbers, numbers


def test_features_stay_those_of_the_backbone():
    method, _ = installed(HeadConfig())
    assert method.initial.keys() == {"head.weight", "head.bias"}
    parts = federation(HeadConfig(), num_clients=3, cohort=3, num_rounds=2)
    parts.env.run(until=parts.env.process(run_rounds(parts)))
    trained = parts.method.global_model(parts.state)
    assert trained.keys() == method.initial.keys()
    assert not any(torch.equal(trained[name], parts.method.initial[name]) for name in trained)


def test_no_gradient_runs_into_the_backbone():
    method, module = installed(HeadConfig())
    for name, parameter in module.named_parameters():
        assert not parameter.requires_grad
        parameter.requires_grad = name in method.initial
    module.head.register_full_backward_hook(
        lambda _module, into, _out: (
            pytest.fail("features have a gradient") if into[0] is not None else None
        )
    )
    module(
        torch.ones((2, 5), dtype=torch.long), torch.ones((2, 5), dtype=torch.long)
    ).sum().backward()
    assert module.head.weight.grad is not None


def test_it_is_refused_without_a_head():
    module = classifier()
    del module.head
    with pytest.raises(ValueError, match=r"^kind: head needs a model with a head, .* has none$"):
        installed(HeadConfig(), module=module)


def test_it_is_refused_where_texts_are_written():
    found = HeadConfig().find_problems(num_clients=3, task="generation")
    assert [path for path, _ in found] == [("kind",)]
