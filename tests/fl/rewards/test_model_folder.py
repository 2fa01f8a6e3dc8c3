"""Reward models from disk: token types, and folders that hold no reward model."""

import json
from pathlib import Path

import pytest
import torch
import transformers

from fl.problems import ModelError
from fl.rewards import load_reward
from fl.rewards.config import FolderReward

KEY = "rewards.safety"


@pytest.fixture
def save(backbone_folder, tmp_path):
    """Save a random classifier on the configuration of the backbone."""

    def made(**changes):
        values = {"num_labels": 1, "type_vocab_size": 2, **changes}
        settings = transformers.BertConfig.from_pretrained(backbone_folder, **values)
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(5)
            transformers.BertForSequenceClassification(settings).save_pretrained(tmp_path)
        transformers.AutoTokenizer.from_pretrained(backbone_folder).save_pretrained(tmp_path)
        return tmp_path

    return made


def load(folder, **settings):
    return load_reward(FolderReward(path=str(folder), **{"max_tokens": 24, **settings}), KEY)


def test_scores_are_the_outputs_of_transformers(save, backbone_folder):
    folder = save(initializer_range=0.5)
    tokenizer = transformers.AutoTokenizer.from_pretrained(backbone_folder)
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder).eval()
    prompts, responses = ["plot the a", "sort the b"], ["good answer", "bad"]
    inputs = tokenizer(prompts, responses, padding=True, return_tensors="pt")
    with torch.no_grad():
        expected = model(**inputs).logits[:, 0]
    reward = load(folder)
    found = reward.scores(prompts, responses)
    assert found == pytest.approx(expected.double().numpy(), abs=1e-6)
    assert ("token_type_ids" in inputs) == (
        "token_type_ids" in reward.encoder.tokenizer.model_input_names
    )
    assert abs(found[0] - found[1]) > 1e-3


def test_token_types_are_given_where_the_tokenizer_takes_them(save):
    folder = save(initializer_range=0.5)
    file = folder / "tokenizer_config.json"
    told = json.loads(file.read_text())
    scores = {}
    for names in (["input_ids", "attention_mask"], ["input_ids", "token_type_ids"]):
        file.write_text(json.dumps({**told, "model_input_names": names}))
        scores[len(scores)] = load(folder).scores(["plot the a"], ["good answer"])[0]
    assert scores[0] != pytest.approx(scores[1], rel=1e-4)


def test_the_global_generator_is_left_alone(save):
    folder = save()
    before = torch.default_generator.get_state()
    load(folder)
    assert torch.equal(before, torch.default_generator.get_state())


def test_a_folder_without_a_reward_model_is_told(save, backbone_folder, tmp_path):
    with pytest.raises(ModelError, match=r"^rewards\.safety\.path: 'nowhere' is no folder$"):
        load("nowhere")
    with pytest.raises(
        ModelError, match=r"^rewards\.safety\.path: a reward model has 1 output .* 2"
    ):
        load(save(num_labels=2))
    with pytest.raises(
        ModelError, match=r"^rewards\.safety\.max_tokens: must be at most 24, the po"
    ):
        load(save(), max_tokens=25)
    folder = save()
    (folder / "model.safetensors").write_bytes(b"no")
    with pytest.raises(ModelError, match=r"^rewards\.safety\.path: folder .* cannot be loaded"):
        load(folder)


def test_an_encoder_without_a_head_is_told(backbone_folder, tmp_path):
    for file in Path(backbone_folder).iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    told = json.loads((tmp_path / "config.json").read_text())
    told |= {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}
    (tmp_path / "config.json").write_text(json.dumps(told))
    with pytest.raises(
        ModelError, match=r"^rewards\.safety\.path: the files of .* lack \d+ weights"
    ):
        load(tmp_path)
