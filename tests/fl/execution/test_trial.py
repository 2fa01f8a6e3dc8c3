"""Every method on every architecture: works, or is refused in one line. And planted faults."""

import copy
import dataclasses
from functools import cache

import numpy as np
import pytest
import torch
from torch import nn

from fl.execution import trial_job
from fl.execution.trial import trial_texts, try_backbone, try_method
from fl.methods import METHODS, install_method
from fl.models.backbone import load_backbone
from fl.models.config import ModelConfig
from fl.models.tokens import tokenize_answers, tokenize_with
from fl.training.batches import Examples
from tests.fl.fakes import SMALLEST
from tests.fl.models import zoo

MAX_TOKENS = 16
LORA = {
    "scaffold",
    "local",
    "fedit",
    "feddpo",
    "ffa_lora",
    "rolora",
    "fedsa_lora",
    "fedsvd",
    "fed_sb",
    "flora",
    "fedex_lora",
    "hetlora",
    "flexlora",
    "fdlora",
    "fedalt",
    "pftt",
    "fedamole",
    "splitlora",
}
ADAPTERS = {"fedadapter", "fedtt", "fedtt_plus", "pftt", "pwff"}
NO_CACHE = {"prefix_tuning"}
NO_BIAS = {"bitfit"}
REFUSED = {
    **dict.fromkeys(
        ("albert", "distilbert", "deberta", "deberta-v2", "mpnet", "esm", "nomic_bert"), NO_CACHE
    ),
    "modernbert": NO_CACHE | NO_BIAS,
    "bloom": NO_CACHE,  # its table of distances has no place for a prefix
    "mpt": NO_CACHE | NO_BIAS,
    **dict.fromkeys(
        (
            "llama",
            "mistral",
            "qwen3",
            "gemma",
            "gemma2",
            "phi3",
            "granite",
            "cohere",
            "olmo",
            "olmo2",
            "smollm3",
        ),
        NO_BIAS,
    ),
    "mixtral": ADAPTERS | NO_BIAS,
    "mamba": LORA | ADAPTERS | NO_CACHE,
}
"""What cannot work, by architecture: everything else must."""
OFTEN = (
    *((name, "classification") for name in zoo.ENCODERS if name not in ("camembert", "ernie")),
    *(
        (name, "generation")
        for name in (
            "gpt2",
            "gpt_neo",
            "gpt_neox",
            "opt",
            "bloom",
            "falcon",
            "llama",
            "qwen2",
            "gemma2",
            "phi3",
            "granite",
            "mixtral",
        )
    ),
)
ALL = (
    *((name, "classification") for name in zoo.TYPES),
    *((name, "generation") for name in zoo.DECODERS),
)
PAIRS = [
    pytest.param(*pair, marks=() if pair in OFTEN else pytest.mark.slow) for pair in sorted(ALL)
]


@pytest.fixture(scope="session")
def folder_of(tmp_path_factory):
    """Give the folder of an architecture, made when first asked for."""
    root = tmp_path_factory.mktemp("zoo")
    return cache(lambda name: zoo.save(root / name, name))


def load(folder, *, task="classification"):
    return load_backbone(
        ModelConfig(name=str(folder), max_tokens=MAX_TOKENS),
        num_classes=3,
        rng=np.random.default_rng(0),
        task=task,
    )


def train_texts(backbone):
    texts = [" ".join(zoo.WORDS[:20]), " ".join(zoo.WORDS[5:9])]
    options = {"max_tokens": MAX_TOKENS, "pad_token_id": backbone.pad_token_id}
    if hasattr(backbone.module, "head"):
        tokens = tokenize_with(backbone.tokenizer, texts, **options)
        return Examples(tokens=tokens, labels=np.zeros(2, dtype=np.int64))
    tokens, worse = (
        tokenize_answers(backbone.tokenizer, texts, answers, **options)
        for answers in (texts, texts[::-1])
    )
    return Examples(tokens=tokens, labels=np.zeros(2, dtype=np.int64), rejected=worse)


def attempt(backbone, kind, **settings):
    """Try a method on a copy of a model; give the complaint, empty if there is none."""
    fresh = dataclasses.replace(backbone, module=copy.deepcopy(backbone.module))
    config = dataclasses.replace(SMALLEST[kind], **settings)
    try:
        tried = try_backbone(backbone, train=train_texts(backbone))
        try_method(config, backbone=fresh, tried=tried, num_clients=10, seed=0)
    except ValueError as error:
        return str(error)
    return ""


@pytest.mark.parametrize(("name", "task"), PAIRS)
def test_every_method_works_or_is_refused_in_one_line(name, task, folder_of):
    backbone = load(folder_of(name), task=task)
    state = torch.get_rng_state()
    fitting = [
        kind
        for kind in METHODS
        if not SMALLEST[kind].find_problems(num_clients=10, task=task) or kind == "head"
    ]
    assert len(fitting) > len(METHODS) / 2
    complaints = {kind: attempt(backbone, kind) for kind in fitting}
    assert torch.equal(torch.get_rng_state(), state)
    refused = {kind: line for kind, line in complaints.items() if line}
    expected = REFUSED.get(name, set()) | ({"head"} if task == "generation" else set())
    assert refused.keys() == expected, refused
    for kind, line in refused.items():
        assert "\n" not in line
        assert len(line) < 600
        assert line.startswith("model.name: ") == (kind != "head")
        assert kind in line


