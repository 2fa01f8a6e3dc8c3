import numpy as np
import pytest
import torch
import transformers
from peft import LoraConfig, inject_adapter_in_model

from fl.models.architecture import (
    ATTENTION_TARGETS,
    attention_targets,
    transformer_blocks,
)
from fl.models.backbone import load_backbone
from fl.models.config import ModelConfig
from fl.problems import ModelError

SMALL_CONFIGS = {
    "bert": {"hidden_size": 16, "intermediate_size": 32},
    "roberta": {"hidden_size": 16, "intermediate_size": 32},
    "electra": {"hidden_size": 16, "intermediate_size": 32, "embedding_size": 16},
    "distilbert": {"dim": 16, "hidden_dim": 32, "n_layers": 2, "n_heads": 2},
    "mpnet": {"hidden_size": 16, "intermediate_size": 32},
    "llama": {"hidden_size": 16, "intermediate_size": 32},
    "qwen2": {"hidden_size": 16, "intermediate_size": 32, "num_key_value_heads": 2},
    "deberta-v2": {"hidden_size": 16, "intermediate_size": 32},
    "opt": {"hidden_size": 16, "ffn_dim": 32, "word_embed_proj_dim": 16},
}


def build(model_type):
    keys = {"num_hidden_layers": 2, "num_attention_heads": 2, **SMALL_CONFIGS[model_type]}
    config = transformers.AutoConfig.for_model(model_type, vocab_size=50, **keys)
    return transformers.AutoModel.from_config(config)


@pytest.mark.parametrize("model_type", SMALL_CONFIGS)
def test_targets_name_one_linear_layer_a_block(model_type):
    encoder = build(model_type)
    targets = attention_targets(encoder)
    blocks = transformer_blocks(encoder)
    assert len(blocks) == 2
    for name in (targets.query, targets.key, targets.value, targets.output):
        for block in blocks:
            found = [
                part for path, part in block.named_modules() if f".{path}".endswith(f".{name}")
            ]
            assert [type(part) for part in found] == [torch.nn.Linear]


def test_gpt2_has_one_layer_for_query_key_and_value():
    config = transformers.GPT2Config(n_embd=16, n_layer=2, n_head=2, vocab_size=50)
    encoder = transformers.AutoModel.from_config(config)
    targets = attention_targets(encoder)
    assert targets.query == targets.key == targets.value
    for block in transformer_blocks(encoder):
        assert block.attn.c_attn is block.get_submodule(f"attn.{targets.query}")
        assert block.attn.c_attn.nf == 3 * 16
        assert block.attn.c_proj is block.get_submodule(targets.output)


@pytest.mark.parametrize("kind", ["bert_folder", "llama_folder"])
def test_peft_injects_where_the_targets_say(kind, request):
    config = ModelConfig(name=str(request.getfixturevalue(kind)), max_tokens=24)
    backbone = load_backbone(config, num_classes=3, rng=np.random.default_rng(0))
    ids = torch.full((2, 8), 9)
    before = backbone.module(ids, torch.ones_like(ids))
    targets = attention_targets(backbone.module.encoder)
    lora = LoraConfig(r=4, target_modules=[targets.query, targets.value])
    injected = inject_adapter_in_model(lora, backbone.module)
    names = [name for name, _ in injected.named_parameters() if "lora_A" in name]
    assert len(names) == 2 * len(transformer_blocks(backbone.module.encoder))
    # B starts at 0: the adapted model is the model.
    torch.testing.assert_close(injected(ids, torch.ones_like(ids)), before)


def test_unknown_architectures_are_refused():
    encoder = transformers.AutoModel.from_config(
        transformers.AutoConfig.for_model(
            "gpt_neox",
            hidden_size=16,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            vocab_size=50,
        )
    )
    assert "gpt_neox" not in ATTENTION_TARGETS
    with pytest.raises(ModelError, match=r"layers of 'gpt_neox' models .*; known: bert, "):
        attention_targets(encoder)
    with pytest.raises(ModelError, match="no list of layers found in a Linear"):
        transformer_blocks(torch.nn.Linear(2, 2))
