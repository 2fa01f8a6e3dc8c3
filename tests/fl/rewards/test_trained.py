"""Training of reward models on a random encoder of a few thousand weights, and their cache."""

import random  # noqa: TID251 -- that its state is left alone is tested
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch

from fl.problems import DataError, ModelError
from fl.rewards import load_reward, trained
from fl.rewards.config import FolderReward, TrainedReward
from fl.rewards.model_folder import weights_digest
from fl.rewards.pairs import Pairs
from fl.rewards.training import evaluate, train_model
from tests.fl.models.zoo import save

KEY = "rewards.helpfulness"


def settings(backbone, pairs, **others):
    values = {
        "backbone": backbone,
        "pairs": pairs,
        "part": "part",
        "steps": 20,
        "batch_size": 4,
        "learning_rate": 3e-3,
        "max_tokens": 24,
    }
    return TrainedReward(**{**values, **others})


@pytest.fixture(scope="session")
def config(backbone_folder, good_and_bad):
    return settings(backbone_folder, good_and_bad)


@pytest.fixture(scope="session")
def cache(config, tmp_path_factory):
    """A cache that holds the model of the configuration; for reading only."""
    folder = tmp_path_factory.mktemp("cache")
    load_reward(config, KEY, folder)
    return folder


@pytest.fixture
def own_cache(cache, tmp_path):
    """The same, to be changed."""
    return shutil.copytree(cache, tmp_path / "cache")


@pytest.fixture
def reward(config, cache):
    return load_reward(config, KEY, cache)


def test_a_reward_is_learned_and_standardised_over_the_held_out_answers(reward, config):
    held_out = reward.held_out
    assert (reward.num_train_pairs, held_out.num_pairs) == (16, 8)
    assert held_out.accuracy == 1.0
    assert held_out.low == pytest.approx(8 / (8 + 1.959964**2))
    assert reward.dropped == {"equal answers": 0, "prompt held out": 0, "over 24 tokens": 0}
    test = trained.load_pairs(config, key=KEY).test
    found = reward.scores(test.prompts * 2, test.chosen + test.rejected)
    assert found.mean() == pytest.approx(0.0, abs=1e-6)
    assert found.std() == pytest.approx(1.0, abs=1e-6)
    assert found[:8].min() > found[8:].max()


def test_training_is_a_function_of_its_arguments(config, capfd):
    def train(threads):
        backbone = trained._load_backbone(config, key=KEY)
        pairs = trained.load_pairs(config, key=KEY).train
        np.random.seed(threads)  # noqa: NPY002, TID251
        torch.default_generator.manual_seed(threads)
        random.seed(threads)
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        try:
            model, _ = train_model(config, pairs, backbone=backbone, key=KEY)
            assert torch.get_num_threads() == threads
        finally:
            torch.set_num_threads(before)
        drawn = (random.random(), np.random.random(), torch.rand(1).item())  # noqa: NPY002
        return weights_digest(model), drawn, weights_digest(backbone.module.encoder)

    first, second, third = train(1), train(2), train(1)
    assert first[0] == second[0]
    assert first == third
    untouched = trained._load_backbone(config, key=KEY).module.encoder
    assert first[2] == weights_digest(untouched)
    random.seed(1)
    torch.default_generator.manual_seed(1)
    assert first[1][0] == random.random()
    assert first[1][2] == torch.rand(1).item()
    assert capfd.readouterr() == ("", "")


def test_seed_and_settings_matter(config, tmp_path):
    def digest(**others):
        return load_reward(replace(config, steps=2, **others), KEY, tmp_path).digest

    found = {digest(), digest(seed=1), digest(learning_rate=1e-3), digest(batch_size=5)}
    assert len(found) == 4


