"""A square matrix between fixed factors: against dense arithmetic."""

import pytest
import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

from fl.peft.lora_square import LoraSquare, add_lora_square, singular_factors
from tests.fl.fakes import classifier


def layer(kind, *, num_in=12, num_out=7):
    made = nn.Linear(num_in, num_out) if kind == "linear" else Conv1D(num_out, num_in)
    generator = torch.Generator().manual_seed(2)
    made.weight.data = torch.randn(made.weight.shape, generator=generator)
    return made


@pytest.mark.parametrize("kind", ["linear", "conv1d"])
def test_factors_of_full_rank_are_the_weight(kind):
    base = layer(kind)
    rows, columns = singular_factors(base, rank=7)
    dense = base.weight if kind == "linear" else base.weight.T
    torch.testing.assert_close(columns @ rows, dense, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(columns.T @ columns, torch.eye(7), rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["linear", "conv1d"])
def test_the_layer_adds_the_scaled_product(kind):
    base = layer(kind)
    square = LoraSquare(base, rank=3, alpha=6.0)
    hidden = torch.randn((2, 5, 12), generator=torch.Generator().manual_seed(3))
    assert torch.equal(square(hidden), base(hidden))
    square.lora_R.data = torch.randn((3, 3), generator=torch.Generator().manual_seed(4))
    dense = 2.0 * square.lora_B @ square.lora_R @ square.lora_A
    torch.testing.assert_close(
        square(hidden), base(hidden) + hidden @ dense.T, rtol=1e-5, atol=1e-5
    )
    each = torch.stack([square.lora_R.data, torch.eye(3)])
    stacked = square.forward_by_client(hidden, lora_R=each)
    for client, value in enumerate(each):
        square.lora_R.data = value
        torch.testing.assert_close(stacked[client], square(hidden[client]), rtol=1e-5, atol=1e-5)


def test_a_rank_that_no_weight_has_is_refused():
    with pytest.raises(ValueError, match="rank: must be <= 32"):
        add_lora_square(classifier(), targets=["query"], rank=33, alpha=1.0)
