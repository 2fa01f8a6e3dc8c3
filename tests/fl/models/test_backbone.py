import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from torch.utils.flop_counter import FlopCounterMode

from fl.models.backbone import load_backbone
from fl.models.batch import Batch
from fl.models.classifier import init_head, pool
from fl.models.config import ModelConfig
from fl.models.tokens import tokenize_answers
from fl.problems import ModelError
from tests.fl.fakes import tokenize
from tests.fl.models.conftest import SMALL, TEXTS


def load(folder, *, seed=0, num_classes=3, task="classification", **keys):
    config = ModelConfig(name=str(folder), **{"max_tokens": 24, **keys})
    rng = np.random.default_rng(seed)
    return load_backbone(config, num_classes=num_classes, rng=rng, task=task)


def test_mean_pooling_is_the_mean_over_tokens_that_count():
    hidden = torch.arange(12.0).reshape(2, 3, 2)
    mask = torch.tensor([[1, 1, 0], [1, 0, 0]])
    expected = torch.tensor([[1.0, 2.0], [6.0, 7.0]])
    torch.testing.assert_close(pool(hidden, mask, pooling="mean"), expected)
    torch.testing.assert_close(pool(hidden, mask, pooling="cls"), hidden[:, 0])
    last = torch.stack([hidden[0, 1], hidden[1, 0]])
    torch.testing.assert_close(pool(hidden, mask, pooling="last"), last)


def test_the_last_token_of_a_causal_model_is_read_whatever_the_padding(llama_folder):
    backbone = load(llama_folder, pooling="last")
    table = tokenize(TEXTS, backbone)
    with torch.no_grad():
        together = backbone.module(*table.pad_batch([0, 1, 2]))
        for row in range(3):
            ids, mask = table.pad_batch([row])
            states = backbone.module.encoder(input_ids=ids, attention_mask=mask).last_hidden_state
            expected = backbone.module.head(states[:, -1])
            torch.testing.assert_close(together[row : row + 1], expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("kind", ["bert_folder", "llama_folder"])
def test_padding_never_changes_the_scores(kind, request):
    backbone = load(request.getfixturevalue(kind))
    table = tokenize(TEXTS, backbone)
    with torch.no_grad():
        together = backbone.module(*table.pad_batch([0, 1, 2]))
        alone = torch.cat([backbone.module(*table.pad_batch([row])) for row in range(3)])
    assert len(set(table.lengths.tolist())) > 1
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-6)
    assert together.shape == (3, 3)


def test_encoder_gives_what_transformers_alone_gives(bert_folder):
    backbone = load(bert_folder)
    plain = transformers.AutoModel.from_pretrained(bert_folder).eval()
    ids, mask = tokenize(TEXTS, backbone).pad_batch([0, 1, 2])
    with torch.no_grad():
        hidden = plain(input_ids=ids, attention_mask=mask).last_hidden_state
        weights = mask[:, :, None].float()
        expected = (hidden * weights).sum(1) / weights.sum(1)
        torch.testing.assert_close(
            backbone.module.features(ids, mask), expected, rtol=1e-4, atol=1e-6
        )


def test_head_follows_its_generator_alone(bert_folder):
    state = torch.get_rng_state()
    first, second, other = (load(bert_folder, seed=seed).module.head for seed in (1, 1, 2))
    torch.testing.assert_close(first.weight, second.weight, rtol=0, atol=0)
    assert not torch.equal(first.weight, other.weight)
    assert torch.count_nonzero(first.bias) == 0
    assert 0.01 < first.weight.std() < 0.03
    assert torch.equal(torch.get_rng_state(), state)


def test_head_can_be_drawn_anew(bert_folder):
    first = load(bert_folder, seed=1).module.head.weight
    backbone = load(bert_folder, seed=2)
    init_head(backbone.module, np.random.default_rng(1))
    torch.testing.assert_close(backbone.module.head.weight, first, rtol=0, atol=0)


def test_digest_follows_weights_and_not_the_head(bert_folder, tmp_path):
    first = load(bert_folder, seed=1).digest
    assert load(bert_folder, seed=2, num_classes=5).digest == first
    changed = tmp_path / "changed"
    shutil.copytree(bert_folder, changed)
    encoder = transformers.AutoModel.from_pretrained(changed)
    with torch.no_grad():
        encoder.embeddings.word_embeddings.weight[7, 7] += 1e-3
    encoder.save_pretrained(changed)
    assert load(changed, seed=1).digest != first


