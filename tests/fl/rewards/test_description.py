"""What is told of rewards: of a model its pairs and accuracy, of a rule nothing but its kind."""

from fl.rewards import describe, load_reward
from fl.rewards.config import RewardsConfig, RuleReward, TrainedReward


def test_a_model_and_a_rule(backbone_folder, good_and_bad, tmp_path):
    trained = TrainedReward(
        pairs=good_and_bad, part="part", backbone=backbone_folder, steps=2, max_tokens=24
    )
    rule = RuleReward(rule="no_private_names")
    model, plain = describe(RewardsConfig(helpfulness=trained, safety=rule), cache_dir=tmp_path)
    loaded = load_reward(trained, "rewards.helpfulness", tmp_path)
    assert (model.name, model.kind, model.pairs) == ("helpfulness", "trained", good_and_bad)
    assert model.num_train_pairs == 16
    assert model.held_out == loaded.held_out
    assert model.dropped == {"equal answers": 0, "prompt held out": 0, "over 24 tokens": 0}
    assert model.memory_bytes == loaded.memory_bytes > 0
    assert (plain.name, plain.kind, plain.pairs) == ("safety", "rule", None)
    assert (plain.num_train_pairs, plain.held_out, plain.memory_bytes) == (0, None, 0)
