"""FedAP: shared adapters."""

import pytest

from fl.methods.fedadapter.config import FedAdapterConfig
from tests.fl.methods.updates import installed, numbers_on_roberta_base


def payload_numbers(shape, version):
    layers, d, classes, dim = shape.layers, shape.hidden, shape.num_classes, 16
    adapters, norms = 2 * layers * (2 * d * dim + d + dim), 2 * d * (2 * layers + 1)
    numbers = adapters + norms + d * classes + classes
    return numbers, numbers


@pytest.mark.parametrize(("dim", "numbers"), [(64, 2_379_264), (16, 608_640)])
def test_numbers_on_roberta_base(dim, numbers):
    plain = FedAdapterConfig(adapter_dim=dim, train_norms=False)
    assert numbers_on_roberta_base(plain) == numbers
    assert numbers_on_roberta_base(FedAdapterConfig(adapter_dim=dim)) == numbers + 38_400


def test_norms_stay_frozen_unless_asked_for():
    method, _ = installed(FedAdapterConfig(train_norms=False))
    assert not any("Norm" in name for name in method.initial)
    with_norms, _ = installed(FedAdapterConfig())
    norms = {name for name in with_norms.initial if "LayerNorm" in name}
    assert with_norms.initial.keys() - method.initial.keys() == norms
    assert len(norms) == 2 * (2 * 2 + 1)
