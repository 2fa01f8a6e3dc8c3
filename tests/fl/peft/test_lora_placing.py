"""Where low-rank adaptations go, how they scale, and what they drop."""

import math

import peft
import pytest
import torch

from fl.global_generators import seeded_generators
from fl.methods import METHODS, install_method
from fl.methods.fedit.config import FeditConfig
from fl.methods.flora.config import FloraConfig
from fl.models.lora_settings import LORA_SETTINGS, LoraSettings
from fl.peft.lora import LoraLinear, lora_targets, set_lora_settings
from fl.peft.lora_experts import LoraExperts
from tests.fl.fakes import SMALLEST, classifier, language_model, module_for


def installed(config, module, **settings):
    generator = torch.Generator().manual_seed(3)
    lora = LoraSettings(**settings)
    return install_method(config, module, generator=generator, num_clients=4, lora=lora)


def adapted(method):
    return {name.removesuffix(".lora_A") for name in method.initial if name.endswith(".lora_A")}


@pytest.mark.parametrize("make", [classifier, language_model])
def test_all_linear_is_what_peft_takes_it_for(make):
    ours = adapted(installed(FeditConfig(), make(), targets="all-linear"))
    module = make()
    config = peft.LoraConfig(target_modules="all-linear", r=4)
    theirs = {
        name.removeprefix("base_model.model.")
        for name, layer in peft.LoraModel(module.encoder, config, "a").named_modules()
        if isinstance(layer, peft.tuners.lora.LoraLayer)
    }
    assert ours == {f"encoder.{name.removeprefix('model.')}" for name in theirs}
    assert len(ours) > len(adapted(installed(FeditConfig(), make())))


def test_layers_are_named_by_the_ends_of_their_names():
    found = adapted(
        installed(FeditConfig(), classifier(), targets=("key", "attention.output.dense"))
    )
    assert found == {
        f"encoder.encoder.layer.{block}.attention.{name}"
        for block in range(2)
        for name in ("self.key", "output.dense")
    }


def test_an_unknown_layer_is_told_with_the_nearest():
    module = classifier()
    set_lora_settings(module, LoraSettings(targets=("value", "qury")))
    with pytest.raises(ValueError, match=r"lora\.targets: .* ends in 'qury'; nearest: que"):
        lora_targets(module)
    set_lora_settings(module, LoraSettings(targets=("head",)))
    with pytest.raises(ValueError, match=r"ends in 'head'; there are dense, key, query, value$"):
        lora_targets(module)


def test_rank_stabilised_scale_falls_with_the_root_of_the_rank():
    settings = LoraSettings(rank_stabilised=True)
    layer = LoraLinear(torch.nn.Linear(32, 32), rank=16, alpha=8.0, settings=settings)
    assert layer.scale == 2.0
    assert LoraLinear(torch.nn.Linear(32, 32), rank=16, alpha=8.0).scale == 0.5
    flora = installed(FloraConfig(rank=(4, 2), alpha=8.0), classifier(), rank_stabilised=True)
    assert flora.scale == 4.0
    module = classifier()
    experts = installed(SMALLEST["fedamole"], module, rank_stabilised=True)
    rank = experts.config.rank
    (one, *_) = experts.layers.values()
    assert one.experts._scale == pytest.approx(experts.config.alpha / math.sqrt(rank))


def test_dropout_is_before_the_factors_and_in_training_alone():
    layer = LoraLinear(
        torch.nn.Linear(64, 8), rank=4, alpha=4.0, settings=LoraSettings(dropout=0.5)
    ).eval()
    with torch.no_grad():
        layer.lora_A.normal_()
        layer.lora_B.normal_()
    hidden = torch.randn(3, 64)
    plain = layer.base_layer(hidden) + hidden @ layer.lora_A.T @ layer.lora_B.T
    torch.testing.assert_close(layer(hidden), plain)
    layer.training = True
    with seeded_generators(5):
        found = layer(hidden)
    with seeded_generators(5):
        low = torch.nn.functional.dropout(hidden, 0.5) @ layer.lora_A.T
    torch.testing.assert_close(found, layer.base_layer(hidden) + low @ layer.lora_B.T)
    assert not torch.allclose(found, plain)


def test_what_a_router_sees_is_not_dropped():
    experts = LoraExperts(
        in_features=64,
        out_features=8,
        num_experts=3,
        rank=4,
        alpha=4.0,
        top_k=1,
        settings=LoraSettings(dropout=0.9),
    )
    experts.reset(torch.Generator().manual_seed(0))
    with torch.no_grad():
        experts.shared_B.zero_()
        for index in range(3):
            experts.domain_B[index].fill_(float(index + 1))
    hidden = torch.randn(50, 64)
    token = hidden @ experts.projection.T
    logits = (hidden @ experts.domain_A.transpose(1, 2) * token).sum(dim=-1)
    chosen = logits.argmax(dim=0)
    experts.train()
    with seeded_generators(1):
        found = experts(hidden)[:, 0]
    with seeded_generators(1):
        low = torch.nn.functional.dropout(hidden, 0.9) @ experts.domain_A.transpose(1, 2)
    expected = (chosen + 1) * low.sum(dim=-1)[chosen, torch.arange(50)]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    "kind", [kind for kind in METHODS if "targets" in SMALLEST[kind].lora_settings]
)
def test_every_method_says_which_settings_act_on_it(kind):
    config = SMALLEST[kind]
    usual = installed(config, module_for(kind))
    wider = installed(config, module_for(kind), targets="all-linear")
    assert len(wider.initial) > len(usual.initial)
    assert set(config.lora_settings) <= LORA_SETTINGS


@pytest.mark.parametrize(
    "kind", [kind for kind in METHODS if "targets" not in SMALLEST[kind].lora_settings]
)
def test_others_are_installed_as_without(kind):
    usual = installed(SMALLEST[kind], module_for(kind))
    other = installed(SMALLEST[kind], module_for(kind), targets="all-linear", dropout=0.5)
    assert other.initial.keys() == usual.initial.keys()