def test_the_second_time_it_is_read(config, tmp_path, monkeypatch):
    first = load_reward(config, KEY, tmp_path)
    monkeypatch.setattr(trained, "train_model", lambda *_, **__: pytest.fail("trained again"))
    second = load_reward(config, KEY, tmp_path)
    assert second.digest == first.digest
    assert second.held_out == first.held_out
    assert (second.num_train_pairs, second.dropped) == (first.num_train_pairs, first.dropped)
    texts = (["plot the a", "?"], ["good answer 1", ""])
    assert (first.scores(*texts) == second.scores(*texts)).all()
    (entry,) = (tmp_path / "rewards").iterdir()
    assert {"model.safetensors", "config.json", "tokenizer.json", "held_out.json"} <= {
        file.name for file in entry.iterdir()
    }


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("model.safetensors", "cut"),
        ("model.safetensors", "changed"),
        ("model.safetensors", "gone"),
        ("tokenizer.json", "changed"),
        ("config.json", "gone"),
        ("held_out.json", "cut"),
        ("held_out.json", "changed"),
        ("held_out.json", "gone"),
    ],
)
def test_a_damaged_entry_is_not_used(config, own_cache, monkeypatch, name, damage):
    (entry,) = (own_cache / "rewards").iterdir()
    file = entry / name
    whole = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(whole[:-9] if damage == "cut" else whole.replace(b"0", b"1", 40))
    monkeypatch.setattr(trained, "train_model", lambda *_, **__: (_ for _ in ()).throw(KeyError()))
    with pytest.raises(KeyError):
        load_reward(config, KEY, own_cache)


def test_a_damaged_entry_is_replaced(config, reward, own_cache, caplog):
    (entry,) = (own_cache / "rewards").iterdir()
    whole = (entry / "model.safetensors").read_bytes()
    (entry / "model.safetensors").write_bytes(whole[:-9])
    again = load_reward(config, KEY, own_cache)
    assert again.digest == reward.digest
    assert "is trained again" in caplog.text
    assert [each.name for each in (own_cache / "rewards").iterdir()] == [entry.name]
    assert (entry / "model.safetensors").read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_done_without(config, tmp_path, caplog):
    (tmp_path / "file").write_text("no folder")
    found = load_reward(config, KEY, tmp_path / "file")
    assert found.held_out.num_pairs == 8
    assert "set AIRTUNE_CACHE to a folder" in caplog.text


def test_a_trained_model_is_a_folder_like_any(reward, config, cache):
    (entry,) = (cache / "rewards").iterdir()
    folder = FolderReward(path=str(entry), pairs=config.pairs, part="part", max_tokens=24)
    same = load_reward(folder, KEY)
    assert same.held_out == reward.held_out
    assert same.digest == reward.digest
    raw = load_reward(FolderReward(path=str(entry), max_tokens=24), KEY)
    texts = (["plot the a"], ["bad answer"])
    held_out = reward.held_out
    assert raw.scores(*texts) == pytest.approx(reward.scores(*texts) * held_out.std + held_out.mean)
    assert raw.digest != reward.digest


def test_long_texts_are_scored_cut_and_their_pairs_left_out(reward, config, tmp_path, write_table):
    prompt, answer = " ".join(["plot"] * 40), "good " * 40
    (found,) = reward.encoder.cut([f"{prompt} the a"], ["good answer"])
    assert found.tokens[0] == "[CLS]"
    assert len(found) == 24
    assert "".join(found.tokens).endswith(
        "".join(reward.encoder.tokenizer.tokenize("good answer")) + "[SEP]"
    )
    (found,) = reward.encoder.cut([prompt], [answer])
    assert len(found) == 24
    assert found.tokens.count("[SEP]") == 2
    assert 8 <= found.tokens.index("[SEP]") <= 13
    assert np.isfinite(reward.scores([prompt, ""], [answer, ""])).all()
    head = ("prompt", "chosen", "rejected", "part")
    rows = [
        ("p", "good", "bad", "train"),
        ("q", "good", "bad " * 30, "train"),
        ("r", "good", "bad", "test"),
    ]
    others = settings(config.backbone, write_table([head, *rows]), steps=3)
    assert load_reward(others, KEY, tmp_path).dropped["over 24 tokens"] == 1
    rows[0] = ("p", answer, "bad", "train")
    others = settings(config.backbone, write_table([head, *rows]), steps=3)
    with pytest.raises(DataError, match=rf"^{KEY}\.max_tokens: all 2 pairs are longer than 24"):
        load_reward(others, KEY, tmp_path)


