"""Mixtures of LoRA experts through peft's own functions."""

import peft
import pytest
import torch
from safetensors.torch import load_file

from fl.methods import install_method
from fl.methods.fedamole.config import FedamoleConfig
from fl.peft import registration
from fl.peft.tuners.lora_experts import LoraExpertsConfig, LoraExpertsModel
from tests.fl.peft.architectures import generator, tiny
from tests.fl.peft.test_registration import CAUSAL, CLASSIFIERS, base, logits, tokens, train_a_step

SETTINGS = {"num_experts": 3, "rank": 4}


def numbers(name, counts=(3, 3, 3, 3)):
    outs = {"gpt2": [96], "llama": [32, 16]}.get(name, [32, 32])
    layers = [out for _ in range(2) for out in outs]
    return sum(
        (n + 1) * 4 * (32 + out) + 4 * 32
        for n, out in zip(counts[: len(layers)], layers, strict=True)
    )


@pytest.mark.parametrize("name", [*CAUSAL, *CLASSIFIERS])
def test_round_trip(name, tmp_path):
    assert registration.PEFT_TYPE_TO_TUNER_MAPPING["LORA_EXPERTS"] is LoraExpertsModel
    task = "CAUSAL_LM" if name in CAUSAL else "SEQ_CLS"
    plain = logits(base(name))
    model = peft.get_peft_model(base(name), LoraExpertsConfig(task_type=task, **SETTINGS)).eval()
    head = sum(
        parameter.numel() for key, parameter in model.named_parameters() if "modules_to_save" in key
    )
    trainable, _ = model.get_nb_trainable_parameters()
    assert trainable - head == numbers(name)
    torch.testing.assert_close(logits(model), plain, rtol=1e-6, atol=1e-7)
    for _ in range(2):  # with B = 0 the first step leaves A where it is
        train_a_step(model)
    trained = logits(model)
    assert not torch.allclose(trained, plain)

    model.save_pretrained(tmp_path)
    saved = load_file(tmp_path / "adapter_model.safetensors")
    assert sum(tensor.numel() for tensor in saved.values()) == trainable
    assert not any(".default." in key for key in saved)
    loaded = peft.PeftModel.from_pretrained(base(name), tmp_path).eval()
    assert torch.equal(logits(loaded), trained)
    with loaded.disable_adapter():
        assert torch.equal(logits(loaded), plain)


def test_a_clients_model_leaves_the_simulator(tmp_path):
    """As many experts a layer as a client holds, values and logits those of the simulation."""
    module = tiny("bert")
    method = install_method(FedamoleConfig(rank=4), module, generator=generator(), num_clients=10)
    for number, (name, value) in enumerate(method.initial.items()):
        if value.is_floating_point() and not name.startswith("head."):
            value.normal_(std=0.1, generator=generator(number))
    counts = {
        name.removeprefix("encoder."): layer.experts.domain_A.shape[0]
        for name, layer in method.layers.items()
    }
    assert len(set(counts.values())) > 1
    config = LoraExpertsConfig(rank=4, num_experts_pattern=counts)
    model = peft.get_peft_model(tiny("bert").encoder, config).eval()
    for name, layer in method.layers.items():
        there = model.base_model.model.get_submodule(name.removeprefix("encoder."))
        there.added["default"].load_state_dict(layer.experts.state_dict())
    model.save_pretrained(tmp_path)
    loaded = peft.PeftModel.from_pretrained(tiny("bert").encoder, tmp_path).eval()
    input_ids, mask = tokens()
    with torch.inference_mode():
        found = loaded(input_ids=input_ids, attention_mask=mask).last_hidden_state
        wanted = module.encoder(input_ids=input_ids, attention_mask=mask).last_hidden_state
        bare = tiny("bert").encoder(input_ids=input_ids, attention_mask=mask).last_hidden_state
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-6)
    assert not torch.allclose(found, bare, atol=1e-3)


def test_balance_is_summed_over_layers():
    model = peft.get_peft_model(base("llama"), LoraExpertsConfig(num_experts=1, rank=4))
    with pytest.raises(RuntimeError, match=r"^balance_loss: a forward pass that records"):
        model.base_model.balance_loss()
    input_ids, mask = tokens()
    model(input_ids=input_ids, attention_mask=mask)
    assert model.base_model.balance_loss().item() == pytest.approx(4.0)


def test_merging_and_bad_settings_are_refused():
    model = peft.get_peft_model(base("bert"), LoraExpertsConfig(**SETTINGS))
    with pytest.raises(ValueError, match="adapters are not linear and cannot be merged"):
        model.merge_and_unload()
    with pytest.raises(ValueError, match=r"^num_experts: must be >= 1, got 0$"):
        LoraExpertsConfig(num_experts=0)
    with pytest.raises(ValueError, match=r"^num_experts_pattern.query: must be >= 1, got 0$"):
        LoraExpertsConfig(num_experts_pattern={"query": 0})
    with pytest.raises(ValueError, match=r"^rank: must be <= 16, the smaller side of the layer"):
        peft.get_peft_model(base("llama"), LoraExpertsConfig(rank=17))
    with pytest.raises(ValueError, match=r"^target_modules: must name linear layers, got a Emb"):
        peft.get_peft_model(base("bert"), LoraExpertsConfig(target_modules=["word_embeddings"]))
