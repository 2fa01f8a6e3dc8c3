import importlib.metadata
from pathlib import Path

import numpy as np
import pytest

from fl.models import registry
from fl.models.backbone import load_backbone
from fl.models.config import ModelConfig


def test_names_folders_and_hub_ids(tmp_path):
    assert registry.find_model(str(tmp_path)) == str(tmp_path)
    assert registry.find_model("org/some-model") == "org/some-model"
    assert Path(registry.find_model("tiny-encoder"), "model.safetensors").is_file()


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
    assert backbone.hidden_size == 384
    num_weights = sum(weight.numel() for weight in backbone.module.encoder.parameters())
    assert 22.0e6 < num_weights < 23.0e6


def test_tiny_encoder_is_small_and_loads():
    folder = Path(registry.find_model("tiny-encoder"))
    assert sum(file.stat().st_size for file in folder.iterdir()) < 4e6
    backbone = load_backbone(
        ModelConfig(name="tiny-encoder"), num_classes=8, rng=np.random.default_rng(0)
    )
    assert backbone.module.head.out_features == 8
    assert all(weight.isfinite().all() for weight in backbone.module.parameters())
