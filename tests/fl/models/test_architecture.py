"""Projections of transformer blocks, found in the modules of many architectures."""

import numpy as np
import pytest
import torch
import transformers
from peft import LoraConfig, inject_adapter_in_model
from torch import nn

from fl.models.architecture import attention_targets, layer_shape, transformer_blocks
from fl.models.backbone import load_backbone
from fl.models.config import ModelConfig
from fl.peft.lora import add_lora
from fl.problems import ModelError
from tests.fl.models import zoo

ENDS = {
    "bert": ("query", "value", "attention.output.dense", "output.dense"),
    "electra": ("query", "value", "attention.output.dense", "output.dense"),
    "albert": ("query", "value", "attention.dense", "ffn_output"),
    "distilbert": ("q_lin", "v_lin", "attention.out_lin", "ffn.lin2"),
    "deberta": ("in_proj", "in_proj", "attention.output.dense", "output.dense"),
    "deberta-v2": ("query_proj", "value_proj", "attention.output.dense", "output.dense"),
    "mpnet": ("attn.q", "attn.v", "attn.o", "output.dense"),
    "modernbert": ("attn.Wqkv", "attn.Wqkv", "attn.Wo", "mlp.Wo"),
    "gpt2": ("attn.c_attn", "attn.c_attn", "attn.c_proj", "mlp.c_proj"),
    "gpt_neo": ("attention.q_proj", "attention.v_proj", "attention.out_proj", "mlp.c_proj"),
    "gpt_neox": (
        "query_key_value",
        "query_key_value",
        "attention.dense",
        "mlp.dense_4h_to_h",
    ),
    "opt": ("self_attn.q_proj", "self_attn.v_proj", "self_attn.out_proj", "fc2"),
    "llama": ("self_attn.q_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.down_proj"),
    "phi": ("self_attn.q_proj", "self_attn.v_proj", "self_attn.dense", "mlp.fc2"),
    "phi3": ("self_attn.qkv_proj", "self_attn.qkv_proj", "self_attn.o_proj", "mlp.down_proj"),
}
"""Ends of the names of query, value, attention output and feed-forward output, read by hand."""


def build(name):
    settings = {"vocab_size": zoo.VOCABULARY_SIZE, "pad_token_id": 0, **zoo.TYPES[name]}
    with torch.random.fork_rng(devices=[]):
        return transformers.AutoModel.from_config(
            transformers.AutoConfig.for_model(name, **settings)
        )


@pytest.mark.parametrize("name", ENDS)
def test_projections_of_every_block(name):
    encoder = build(name)
    blocks = transformer_blocks(encoder)
    assert len(blocks) == (1 if name == "albert" else 2)  # ALBERT uses one block twice
    for block in blocks:
        found = (block.query, block.value, block.attention_output, block.feed_forward_output)
        assert all(full.endswith(f".{end}") for full, end in zip(found, ENDS[name], strict=True)), (
            found
        )
        for full in (block.attention_output, block.feed_forward_output):
            assert layer_shape(encoder.get_submodule(full))[0] == 32
    targets = attention_targets(encoder)
    for end, places in (
        (targets.query, [block.query for block in blocks]),
        (targets.value, [block.value for block in blocks]),
        (targets.output, [block.attention_output for block in blocks]),
    ):
        named = [full for full, _ in encoder.named_modules() if f".{full}".endswith(f".{end}")]
        assert named == places


def test_a_layer_that_a_method_wrapped_counts_once_and_by_its_wrapper():
    encoder = build("bert")
    before = transformer_blocks(encoder)
    add_lora(
        encoder,
        targets=["attention.output.dense", "query"],
        rank=2,
        alpha=2,
        generator=torch.Generator().manual_seed(0),
    )
    assert transformer_blocks(encoder) == before


def test_gpt2_stores_its_weights_transposed():
    encoder = build("gpt2")
    block = transformer_blocks(encoder)[0]
    assert block.query == block.key == block.value
    assert layer_shape(encoder.get_submodule(block.query)) == (3 * 32, 32)


@pytest.mark.parametrize("kind", ["bert_folder", "llama_folder"])
def test_peft_injects_where_the_targets_say(kind, request):
    config = ModelConfig(name=str(request.getfixturevalue(kind)), max_tokens=24)
    backbone = load_backbone(config, num_classes=3, rng=np.random.default_rng(0))
    ids = torch.full((2, 8), 9)
    before = backbone.module(ids, torch.ones_like(ids))
    targets = attention_targets(backbone.module.encoder)
    num_blocks = len(transformer_blocks(backbone.module.encoder))
    lora = LoraConfig(r=4, target_modules=[targets.query, targets.value])
    injected = inject_adapter_in_model(lora, backbone.module)
    names = [name for name, _ in injected.named_parameters() if "lora_A" in name]
    assert len(names) == 2 * num_blocks
    # B starts at 0: the adapted model is the model.
    torch.testing.assert_close(injected(ids, torch.ones_like(ids)), before)


def test_a_model_without_attention_is_refused():
    with pytest.raises(ModelError, match=r"^model\.name: no attention is found in a MambaModel: "):
        transformer_blocks(build("mamba"))
    with pytest.raises(ModelError, match="no attention is found in a Linear"):
        transformer_blocks(nn.Linear(2, 2))


def test_experts_that_are_no_linear_layers_end_no_feed_forward():
    assert [block.feed_forward_output for block in transformer_blocks(build("mixtral"))] == [
        None,
        None,
    ]
