"""Folders that cannot be trusted are refused in one line, before anything large is built."""

import json
import time

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from fl.data.table import TextTable
from fl.models import pretrained
from fl.models.backbone import load_backbone
from fl.models.config import ModelConfig
from fl.models.tokens import tokenize_table
from fl.problems import ModelError
from tests.fl.models import zoo


def load(folder, *, task="classification"):
    return load_backbone(
        ModelConfig(name=str(folder), max_tokens=16),
        num_classes=3,
        rng=np.random.default_rng(0),
        task=task,
    )


def change(folder, **settings):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **settings}))


def refusal(folder):
    with pytest.raises(ModelError) as caught:
        load(folder)
    line = str(caught.value)
    assert "\n" not in line
    assert len(line) < 600
    return line


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"num_hidden_layers": 10**6}, "num_hidden_layers of .* must be at most 1000, got 1e\\+06"),
        ({"vocab_size": 10**12}, "must have at most 2e\\+10 parameters, has more"),
        ({"hidden_size": 4 * 10**6}, "must have at most 2e\\+10 parameters, has more"),
    ],
)
def test_absurd_sizes_are_refused_at_once(tmp_path, settings, reason):
    zoo.save(tmp_path, "bert")
    change(tmp_path, **settings)
    start = time.process_time()
    with pytest.raises(ModelError, match=reason):
        load(tmp_path)
    assert time.process_time() - start < 5.0


def test_too_many_modules_are_refused(tmp_path, monkeypatch):
    zoo.save(tmp_path, "bert")
    monkeypatch.setattr(pretrained, "MAX_MODULES", 30)
    assert refusal(tmp_path).endswith("must have at most 30 modules, has more")


def test_bounds_do_not_stay_behind_and_the_global_generator_is_left_alone(tmp_path, monkeypatch):
    zoo.save(tmp_path, "bert")
    state = torch.get_rng_state()
    with monkeypatch.context() as patch:
        patch.setattr(pretrained, "MAX_PARAMETERS", 100)
        assert "must have at most 100 parameters" in refusal(tmp_path)
        torch.nn.Linear(20, 20, device="meta")
    load(tmp_path)
    assert torch.equal(torch.get_rng_state(), state)


def test_a_folder_of_an_adapter_is_refused(tmp_path):
    zoo.save(tmp_path, "bert")
    (tmp_path / "adapter_config.json").write_text("{}")
    assert "holds an adapter of peft (adapter_config.json), not a model" in refusal(tmp_path)


@pytest.mark.parametrize("name", ["bert", "roberta", "gpt2", "llama", "deberta-v2"])
def test_a_folder_without_tokenizer_is_refused(name, tmp_path):
    """For some types transformers then makes one that knows no word."""
    zoo.save(tmp_path, name)
    for path in tmp_path.glob("*token*"):
        path.unlink()
    texts = TextTable(texts=("return the sum",) * 3, labels=np.zeros(3, dtype=np.int64))
    with pytest.raises(ModelError, match=r"^model\.name: .*tokenizer") as caught:
        tokenize_table(texts, load(tmp_path))
    assert "\n" not in str(caught.value)


def test_a_model_of_images_is_refused(tmp_path):
    settings = transformers.ViTConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2
    )
    transformers.ViTModel(settings).save_pretrained(tmp_path)
    zoo.tokenizer().save_pretrained(tmp_path)
    assert refusal(tmp_path).startswith("model.name: ")


def test_missing_weights_that_no_score_depends_on_are_not_missed(tmp_path):
    zoo.save(tmp_path, "bert")
    weights = load_file(tmp_path / "model.safetensors")
    kept = {name: value for name, value in weights.items() if not name.startswith("pooler.")}
    assert len(kept) == len(weights) - 2
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert load(tmp_path).module.encoder.pooler is None
    del kept["encoder.layer.0.output.dense.weight"]
    save_file(kept, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert refusal(tmp_path).endswith(
        "lack 1 weights of a bert encoder, first encoder.layer.0.output.dense.weight"
    )


@pytest.mark.parametrize("name", ["bert", "mpnet", "deberta", "deberta-v2", "roberta", "llama"])
def test_what_can_be_trained_reaches_the_scores(name, tmp_path):
    """Poolers and layers of unused attention forms are no weights that `full` could train."""
    zoo.save(tmp_path, name)
    module = load(tmp_path).module
    for parameter in module.parameters():
        parameter.requires_grad = True
    ids = torch.randint(7, 40, (2, 16), generator=torch.Generator().manual_seed(0))
    module(ids, torch.ones_like(ids)).logsumexp(dim=-1).sum().backward()
    assert [key for key, each in module.named_parameters() if each.grad is None] == []


@pytest.mark.parametrize(
    ("name", "setting", "at_one"),
    [("granite", "logits_scaling", 8.0), ("cohere", "logit_scale", 1 / 0.0625)],
)
def test_scores_are_scaled_as_the_model_says(name, setting, at_one, tmp_path):
    zoo.save(tmp_path, name)
    ids = torch.randint(7, 40, (2, 16), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    with torch.no_grad():
        scores = load(tmp_path, task="generation").module(ids, mask)
        change(tmp_path, **{setting: 1.0})
        torch.testing.assert_close(
            load(tmp_path, task="generation").module(ids, mask), at_one * scores
        )


def test_soft_caps_of_scores_are_kept(tmp_path):
    zoo.save(tmp_path, "gemma2")
    ids = torch.randint(7, 40, (2, 16), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    with torch.no_grad():
        capped = load(tmp_path, task="generation").module(ids, mask)
        change(tmp_path, final_logit_softcapping=None)
        plain = load(tmp_path, task="generation").module(ids, mask)
    torch.testing.assert_close(capped, 0.5 * torch.tanh(plain / 0.5))
