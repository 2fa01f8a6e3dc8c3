"""Means of products: exact, small on the way, and cut with a known loss."""

import numpy as np
import pytest
import torch

from fl.methods.product_mean import PRODUCT, compact, cut_products, mean_products, product_layers
from fl.payload import Payload


def factors(rank, *, seed, num_in=12, num_out=10):
    generator = torch.Generator().manual_seed(seed)
    return {
        "a.lora_A": torch.randn((rank, num_in), generator=generator),
        "a.lora_B": torch.randn((num_out, rank), generator=generator),
        "head.bias": torch.full((2,), float(seed)),
    }


def product(tensors):
    if "a" + PRODUCT in tensors:
        return tensors["a" + PRODUCT].double()
    return tensors["a.lora_B"].double() @ tensors["a.lora_A"].double()


def test_layers_are_those_with_both_factors_or_a_product():
    names = ["b.lora_A", "b.lora_B", "a.lora_BA", "c.lora_A", "d.lora_B", "head.weight"]
    assert product_layers(names) == ("a", "b")


def test_a_mean_of_means_is_the_mean_whatever_the_ranks_and_whatever_is_sent():
    """Site 0 holds ranks 1 and 2 (sent as factors), site 1 ranks 5 and 3 (sent as product)."""
    updates = [factors(rank, seed=rank) for rank in (1, 2, 5, 3)]
    weights = [1, 2, 4, 1]
    sites = [compact(mean_products(updates[at : at + 2], weights[at : at + 2])) for at in (0, 2)]
    assert [PRODUCT in "".join(site) for site in sites] == [False, True]
    mean = mean_products(sites, [3, 5])
    dense = sum(weight / 8 * product(each) for each, weight in zip(updates, weights, strict=True))
    torch.testing.assert_close(product(mean), dense, rtol=0, atol=2e-6)
    assert mean["head.bias"].tolist() == pytest.approx([(1 + 2 * 2 + 4 * 5 + 3) / 8] * 2)


@pytest.mark.parametrize(("num_in", "num_out"), [(12, 10), (10, 12), (10, 10)])
def test_products_of_any_shape_are_averaged(num_in, num_out):
    made = [factors(4, seed=seed, num_in=num_in, num_out=num_out) for seed in (0, 1)]
    sent = [compact(mean_products([each] * 3, [1, 1, 1])) for each in made]
    assert all("a" + PRODUCT in each for each in sent)
    mean = mean_products(sent, [1, 3])
    wanted = 0.25 * product(made[0]) + 0.75 * product(made[1])
    torch.testing.assert_close(product(mean), wanted, rtol=0, atol=5e-6)


@pytest.mark.parametrize(("num_clients", "is_product"), [(2, False), (3, True)])
def test_what_is_sent_is_whichever_has_fewer_numbers(num_clients, is_product):
    """Rank 2 each, 12 x 10: factors of rank 4 have 88 numbers, of rank 6 132, the product 120."""
    mean = mean_products([factors(2, seed=seed) for seed in range(num_clients)], [1] * num_clients)
    sent = compact(mean)
    assert ("a" + PRODUCT in sent) == is_product
    assert all(value.dtype == torch.float32 for value in sent.values())
    assert Payload(sent).tensor_bytes == 4 * ((120 if is_product else 88) + 2)
    on_meta = {name: value.to("meta") for name, value in factors(2, seed=0).items()}
    of_shapes = compact(mean_products([on_meta] * num_clients, [1] * num_clients))
    assert Payload(of_shapes).size_bytes == Payload(sent).size_bytes


def test_a_cut_loses_the_singular_values_that_it_leaves_out():
    mean = mean_products([factors(3, seed=seed) for seed in range(3)], [1, 2, 3])
    cut = cut_products(mean, spare=factors(3, seed=9))
    assert cut["a.lora_A"].shape == (3, 12)
    values = np.linalg.svd(product(mean).numpy(), compute_uv=False)
    lost = float((product(mean) - product(cut)).square().sum())
    assert lost == pytest.approx(float((values[3:] ** 2).sum()), rel=1e-5)
    assert lost > 0.01 * float((values**2).sum())


def test_a_cut_of_one_clients_product_loses_nothing():
    mean = mean_products([factors(3, seed=1)], [1])
    cut = cut_products(mean, spare=factors(3, seed=9))
    torch.testing.assert_close(product(cut), product(mean), rtol=0, atol=5e-6)
