"""LoRA that learns from pairs of answers, averaged."""

from fl.methods.feddpo.config import FeddpoConfig
from fl.training.objective import PreferencePairs
from tests.fl.fakes import language_model
from tests.fl.methods.updates import installed


def payload_numbers(shape, version):
    """Query of d x d, value of half as many heads; rank 8."""
    d, rank = shape.hidden, 8
    numbers = shape.layers * rank * ((d + d) + (d + d // 2))
    return numbers, numbers


def test_jobs_learn_from_pairs():
    method, _ = installed(FeddpoConfig(kl_weight=0.2), module=language_model())
    assert method.objective == PreferencePairs(kl_weight=0.2)
    assert all("lora" in name for name in method.initial)


def test_needs_pairs_and_texts_that_are_written():
    config = FeddpoConfig()
    assert (config.uses_pairs, config.uses_rewards) == (True, False)
    assert not config.find_problems(num_clients=4, task="generation")
    (((path,), rule),) = config.find_problems(num_clients=4, task="classification")
    assert (path, rule.split(",")[-1]) == ("kind", " got classification")
