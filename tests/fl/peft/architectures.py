"""Two blocks of width 32 of every architecture, random weights, shared by the tests."""

import numpy as np
import torch
import transformers

from tests.fl.fakes import TextClassifier, init_head

SMALL = {"vocab_size": 60, "attn_implementation": "eager"}
BERT_LIKE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    **SMALL,
}
NO_SPECIAL = {"bos_token_id": None, "eos_token_id": None}
RELATIVE = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "position_buckets": 8}
ARCHITECTURES = {
    "bert": (transformers.BertModel, transformers.BertConfig(**BERT_LIKE)),
    "roberta": (transformers.RobertaModel, transformers.RobertaConfig(**BERT_LIKE)),
    "deberta-v2": (
        transformers.DebertaV2Model,
        transformers.DebertaV2Config(**RELATIVE, **BERT_LIKE),
    ),
    "distilbert": (
        transformers.DistilBertModel,
        transformers.DistilBertConfig(dim=32, hidden_dim=64, n_layers=2, n_heads=4, **SMALL),
    ),
    "mpnet": (transformers.MPNetModel, transformers.MPNetConfig(**BERT_LIKE)),
    "opt": (
        transformers.OPTModel,
        transformers.OPTConfig(word_embed_proj_dim=32, ffn_dim=64, **BERT_LIKE),
    ),
    "gpt2": (
        transformers.GPT2Model,
        transformers.GPT2Config(n_embd=32, n_layer=2, n_head=4, **NO_SPECIAL, **SMALL),
    ),
    "llama": (
        transformers.LlamaModel,
        transformers.LlamaConfig(num_key_value_heads=2, **BERT_LIKE),
    ),
}


def generator(seed=1):
    return torch.Generator().manual_seed(seed)


def tiny(name):
    build, config = ARCHITECTURES[name]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(4)
        encoder = build(config)
        module = TextClassifier(encoder, num_classes=3, hidden_size=32, pooling="mean").eval()
    init_head(module, np.random.default_rng(0))
    return module


def tokens():
    input_ids = torch.arange(1, 21).reshape(2, 10)
    mask = torch.ones_like(input_ids)
    mask[1, 6:] = 0
    return input_ids, mask


def logits(module):
    with torch.inference_mode():
        return module(*tokens())


def gradients(module, names):
    """Gradients of a sum of squares; the names are all that may have one."""
    module.zero_grad()
    module(*tokens()).square().sum().backward()
    found = {
        name: parameter.grad
        for name, parameter in module.named_parameters()
        if parameter.grad is not None
    }
    assert found.keys() == set(names)
    return found


def sizes(module, names):
    parameters = dict(module.named_parameters())
    return sum(parameters[name].numel() for name in names)
