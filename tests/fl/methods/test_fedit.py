"""Federated averaging on LoRA."""

import torch

from fl.methods.fedit.config import FeditConfig
from tests.fl.methods.updates import (
    contribution,
    installed,
    lora_products,
    numbers_on_roberta_base,
    products_before_and_after,
)


def payload_numbers(shape, version):
    d, classes, rank = shape.hidden, shape.num_classes, 8
    numbers = 4 * shape.layers * d * rank + d * classes + classes
    return numbers, numbers


def test_numbers_on_roberta_base():
    assert numbers_on_roberta_base(FeditConfig(rank=8)) == 294_912


def test_the_mean_of_factors_misses_the_mean_of_updates_by_their_covariance():
    method, _ = installed(FeditConfig(rank=4))
    state, counts = method.initial_state(), (1, 3, 2)
    mean, product, after = products_before_and_after(method, state, version=0, num_samples=counts)
    made = [
        contribution(method, state, client_id=client_id, num_samples=count, seed=client_id)
        for client_id, count in enumerate(counts)
    ]
    for name in mean:
        a_name, b_name = f"{name}.lora_A", f"{name}.lora_B"
        covariance = sum(
            item.weight
            / sum(counts)
            * (item.payload.tensors[b_name].double() - after.tensors[b_name].double())
            @ (item.payload.tensors[a_name].double() - after.tensors[a_name].double())
            for item in made
        )
        torch.testing.assert_close(mean[name] - product[name], covariance, rtol=1e-4, atol=1e-5)
        assert covariance.norm() > 0.1 * mean[name].norm()


def test_one_client_is_averaged_exactly():
    method, _ = installed(FeditConfig(rank=4))
    state = method.initial_state()
    made = contribution(method, state, client_id=0, num_samples=5, seed=1)
    after = method.aggregate(state, [made])
    before = lora_products(made.payload.tensors)
    for name, product in lora_products(after.tensors).items():
        assert torch.equal(product, before[name])
