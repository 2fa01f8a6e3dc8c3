"""Names of the parts of a transformer that adapters hook into, per architecture."""

from dataclasses import dataclass

import transformers
from torch import nn

from fl.problems import ModelError


@dataclass(frozen=True, kw_only=True)
class AttentionTargets:
    """Last parts of the module names of one attention layer, as peft's ``target_modules`` reads."""

    query: str
    key: str
    value: str
    output: str


_BERT = AttentionTargets(query="query", key="key", value="value", output="attention.output.dense")
_LLAMA = AttentionTargets(query="q_proj", key="k_proj", value="v_proj", output="o_proj")
_OPT = AttentionTargets(query="q_proj", key="k_proj", value="v_proj", output="out_proj")
_DISTILBERT = AttentionTargets(query="q_lin", key="k_lin", value="v_lin", output="out_lin")
_DEBERTA = AttentionTargets(
    query="query_proj", key="key_proj", value="value_proj", output="attention.output.dense"
)
_GPT2 = AttentionTargets(query="c_attn", key="c_attn", value="c_attn", output="attn.c_proj")
_MPNET = AttentionTargets(query="attn.q", key="attn.k", value="attn.v", output="attn.o")

ATTENTION_TARGETS: dict[str, AttentionTargets] = {
    "bert": _BERT,
    "roberta": _BERT,
    "xlm-roberta": _BERT,
    "camembert": _BERT,
    "electra": _BERT,
    "distilbert": _DISTILBERT,
    "mpnet": _MPNET,
    "llama": _LLAMA,
    "mistral": _LLAMA,
    "qwen2": _LLAMA,
    "qwen3": _LLAMA,
    "gemma": _LLAMA,
    "gemma2": _LLAMA,
    "opt": _OPT,
    "deberta-v2": _DEBERTA,
    "gpt2": _GPT2,
}
"""Model type, as in ``config.json``, to the names of its attention layers. GPT-2 has one layer for
query, key and value; DeBERTa version 3 has the type ``deberta-v2``."""


def attention_targets(encoder: transformers.PreTrainedModel) -> AttentionTargets:
    """Name the query, key, value and output layers of an encoder's attention.

    Raises
    ------
    fl.problems.ModelError
        The architecture is not in :data:`ATTENTION_TARGETS`.
    """
    model_type: str = encoder.config.model_type
    try:
        return ATTENTION_TARGETS[model_type]
    except KeyError:
        known = ", ".join(sorted(ATTENTION_TARGETS))
        msg = f"model.name: attention layers of {model_type!r} models are not known; known: {known}"
        raise ModelError(msg) from None


def transformer_blocks(encoder: nn.Module) -> nn.ModuleList:
    """Give the list of transformer layers, first to last: the longest one directly listed.

    Raises
    ------
    fl.problems.ModelError
        The encoder keeps its layers in no list.
    """
    lists = [module for module in encoder.modules() if isinstance(module, nn.ModuleList)]
    if not lists:
        msg = f"model.name: no list of layers found in a {type(encoder).__name__}"
        raise ModelError(msg)
    return lists[0]
