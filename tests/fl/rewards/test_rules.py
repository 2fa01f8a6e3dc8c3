"""Rules against values counted by hand."""

import pytest

from fl.rewards import load_rewards
from fl.rewards.config import RewardsConfig, RuleReward
from fl.rewards.rules import RuleScores

PROMPT = "def mean_of(values, axis)"


def score(response, **settings):
    (found,) = RuleScores(RuleReward(**settings)).scores([PROMPT], [response])
    return found


@pytest.mark.parametrize(
    ("response", "settings", "expected"),
    [
        ("a b c d", {"rule": "length", "num_words": 4}, 1.0),
        ("a b c d e f", {"rule": "length", "num_words": 4}, 0.5),
        ("a " * 20, {"rule": "length", "num_words": 4}, 0.0),
        ("", {"rule": "length", "num_words": 4}, 0.0),
        ("Calls the mean.", {"rule": "no_private_names"}, 1.0),
        ("", {"rule": "no_private_names"}, 1.0),
        ("Calls _mean_of, then self._fetch.", {"rule": "no_private_names"}, 1 / 3),
        ("Calls __init__ of a_b and _ and _1.", {"rule": "no_private_names"}, 1.0),
        ("a b a b a b", {"rule": "no_repetition", "ngram": 2}, 2 / 5),
        ("a b a b a b", {"rule": "no_repetition"}, 2 / 4),
        ("a b", {"rule": "no_repetition"}, 1.0),
        ("", {"rule": "no_repetition"}, 0.0),
        ("Mean of some values along an axis.", {"rule": "prompt_words"}, 4 / 5),
        ("", {"rule": "prompt_words"}, 0.0),
        ("Return it.", {"rule": "format", "pattern": r"[A-Z].*\."}, 1.0),
        ("Return\nit.", {"rule": "format", "pattern": r"[A-Z].*\."}, 1.0),
        ("return it.", {"rule": "format", "pattern": r"[A-Z].*\."}, 0.0),
        ("Return it. Or", {"rule": "format", "pattern": r"[A-Z].*\."}, 0.0),
        ("", {"rule": "format", "pattern": r".+"}, 0.0),
    ],
)
def test_scores(response, settings, expected):
    assert score(response, **settings) == pytest.approx(expected)


def test_both_rewards_of_a_scenario():
    config = RewardsConfig(
        helpfulness=RuleReward(rule="prompt_words"), safety=RuleReward(rule="no_private_names")
    )
    rewards = load_rewards(config)
    found = rewards.scores([PROMPT, PROMPT], ["Mean of values.", "See _mean."])
    assert {name: values.tolist() for name, values in found.items()} == {
        "helpfulness": [0.6, 0.2],
        "safety": [1.0, 0.5],
    }
    assert rewards.memory_bytes == rewards.flop(num_texts=4, num_tokens=9) == 0


def test_the_digest_is_of_the_settings():
    def digest(num_words):
        length = RuleReward(rule="length", num_words=num_words)
        config = RewardsConfig(helpfulness=length, safety=RuleReward(rule="prompt_words"))
        return load_rewards(config).digest

    assert digest(4) == digest(4) != digest(5)


def test_unequal_numbers_of_prompts_and_answers_are_refused():
    with pytest.raises(ValueError, match="shorter"):
        RuleScores(RuleReward(rule="prompt_words")).scores([PROMPT, PROMPT], ["a"])
