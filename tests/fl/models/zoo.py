"""Tiny random models of many architectures, each with a tokenizer, in folders."""

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

WORDS = [
    "return",
    "plot",
    "find",
    "the",
    "sum",
    "of",
    "all",
    "elements",
    "along",
    "an",
    "axis",
    "spectrum",
    "signal",
    "over",
    "time",
    "shortest",
    "path",
    "between",
    "two",
    "nodes",
    "graph",
    "matrix",
    "vector",
    "solve",
    "linear",
    "system",
    "draw",
    "line",
    "histogram",
    "random",
    "number",
    "array",
    "file",
    "read",
    "write",
    "sort",
    "list",
    "string",
]
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[BOS]", "[EOS]", "[MASK]"]
VOCABULARY_SIZE = 270
NUM_POSITIONS = 40

BERT_LIKE = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": NUM_POSITIONS,
}
LLAMA_LIKE = {**BERT_LIKE, "num_key_value_heads": 2}
GPT_LIKE = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": NUM_POSITIONS}
DEBERTA = {"relative_attention": True, "pos_att_type": ["p2c", "c2p"], "max_relative_positions": -1}
ENCODERS = {
    "bert": BERT_LIKE,
    "roberta": BERT_LIKE,
    "xlm-roberta": BERT_LIKE,
    "camembert": BERT_LIKE,
    "electra": {**BERT_LIKE, "embedding_size": 16},
    "albert": {**BERT_LIKE, "embedding_size": 16},
    "distilbert": {
        "dim": 32,
        "hidden_dim": 64,
        "n_layers": 2,
        "n_heads": 4,
        "max_position_embeddings": NUM_POSITIONS,
    },
    "deberta": {**BERT_LIKE, **DEBERTA, "position_biased_input": False},
    "deberta-v2": {
        **BERT_LIKE,
        **DEBERTA,
        "position_biased_input": False,
        "share_att_key": True,
        "position_buckets": 8,
        "norm_rel_ebd": "layer_norm",
    },
    "mpnet": BERT_LIKE,
    "modernbert": {**BERT_LIKE, "global_attn_every_n_layers": 2, "local_attention": 8},
    "ernie": BERT_LIKE,
    "esm": {**BERT_LIKE, "position_embedding_type": "rotary"},
    "nomic_bert": BERT_LIKE,
}
DECODERS = {
    "gpt2": GPT_LIKE,
    "gpt_neo": {
        "hidden_size": 32,
        "num_layers": 2,
        "num_heads": 4,
        "attention_types": [[["global", "local"], 1]],
        "max_position_embeddings": NUM_POSITIONS,
        "window_size": 8,
    },
    "gpt_neox": BERT_LIKE,
    "gptj": {**GPT_LIKE, "rotary_dim": 4},
    "opt": {
        "hidden_size": 32,
        "ffn_dim": 64,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "word_embed_proj_dim": 16,
        "max_position_embeddings": NUM_POSITIONS,
        "do_layer_norm_before": False,
    },
    "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4},
    "falcon": {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "multi_query": True,
        "max_position_embeddings": NUM_POSITIONS,
    },
    "mpt": {"d_model": 32, "n_heads": 4, "n_layers": 2, "max_seq_len": NUM_POSITIONS},
    "llama": LLAMA_LIKE,
    "mistral": {**LLAMA_LIKE, "sliding_window": 8},
    "qwen2": LLAMA_LIKE,
    "qwen3": {**LLAMA_LIKE, "head_dim": 8},
    "gemma": {**LLAMA_LIKE, "head_dim": 8},
    "gemma2": {**LLAMA_LIKE, "head_dim": 8, "final_logit_softcapping": 0.5, "sliding_window": 8},
    "phi": BERT_LIKE,
    "phi3": LLAMA_LIKE,
    "granite": {**LLAMA_LIKE, "logits_scaling": 8.0, "embedding_multiplier": 12.0},
    "cohere": {**LLAMA_LIKE, "logit_scale": 0.0625},
    "olmo": LLAMA_LIKE,
    "olmo2": LLAMA_LIKE,
    "stablelm": LLAMA_LIKE,
    "smollm3": LLAMA_LIKE,
    "starcoder2": LLAMA_LIKE,
    "mixtral": {**LLAMA_LIKE, "num_local_experts": 4, "num_experts_per_tok": 2},
    "mamba": {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 4},
}
TYPES = {**ENCODERS, **DECODERS}


def tokenizer(*, is_decoder=False):
    """For encoders of whole words, [CLS] and [SEP] around a text; for decoders of bytes."""
    if is_decoder:
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
        vocabulary = {piece: index for index, piece in enumerate([*SPECIAL, *alphabet])}
        backend = Tokenizer(models.BPE(vocabulary, []))
        backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        backend.decoder = decoders.ByteLevel()
        return transformers.PreTrainedTokenizerFast(
            tokenizer_object=backend, bos_token="[BOS]", eos_token="[EOS]"
        )
    vocabulary = {word: index for index, word in enumerate([*SPECIAL, *WORDS])}
    backend = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    backend.normalizer = normalizers.Lowercase()
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend,
        unk_token="[UNK]",
        pad_token="[PAD]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def save(folder, name, **settings):
    """Save a random model of an architecture, and a tokenizer, as transformers does."""
    ids = {"pad_token_id": 0, "bos_token_id": 4, "eos_token_id": 5}
    config = transformers.AutoConfig.for_model(
        name, **{"vocab_size": VOCABULARY_SIZE, **ids, **TYPES[name], **settings}
    )
    is_decoder = name in DECODERS
    auto = transformers.AutoModelForCausalLM if is_decoder else transformers.AutoModel
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(4)
        model = auto.from_config(config)
    model.save_pretrained(folder)
    tokenizer(is_decoder=is_decoder).save_pretrained(folder)
    return folder
