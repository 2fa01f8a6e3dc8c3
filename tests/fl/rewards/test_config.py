"""Settings of rewards: weights of clients by hand, and rules across settings."""

import pytest
from pydantic import TypeAdapter, ValidationError

from fl.rewards.config import (
    FolderReward,
    OwnReward,
    RewardsConfig,
    RuleReward,
    TrainedReward,
    find_problems,
)

SAFE = RuleReward(rule="no_private_names")


def problems(reward, **others):
    config = RewardsConfig(helpfulness=reward, safety=SAFE, **others)
    return {".".join(each.path): each.message for each in find_problems(config, num_clients=3)}


@pytest.mark.parametrize(
    ("weights", "num_clients", "expected"),
    [
        ("spread", 1, [0.5]),
        ("spread", 2, [0.0, 1.0]),
        ("spread", 6, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        ((0.25,), 3, [0.25, 0.25, 0.25]),
        ((1.0, 0.0), 5, [1.0, 0.0, 1.0, 0.0, 1.0]),
    ],
)
def test_weights_are_spread_or_dealt_in_turn(weights, num_clients, expected):
    config = RewardsConfig(helpfulness=SAFE, safety=SAFE, helpfulness_weights=weights)
    found = [config.weight_of(client, num_clients) for client in range(num_clients)]
    assert found == pytest.approx(expected, abs=1e-15)


@pytest.mark.parametrize(
    "reward",
    [
        TrainedReward(pairs="right_summaries"),
        TrainedReward(pairs="hh.parquet", part="part", train_parts=("train", "train2")),
        FolderReward(path="model"),
        FolderReward(path="model", pairs="hh.csv", part="part"),
        RuleReward(rule="length", num_words=12),
        RuleReward(rule="no_repetition"),
        RuleReward(rule="no_repetition", ngram=2),
        RuleReward(rule="format", pattern=r"[A-Z].*\."),
        OwnReward(kind="mine.py:Mine", settings={"rule": 3}),
    ],
)
def test_whole_settings_have_no_problem(reward):
    assert problems(reward, helpfulness_weights=(0.0, 0.5, 1.0)) == {}


@pytest.mark.parametrize(
    ("reward", "key", "rule"),
    [
        (RuleReward(rule="length"), "num_words", "must be given when rule is length"),
        (RuleReward(rule="format"), "pattern", "must be given when rule is format"),
        (RuleReward(rule="format", pattern="("), "pattern", "must be a regular expression"),
        (RuleReward(rule="prompt_words", ngram=2), "ngram", "has no effect when rule is prompt_"),
        (TrainedReward(pairs="right_summaries", part="p"), "part", "has no effect without a table"),
        (FolderReward(path="m", part="p"), "part", "has no effect without a table"),
        (TrainedReward(pairs="a.csv", test_parts=("x",)), "test_parts", "has no effect without pa"),
        (
            TrainedReward(pairs="a.csv", part="p", test_parts=("train",)),
            "test_parts",
            "must be other parts than train_parts, got 'train' in both",
        ),
    ],
)
def test_settings_without_effect_or_sense_are_named(reward, key, rule):
    found = problems(reward)
    assert list(found) == [f"rewards.helpfulness.{key}"]
    assert found[f"rewards.helpfulness.{key}"].startswith(rule)


def test_more_weights_than_clients_are_named():
    found = problems(SAFE, helpfulness_weights=(0.0, 0.1, 0.2, 0.3))
    assert found == {
        "rewards.helpfulness_weights": "must be at most clients.num_clients = 3 weights, got 4"
    }


def test_settings_are_read_from_plain_data():
    adapter = TypeAdapter(RewardsConfig)
    config = adapter.validate_python(
        {
            "helpfulness": {"kind": "trained", "pairs": "right_summaries", "steps": 5},
            "safety": {"kind": "own.py:Mine"},
            "helpfulness_weights": [0, 1],
        }
    )
    assert config.helpfulness == TrainedReward(pairs="right_summaries", steps=5)
    assert config.safety == OwnReward(kind="own.py:Mine")
    assert config.helpfulness_weights == (0.0, 1.0)
    with pytest.raises(ValidationError):
        adapter.validate_python({"helpfulness": {"kind": "rule", "rule": "kindness"}})