@pytest.mark.parametrize("kind", ["bert_folder", "llama_folder"])
def test_no_dropout_and_no_unused_weights(kind, request):
    module = load(request.getfixturevalue(kind)).module
    assert not module.training
    module.train()
    ids = torch.randint(5, 100, (2, 9), generator=torch.Generator().manual_seed(0))
    mask = torch.ones_like(ids)
    first, second = module(ids, mask), module(ids, mask)
    torch.testing.assert_close(first, second, rtol=0, atol=0)
    first.sum().backward()
    unused = [name for name, weight in module.named_parameters() if weight.grad is None]
    assert unused == []


def test_attention_products_are_counted(bert_folder):
    num_texts, num_tokens = 2, 10
    backbone = load(bert_folder)
    ids = torch.full((num_texts, num_tokens), 9)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        backbone.module(ids, torch.ones_like(ids))
    width, ffn, layers = SMALL.hidden_size, SMALL.ffn_size, SMALL.num_layers
    linear = num_tokens * (4 * width * width + 2 * width * ffn)
    attention = 2 * num_tokens * num_tokens * width
    expected = 2 * num_texts * (layers * (linear + attention) + width * 3)
    assert counter.get_total_flops() == expected


def test_settings_that_do_not_fit_are_refused(bert_folder, llama_folder):
    with pytest.raises(ModelError, match=r"model.max_tokens: must be at most 24, .* got 25"):
        load(bert_folder, max_tokens=25)
    with pytest.raises(ModelError, match=r"model.pooling: cls .* causal model"):
        load(llama_folder, pooling="cls")
    with pytest.raises(ModelError, match=r"model.pooling: last is for causal models, .* bert is"):
        load(bert_folder, pooling="last")
    assert load(bert_folder, pooling="cls").module.pooling == "cls"
    with pytest.raises(ValueError, match="num_classes: must be at least 2, got 1"):
        load(bert_folder, num_classes=1)


def test_folder_without_a_model_is_refused_in_one_line(tmp_path, bert_folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"model.name: folder .*empty' cannot be loaded") as caught:
        load(tmp_path / "empty")
    assert "\n" not in str(caught.value)
    weightless = tmp_path / "weightless"
    shutil.copytree(bert_folder, weightless)
    (weightless / "model.safetensors").unlink()
    with pytest.raises(ModelError, match="cannot be loaded as a safetensors model"):
        load(weightless)


def test_folder_that_lacks_weights_is_refused(tmp_path, bert_folder):
    lacking, damaged = tmp_path / "lacking", tmp_path / "damaged"
    for folder in (lacking, damaged):
        shutil.copytree(bert_folder, folder)
    weights = load_file(lacking / "model.safetensors")
    del weights["encoder.layer.1.attention.self.query.weight"]
    save_file(weights, lacking / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"lack 1 weights of a bert encoder, first .*query.weight"):
        load(lacking)
    content = (damaged / "model.safetensors").read_bytes()
    (damaged / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match="cannot be loaded as a safetensors model"):
        load(damaged)


def test_pickled_weights_are_never_read(tmp_path, bert_folder):
    pickled = tmp_path / "pickled"
    shutil.copytree(bert_folder, pickled)
    (pickled / "model.safetensors").unlink()
    (pickled / "pytorch_model.bin").write_bytes(b"must not be opened")
    message = (
        r"^model.name: folder .* has pytorch_model.bin and no model.safetensors; .* never read"
    )
    with pytest.raises(ModelError, match=message) as caught:
        load(pickled)
    assert "\n" not in str(caught.value)


def test_encoder_decoder_models_are_refused(tmp_path, bert_folder):
    folder = tmp_path / "t5"
    settings = transformers.T5Config(
        vocab_size=160, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2
    )
    transformers.T5Model(settings).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(bert_folder / name, folder / name)
    with pytest.raises(ModelError, match="is a t5 model"):
        load(folder)


def test_unreachable_model_is_refused_in_one_line(monkeypatch):
    def refuse(*_, **__):
        msg = "no route\nto the hub"
        raise ConnectionError(msg)

    monkeypatch.setattr("huggingface_hub.HfApi.model_info", refuse)
    message = r"model.name: 'no/such' is neither a folder nor reachable .*no route to the hub"
    with pytest.raises(ModelError, match=message) as caught:
        load("no/such")
    assert "\n" not in str(caught.value)


def test_code_in_a_folder_is_not_run(tmp_path, bert_folder):
    folder = tmp_path / "foreign"
    shutil.copytree(bert_folder, folder)
    settings = json.loads((folder / "config.json").read_text())
    settings["auto_map"] = {"AutoModel": "evil.Model", "AutoConfig": "evil.Config"}
    settings["model_type"] = "unheard_of"
    (folder / "config.json").write_text(json.dumps(settings))
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load(folder)