def test_the_trial_holds_the_longest_text_and_the_largest_id(folder_of):
    tokens = train_texts(load(folder_of("bert"))).tokens
    examples = trial_texts(tokens, max_tokens=40)
    assert examples.tokens.lengths.tolist() == [40, 20]
    assert examples.tokens.ids.max() == tokens.ids.max()
    pair = dataclasses.replace(tokens, type_ids=np.zeros(len(tokens.ids), dtype=np.int8))
    assert trial_texts(pair, max_tokens=8).tokens.type_ids.tolist() == [0] * 4 + [1] * 4 + [
        0,
        0,
        1,
        1,
    ]


def planted(monkeypatch, fault):
    """Let methods be installed with a fault: a function of module and method."""

    def install(config, module, **settings):
        method = install_method(config, module, **settings)
        fault(module, method)
        return method

    monkeypatch.setattr(trial_job, "install_method", install)


def test_a_weight_that_is_trained_and_not_used_is_refused(monkeypatch, folder_of):
    def detach(module, method):
        layer = module.get_submodule(next(iter(method.initial)).removesuffix(".lora_A"))
        layer.forward = layer.base_layer.forward

    planted(monkeypatch, detach)
    backbone = load(folder_of("bert"))
    assert attempt(backbone, "fedit") == (
        f"model.name: {backbone.name!r} does not work with fedit: a step trains tensors that no "
        "gradient reaches: 2, first encoder.encoder.layer.0.attention.self.query.lora_A"
    )


def test_a_gradient_on_a_frozen_weight_is_refused(monkeypatch, folder_of):
    def thaw(module, _):
        module.encoder.embeddings.LayerNorm.weight.requires_grad = True

    planted(monkeypatch, thaw)
    line = attempt(load(folder_of("bert")), "fedit")
    assert line.endswith(
        "a step sends gradients to tensors that are not trained: 1, first "
        "encoder.embeddings.LayerNorm.weight"
    )


def test_a_method_that_changes_the_model_unasked_is_refused(monkeypatch, folder_of):
    def shift(module, _):
        block = module.encoder.encoder.layer[0].output.dense
        block.base_layer.bias.data += 0.5 * torch.arange(32.0)

    planted(monkeypatch, shift)
    line = attempt(load(folder_of("bert")), "fedadapter")
    assert "with fedadapter: scores before training must be those of the model's own" in line


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(value, folder_of):
    backbone = load(folder_of("bert"))
    backbone.module.encoder.encoder.layer[0].output.dense.bias.data[3] = value
    assert attempt(backbone, "fedit").endswith("does not work: scores are not finite")


def test_padding_that_counts_is_refused(folder_of):
    backbone = load(folder_of("bert"))

    def drop_mask(_, args, kwargs):
        return args, {**kwargs, "attention_mask": None}

    backbone.module.encoder.register_forward_pre_hook(drop_mask, with_kwargs=True)
    assert "does not work: scores in a padded batch must be" in attempt(backbone, "fedit")


def test_scores_that_are_not_those_of_transformers_are_refused(folder_of):
    """As they were of Granite when its output layer was called without the scale behind it."""
    backbone = load(folder_of("granite"), task="generation")
    plain = type(backbone.module).forward

    class Unscaled(type(backbone.module)):
        def forward(self, *args):
            return 8.0 * plain(self, *args)

    backbone.module.__class__ = Unscaled
    line = attempt(backbone, "fedit")
    assert "does not work: scores in a padded batch must be those of the model's own" in line


def test_errors_of_the_model_itself_become_one_line(folder_of):
    backbone = load(folder_of("bert"))
    short = nn.Embedding(MAX_TOKENS - 1, 32)
    backbone.module.encoder.embeddings.position_embeddings = short
    line = attempt(backbone, "fedit")
    assert line == (
        f"model.name: {backbone.name!r} does not work: IndexError: index out of range in self"
    )


def test_settings_that_do_not_suit_a_model_keep_their_own_words(folder_of):
    line = attempt(load(folder_of("bert")), "fedit", rank=40)
    assert line.startswith("rank: must be <= 32, the smaller side of the layer encoder.")


def test_virtual_tokens_need_positions(folder_of):
    backbone = load(folder_of("roberta"))
    assert backbone.facts.num_positions == zoo.NUM_POSITIONS - 1  # the table of 40 begins at 1
    line = attempt(backbone, "prompt_tuning", num_virtual_tokens=24)
    assert line.startswith("model.max_tokens: must be at most 15 with the 24 virtual tokens of")
