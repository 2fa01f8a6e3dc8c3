import importlib.metadata
from pathlib import Path

import numpy as np
import pytest
import torch

from fl.models import registry
from fl.models.backbone import load_backbone
from fl.models.config import ModelConfig
from fl.models.tokens import tokenize_answers
from fl.training.batches import Examples
from tests.fl.fakes import tokenize


def test_names_folders_and_hub_ids(tmp_path):
    assert registry.find_model(str(tmp_path)) == str(tmp_path)
    assert registry.find_model("org/some-model") == "org/some-model"
    for name in ("tiny-encoder", "tiny-decoder"):
        assert Path(registry.find_model(name), "model.safetensors").is_file()


def test_minilm_without_its_package_is_the_hub_id(monkeypatch):
    def absent(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", absent)
    assert registry.find_model("minilm") == "sentence-transformers/all-MiniLM-L6-v2"


def test_minilm_loads_from_the_installed_package():
    pytest.importorskip("importlib.metadata").distribution(registry.MINILM_PACKAGE)
    backbone = load_backbone(
        ModelConfig(name="minilm"), num_classes=4, rng=np.random.default_rng(0)
    )
    assert backbone.facts.hidden_size == 384
    num_weights = sum(weight.numel() for weight in backbone.module.encoder.parameters())
    assert 22.0e6 < num_weights < 23.0e6


def test_shipped_models_are_small():
    folders = [Path(registry.find_model(name)) for name in ("tiny-encoder", "tiny-decoder")]
    sizes = [file.stat().st_size for folder in folders for file in folder.iterdir()]
    assert len(sizes) >= 12
    assert sum(sizes) < 8e6


def test_tiny_decoder_loads_in_full_precision_and_knows_its_language():
    backbone = load_backbone(
        ModelConfig(name="tiny-decoder"),
        num_classes=0,
        rng=np.random.default_rng(0),
        task="generation",
    )
    weights = list(backbone.module.parameters())
    assert sum(weight.numel() for weight in weights) == 950_912
    assert all(weight.dtype == torch.float32 for weight in weights)
    assert all(weight.isfinite().all() for weight in weights)
    tokenizer = backbone.tokenizer
    sentence = "Return the number of nodes in the graph."
    shuffled = "graph the in nodes of number the Return."
    assert tokenizer.decode(tokenizer(sentence)["input_ids"], skip_special_tokens=True) == sentence
    table = tokenize_answers(
        tokenizer, ["def size(G)"] * 2, [sentence, shuffled], max_tokens=64, pad_token_id=0
    )
    labels = np.zeros(2, dtype=np.int64)
    scores = backbone.module.score(Examples(tokens=table, labels=labels).batch(np.array([0, 1])))
    real, scrambled = scores["nats"] / scores["tokens"]
    # A uniform guess over the vocabulary has ln 4096 = 8.3 nats a token.
    assert real < 4 < scrambled


def test_tiny_decoder_serves_as_a_classifier_too():
    backbone = load_backbone(
        ModelConfig(name="tiny-decoder"), num_classes=3, rng=np.random.default_rng(0)
    )
    assert not hasattr(backbone.module, "lm_head")
    table = tokenize(["Plot a line.", "Find the shortest path between two nodes."], backbone)
    with torch.no_grad():
        together = backbone.module(*table.pad_batch([0, 1]))
        alone = torch.cat([backbone.module(*table.pad_batch([row])) for row in range(2)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_tiny_encoder_loads():
    backbone = load_backbone(
        ModelConfig(name="tiny-encoder"), num_classes=8, rng=np.random.default_rng(0)
    )
    assert backbone.module.head.out_features == 8
    assert all(weight.isfinite().all() for weight in backbone.module.parameters())
