import numpy as np
import pytest
import torch

from fl.models.pretrain_decoder import build_decoder
from fl.models.pretrain_steps import draw_weights, learning_rate_at
from tests.fl.models.conftest import SMALL_DECODER


def test_learning_rate_rises_then_falls_to_zero():
    recipe = {"num_steps": 100, "learning_rate": 2.0, "warmup_fraction": 0.1}
    rates = [learning_rate_at(step, **recipe) for step in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert max(rates) == rates[9] == rates[10] == pytest.approx(2.0)
    assert rates[99] == pytest.approx(2.0 / 90)
    assert np.all(np.diff(rates[10:]) < 0)


def test_first_weights_follow_their_seed_alone():
    state = torch.get_rng_state()
    first, second, other = (
        build_decoder(SMALL_DECODER, seed=seed).state_dict() for seed in (1, 1, 2)
    )
    assert all(torch.equal(second[name], weight) for name, weight in first.items())
    name = "model.layers.0.mlp.up_proj.weight"
    assert not torch.equal(first[name], other[name])
    assert 0.015 < first[name].std() < 0.025
    assert torch.equal(first["model.norm.weight"], torch.ones(SMALL_DECODER.hidden_size))
    assert torch.equal(torch.get_rng_state(), state)


def test_drawing_anew_leaves_nothing_of_what_was():
    module = torch.nn.Sequential(torch.nn.Linear(8, 8), torch.nn.LayerNorm(8))
    with torch.no_grad():
        for weight in module.parameters():
            weight.fill_(9.0)
    draw_weights(module, seed=0)
    assert module[0].weight.abs().max() < 0.2
    assert torch.equal(module[1].weight, torch.ones(8))
    assert not torch.cat([module[0].bias, module[1].bias]).any()