def test_scores_do_not_hang_on_the_batch(reward):
    prompts = [f"plot the {letter}" for letter in "abcdefgh"] * 20
    responses = [f"good answer {'again ' * (row % 7)}" for row in range(160)]
    whole = reward.scores(prompts, responses)
    single = [reward.scores([p], [r])[0] for p, r in zip(prompts[:9], responses[:9], strict=True)]
    assert whole[:9] == pytest.approx(single, abs=1e-5)
    assert reward.scores([], []).shape == (0,)


def test_operations_are_those_of_the_longest_text_and_weights_are_counted(reward):
    for num_tokens in (1, 4, 24):
        assert reward.flop(num_texts=3, num_tokens=num_tokens) == 3 * reward.count(num_tokens)
    assert reward.flop(num_texts=1, num_tokens=99) == reward.count(24)
    # two layers of width 16 and four times that: 2 operations a weight, attention, pooler, head
    layer = 4 * 16 * 16 + 2 * 16 * 32
    by_hand = 24 * 2 * 2 * layer + 2 * 2 * 2 * 24 * 24 * 16 + 2 * 16 * 16 + 2 * 16
    assert reward.count(24) == by_hand
    assert reward.memory_bytes == 4 * sum(each.numel() for each in reward.model.parameters())


def test_scores_that_are_not_finite_are_told_with_the_answer(reward):
    with torch.no_grad():
        reward.model.classifier.bias.fill_(float("nan"))
    with pytest.raises(FloatingPointError, match=rf"^{KEY}: the reward model scores nan for 'so'$"):
        reward.scores(["plot the a"], ["so"])


def test_a_rate_at_which_weights_are_lost_is_told(backbone_folder, good_and_bad, tmp_path):
    config = settings(backbone_folder, good_and_bad, learning_rate=1e38)
    with pytest.raises(FloatingPointError, match=rf"^{KEY}\.learning_rate: .* over 20 steps"):
        load_reward(config, KEY, tmp_path)
    assert not (tmp_path / "rewards").exists()


def test_a_model_that_scores_all_alike_is_told(reward):
    with torch.no_grad():
        reward.model.classifier.weight.zero_()
    pairs = Pairs(prompts=("p",), chosen=("a",), rejected=("b",))
    with pytest.raises(DataError, match=r"must tell held-out answers apart; .* of 0 at values"):
        evaluate(reward, pairs)


@pytest.mark.parametrize(
    ("others", "message"),
    [
        (
            {"backbone": "no/such-model"},
            rf"^{re.escape(KEY)}\.backbone: 'no/such-model' is neither",
        ),
        ({"max_tokens": 25}, rf"^{re.escape(KEY)}\.max_tokens: must be at most 24, the positions"),
    ],
)
def test_faults_of_the_backbone_name_the_setting(config, tmp_path, others, message):
    with pytest.raises(ModelError, match=message):
        load_reward(replace(config, **others), KEY, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "least"), [("right_summaries", 0.8), ("private_names", 0.9)])
def test_built_in_pairs_are_learned(name, least, tmp_path):
    found = load_reward(TrainedReward(pairs=name), KEY, tmp_path)
    assert found.held_out.low > least


@pytest.mark.parametrize("name", ["roberta", "distilbert", "electra", "gpt2", "llama"])
def test_backbones_of_other_architectures(name, good_and_bad, tmp_path):
    folder = str(save(tmp_path / "model", name))
    config = settings(folder, good_and_bad, steps=2, max_tokens=36)
    first, second = (load_reward(config, KEY, tmp_path / "cache") for _ in range(2))
    texts = (["plot the a", "sort the b", "?"], ["good answer", "bad " * 30, "so"])
    assert np.isfinite(first.scores(*texts)).all()
    assert (first.scores(*texts) == second.scores(*texts)).all()
    assert first.flop(num_texts=2, num_tokens=33) == 2 * first.count(33)
