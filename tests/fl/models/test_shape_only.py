"""Architectures without values: their parameters, and configurations that say too little."""

import json

import pytest

from fl.models.registry import SHAPES
from fl.models.shape_only import build_shapes, num_positions
from fl.problems import ModelError

KNOWN = {
    "llama-3.2-1b": (1_235_814_400, 131_072),
    "qwen2.5-0.5b": (494_032_768, 32_768),
    "roberta-base": (124_055_040, 512),
    "gpt2": (124_439_808, 1024),
    "deberta-v3-base": (183_831_552, 512),
}
"""Parameters without heads and poolers, tied output layers counted once; longest text."""
BERT = {
    "model_type": "bert",
    "vocab_size": 60,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "max_position_embeddings": 32,
}


def build(name, **options):
    settings = {"num_classes": 2, "task": "classification", "pooling": "mean", **options}
    return build_shapes(str(name), **settings)


def test_all_shipped_shapes_are_known():
    assert set(SHAPES) == set(KNOWN)


@pytest.mark.parametrize("name", KNOWN)
def test_parameters_of_shipped_shapes(name):
    module = build(name)
    numbers, positions = KNOWN[name]
    body = [each for key, each in module.named_parameters() if not key.startswith("head.")]
    assert sum(each.numel() for each in body) == numbers
    assert all(each.is_meta for each in module.parameters())
    assert num_positions(module) == positions


@pytest.mark.parametrize("name", ["llama-3.2-1b", "gpt2"])
def test_an_output_layer_that_shares_its_weights_is_counted_once(name):
    module = build(name, task="generation")
    assert sum(each.numel() for each in module.parameters()) == KNOWN[name][0]


def test_a_file_and_the_folder_it_lies_in_are_the_same_model(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(BERT), encoding="utf-8")
    sizes = [
        sum(each.numel() for each in build(place).parameters())
        for place in (tmp_path, tmp_path / "config.json")
    ]
    # Embeddings with their norm, two blocks of BERT, head.
    d, h = 32, 64
    block = 4 * (d * d + d) + (d * h + h) + (h * d + d) + 4 * d
    assert sizes == [(60 + 32 + 2) * d + 2 * d + 2 * block + 2 * d + 2] * 2


@pytest.mark.parametrize("key", ["hidden_size", "num_hidden_layers", "vocab_size"])
def test_a_configuration_without_a_size_is_refused(tmp_path, key):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({k: v for k, v in BERT.items() if k != key}), encoding="utf-8")
    with pytest.raises(ModelError) as caught:
        build(path)
    assert str(caught.value) == (
        f"model.cost_as: the configuration of {str(path)!r} (bert) lacks {key}"
    )


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("{}", "needs a model_type that is known, got none"),
        ('{"model_type": "abacus"}', "needs a model_type that is known, got 'abacus'"),
        ("nonsense", "no model can be built from the configuration of"),
        (json.dumps({**BERT, "num_attention_heads": 5}), "no model can be built"),
        (json.dumps({**BERT, "hidden_size": 10**7}), "must have at most 2e+10 parameters"),
    ],
)
def test_a_configuration_of_no_model_is_one_line(tmp_path, text, rule):
    path = tmp_path / "config.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ModelError) as caught:
        build(path)
    message = str(caught.value)
    assert message.startswith("model.cost_as: ")
    assert rule in message
    assert "\n" not in message


def test_a_folder_without_a_configuration_and_an_encoder_that_writes_are_refused(tmp_path):
    with pytest.raises(ModelError, match=r"model.cost_as: folder .* has no config.json"):
        build(tmp_path)
    with pytest.raises(ModelError, match=r"model.cost_as: 'roberta-base' is a roberta model"):
        build("roberta-base", task="generation")
