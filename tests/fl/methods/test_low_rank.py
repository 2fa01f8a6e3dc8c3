"""Factors of low rank, against dense arithmetic."""

import numpy as np
import pytest
import torch

from fl.methods.low_rank import add_product, at_rank, best_factors, product_norm, stack_factors


def factors(rank, *, seed=0, layers=("a", "b"), num_in=12, num_out=10, dtype=torch.float32):
    generator = torch.Generator().manual_seed(seed)
    made = {}
    for layer in layers:
        made[f"{layer}.lora_A"] = torch.randn((rank, num_in), generator=generator, dtype=dtype)
        made[f"{layer}.lora_B"] = torch.randn((num_out, rank), generator=generator, dtype=dtype)
    return made


def product(tensors, layer="a"):
    return tensors[f"{layer}.lora_B"].double() @ tensors[f"{layer}.lora_A"].double()


def test_padding_keeps_the_product_and_cutting_undoes_it():
    small = {**factors(3), "head.bias": torch.ones(4)}
    large = at_rank(small, rank=5)
    assert large["a.lora_A"].shape == (5, 12)
    assert large["a.lora_B"].shape == (10, 5)
    assert torch.equal(product(large), product(small))
    assert large["head.bias"] is small["head.bias"]
    back = at_rank(large, rank=3)
    assert all(torch.equal(back[name], small[name]) for name in small)
    assert at_rank(small, rank=3)["a.lora_A"] is small["a.lora_A"]


def test_norm_is_that_of_the_dense_products():
    tensors = factors(4)
    dense = torch.stack([product(tensors, layer) for layer in "ab"])
    assert product_norm(tensors) == pytest.approx(float(dense.norm()), rel=1e-12)
    zero = {name: torch.zeros_like(tensor) for name, tensor in tensors.items()}
    assert product_norm(zero) == 0.0


def test_stack_of_any_ranks_is_the_dense_mean():
    updates = [factors(rank, seed=rank) for rank in (1, 4, 2)]
    rows, columns = stack_factors(updates, [1, 2, 5], layer="b")
    assert rows.shape == (7, 12)
    mean = sum(
        weight / 8 * product(update, "b") for update, weight in zip(updates, [1, 2, 5], strict=True)
    )
    torch.testing.assert_close(columns @ rows, mean, rtol=1e-13, atol=1e-13)
    merged = add_product(torch.ones((10, 12)), rows=rows, columns=columns, scale=0.5)
    torch.testing.assert_close(merged, (1 + 0.5 * mean).float(), rtol=1e-7, atol=0)


@pytest.mark.parametrize("rank", [1, 3, 7, 10])
def test_best_factors_reach_the_bound_of_eckart_and_young(rank):
    update = factors(7, dtype=torch.float64)
    dense = product(update).numpy()
    spare = torch.randn((rank, 12), dtype=torch.float64)
    rows, columns = best_factors(
        update["a.lora_A"], update["a.lora_B"], rank=rank, spare_rows=spare
    )
    left, values, right = np.linalg.svd(dense)
    best = (left[:, :rank] * values[:rank]) @ right[:rank]
    np.testing.assert_allclose((columns @ rows).numpy(), best, rtol=0, atol=1e-12)
    error = np.linalg.norm(dense - (columns @ rows).numpy())
    assert error == pytest.approx(np.sqrt((values[rank:] ** 2).sum()), rel=1e-9, abs=1e-12)
    kept = min(rank, 7)
    gram = (rows[:kept] @ rows[:kept].T).numpy()
    np.testing.assert_allclose(gram, np.eye(kept), rtol=0, atol=1e-10)
    lengths = np.linalg.norm(columns[:, :kept].numpy(), axis=0)
    np.testing.assert_allclose(lengths, values[:kept], rtol=1e-10)


def test_first_ranks_of_the_best_factors_are_the_best_of_that_rank():
    update, spare = factors(8, seed=4), torch.zeros((6, 12))
    args = update["a.lora_A"], update["a.lora_B"]
    rows, columns = best_factors(*args, rank=6, spare_rows=spare)
    fewer_rows, fewer_columns = best_factors(*args, rank=2, spare_rows=spare[:2])
    assert torch.equal(rows[:2], fewer_rows)
    assert torch.equal(columns[:, :2], fewer_columns)


def test_signs_do_not_depend_on_those_of_the_factors():
    update = factors(5, seed=2)
    spare = torch.zeros((5, 12))
    rows, columns = best_factors(update["a.lora_A"], update["a.lora_B"], rank=5, spare_rows=spare)
    flipped = best_factors(-update["a.lora_A"], -update["a.lora_B"], rank=5, spare_rows=spare)
    torch.testing.assert_close(flipped[0], rows, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(flipped[1], columns, rtol=1e-6, atol=1e-6)
    assert (columns.gather(0, columns.abs().argmax(dim=0, keepdim=True)) > 0).all()


def test_ranks_without_a_singular_value_get_their_spare_row():
    update = factors(2)
    spare = torch.randn((4, 12))
    rows, columns = best_factors(update["a.lora_A"], update["a.lora_B"], rank=4, spare_rows=spare)
    assert torch.equal(rows[2:], spare[2:])
    assert not columns[:, 2:].any()
    torch.testing.assert_close((columns @ rows).double(), product(update), rtol=1e-5, atol=1e-5)
    twice = torch.cat([update["a.lora_A"]] * 2), torch.cat([update["a.lora_B"]] * 2, dim=1)
    rows, columns = best_factors(*twice, rank=4, spare_rows=spare)
    assert torch.equal(rows[2:], spare[2:])
    assert not columns[:, 2:].any()
    nothing = best_factors(update["a.lora_A"], torch.zeros((10, 2)), rank=4, spare_rows=spare)
    assert torch.equal(nothing[0], spare)
    assert not nothing[1].any()


def test_factors_of_a_product_worked_out_by_hand():
    # B A = [[0, 3], [-4, 0]]: singular value 4 of (0, -1) by (1, 0), then 3 of (1, 0) by (0, 1);
    # the sign that makes the largest entry of a column of U positive turns the first pair around.
    dense = torch.tensor([[0.0, 3.0], [-4.0, 0.0]])
    rows, columns = best_factors(torch.eye(2), dense, rank=2, spare_rows=torch.zeros((2, 2)))
    torch.testing.assert_close(rows, torch.tensor([[-1.0, 0.0], [0.0, 1.0]]))
    torch.testing.assert_close(columns, torch.tensor([[0.0, 3.0], [4.0, 0.0]]))
    one_row, one_column = best_factors(torch.eye(2), dense, rank=1, spare_rows=torch.zeros((1, 2)))
    torch.testing.assert_close(one_row, rows[:1])
    torch.testing.assert_close(one_column, columns[:, :1])