@pytest.mark.data
def test_stories260k_serves_as_an_encoder():
    beside = Path(__file__).parents[4] / "shared" / "data"
    folder = Path(os.environ.get("AIRTUNE_DATA") or beside).parent / "models" / "stories260k"
    if not folder.is_dir():
        pytest.skip(f"no model at {folder}; AIRTUNE_DATA names the data folder beside models/")
    backbone = load(folder, max_tokens=64)
    assert backbone.facts.hidden_size == 64
    table = tokenize(TEXTS, backbone)
    with torch.no_grad():
        together = backbone.module(*table.pad_batch([0, 1, 2]))
        alone = torch.cat([backbone.module(*table.pad_batch([row])) for row in range(3)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def gpt2_folder(tmp_path_factory, llama_folder):
    folder = tmp_path_factory.mktemp("gpt2")
    settings = transformers.GPT2Config(
        vocab_size=SMALL.vocabulary_size, n_embd=16, n_layer=2, n_head=2, n_positions=24
    )
    transformers.GPT2LMHeadModel(settings).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(llama_folder / name, folder / name)
    return folder


@pytest.mark.parametrize("kind", ["llama_folder", "gpt2_folder"])
def test_language_model_gives_what_transformers_alone_gives(kind, request):
    folder = request.getfixturevalue(kind)
    backbone = load(folder, task="generation")
    plain = transformers.AutoModelForCausalLM.from_pretrained(folder).eval()
    tied = backbone.module.lm_head.weight is next(backbone.module.encoder.parameters())
    assert tied == plain.config.tie_word_embeddings
    table = tokenize_answers(
        backbone.tokenizer, ["Return", "Plot the"], TEXTS[:2], max_tokens=24, pad_token_id=0
    )
    ids, mask = table.pad_batch([0, 1])
    labels = table.pad_answers([0, 1])
    with torch.no_grad():
        found = plain(input_ids=ids, attention_mask=mask, labels=labels)
        scores = backbone.module(ids, mask)
        torch.testing.assert_close(scores[mask == 1], found.logits[mask == 1], rtol=1e-4, atol=1e-6)
        loss = backbone.module.loss(Batch(input_ids=ids, attention_mask=mask, labels=labels))
        torch.testing.assert_close(loss, found.loss, rtol=1e-5, atol=1e-6)
        wrote = backbone.module.write([[5, 6, 7]], num_tokens=6, stop_id=None, pad_id=0)
        greedy = plain.generate(
            torch.tensor([[5, 6, 7]]),
            attention_mask=torch.ones(1, 3, dtype=torch.int64),
            max_new_tokens=6,
            min_new_tokens=6,
            do_sample=False,
            pad_token_id=0,
            eos_token_id=None,
        )
    assert wrote[0] == greedy[0, 3:].tolist()


@pytest.mark.parametrize("kind", ["llama_folder", "gpt2_folder"])
def test_causal_models_classify_too(kind, request):
    module = load(request.getfixturevalue(kind)).module
    assert module.head.out_features == 3
    assert not hasattr(module, "lm_head")


def test_an_encoder_writes_nothing(bert_folder):
    message = r"^model.name: .* is a bert model, which writes no text; .* need a causal model$"
    with pytest.raises(ModelError, match=message):
        load(bert_folder, task="generation")


@pytest.mark.data
def test_stories260k_writes_english():
    beside = Path(__file__).parents[4] / "shared" / "data"
    folder = Path(os.environ.get("AIRTUNE_DATA") or beside).parent / "models" / "stories260k"
    if not folder.is_dir():
        pytest.skip(f"no model at {folder}; AIRTUNE_DATA names the data folder beside models/")
    backbone = load(folder, max_tokens=64, task="generation")
    table = tokenize_answers(
        backbone.tokenizer,
        ["Once upon a time"] * 2,
        ["there was a little girl named Lily.", "named was a there Lily girl little."],
        max_tokens=64,
        pad_token_id=backbone.pad_token_id,
    )
    ids, mask = table.pad_batch([0, 1])
    batch = Batch(input_ids=ids, attention_mask=mask, labels=table.pad_answers([0, 1]))
    with torch.no_grad():
        scores = backbone.module.score(batch)
    real, shuffled = scores["nats"] / scores["tokens"]
    # A uniform guess over its 512 tokens has ln 512 = 6.2 nats a token.
    assert real < 3 < shuffled
