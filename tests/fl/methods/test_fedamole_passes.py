"""What is noted during a pass of the encoder, on layers called by hand."""

import pytest
import torch
from torch import nn

from fl.methods.fedamole.passes import Mean, mean_inputs, watch_passes
from fl.peft.lora_experts import add_lora_experts


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.one = nn.Linear(2, 2)
        self.seen = None

    def forward(self, input_ids, *, attention_mask):
        self.seen = (self.one.experts.token_shape, self.one.experts.mask)
        if attention_mask is None:
            raise RuntimeError
        return self.one(nn.functional.one_hot(input_ids, 2).float())


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = Encoder()


@pytest.fixture
def model():
    module = Model()
    layers = add_lora_experts(
        module, targets=["encoder.one"], num_experts=2, rank=1, alpha=1.0, top_k=1,
        generator=torch.Generator().manual_seed(0),
    )  # fmt: skip
    return module, layers


IDS = torch.tensor([[0, 1, 1, 1], [1, 1, 0, 0]])
MASK = torch.tensor([[1, 1, 0, 0], [1, 0, 0, 0]])


def test_means_are_over_vectors_of_mask_1():
    mean = Mean()
    mean.add(torch.tensor([[1.0, 2.0], [5.0, 6.0]]), torch.tensor([1, 0]))
    mean.add(torch.tensor([[4.0, 8.0]]), None)
    assert mean.value.tolist() == [2.5, 5.0]
    assert mean.value.dtype == torch.float64


@pytest.mark.parametrize(("mask_padding", "second"), [(True, 2 / 3), (False, 5 / 8)])
def test_inputs_of_a_layer_are_averaged_over_tokens(model, mask_padding, second):
    """Without padding tokens 0, 1 and 1: two of three; with it five of eight."""
    module, layers = model
    watch_passes(module, layers, mask_padding=mask_padding)
    with mean_inputs(layers) as means, torch.no_grad():
        module.encoder(IDS, attention_mask=MASK)
    assert means["encoder.one"].value.tolist() == pytest.approx([1 - second, second])


def test_the_mask_lasts_as_long_as_the_pass_even_one_that_fails(model):
    module, layers = model
    watch_passes(module, layers, mask_padding=True)
    experts = layers["encoder.one"].experts
    module.encoder(IDS, attention_mask=MASK)
    shape, mask = module.encoder.seen
    assert shape == (2, 4)
    assert torch.equal(mask, MASK)
    assert (experts.token_shape, experts.mask) == (None, None)
    assert experts.balance is not None
    with pytest.raises(RuntimeError):
        module.encoder(IDS, attention_mask=None)
    assert (experts.token_shape, experts.mask, experts.balance) == (None, None, None)
