"""Broken rules between the settings of local training and the methods."""

from dataclasses import replace

from fl.methods.fedamole.config import FedamoleConfig
from fl.methods.feddpo.config import FeddpoConfig
from fl.methods.fedit.config import FeditConfig
from fl.methods.fedkseed.config import FedkseedConfig
from fl.methods.local.config import LocalConfig
from fl.methods.pfit.config import PfitConfig
from fl.training.config import TrainingConfig, find_problems, find_unsuited
from fl.training.optimiser_settings import Sgd
from fl.training.sample_privacy import SamplePrivacy
from tests.fl.fakes import SMALLEST


def test_length_of_training_is_given_once():
    for wrong in (TrainingConfig(), TrainingConfig(local_steps=1, local_epochs=1)):
        (problem,) = find_problems(wrong)
        assert "exactly one of local_steps and local_epochs" in problem.message
    assert find_problems(TrainingConfig(local_epochs=1)) == []


def test_learning_rate_that_every_method_overrides_is_a_problem():
    own, plain = FeditConfig(learning_rate=0.01), LocalConfig()
    rate = TrainingConfig(local_steps=1, learning_rate=5e-3)
    (problem,) = find_problems(rate, methods=[own, own])
    assert problem.path == ("training", "learning_rate")
    assert problem.message == "has no effect: fedit, fedit set their own, got 0.005"
    assert find_problems(rate, methods=[own, plain]) == []
    assert find_problems(rate) == []
    assert find_problems(TrainingConfig(local_steps=1), methods=[own]) == []
    assert len(find_problems(TrainingConfig(learning_rate=5e-3), methods=[own])) == 2


def test_batches_are_not_parted_where_their_loss_is_of_the_whole():
    parted = TrainingConfig(local_steps=2, micro_batch_size=4)
    for method in (FedamoleConfig(), PfitConfig(), FeddpoConfig()):
        (problem,) = find_unsuited(parted, method=method)
        assert problem.path == ("training", "micro_batch_size")
        assert f"the loss of {method.kind} is one of whole batches" in problem.message
    assert list(find_unsuited(parted, method=FedamoleConfig(balance_weight=None))) == []


def test_settings_of_gradients_need_a_method_that_has_some():
    config = TrainingConfig(local_steps=2, optimiser=Sgd(momentum=0.5), weight_decay=0.1)
    problems = find_problems(config, methods=[FedkseedConfig()])
    assert [problem.path[-1] for problem in problems] == ["optimiser", "weight_decay"]
    assert problems[0].message.startswith("has no effect: fedkseed takes no steps along")
    assert find_problems(config, methods=[FedkseedConfig(), FeditConfig()]) == []


def test_defaults_are_those_that_the_documents_tell():
    config = TrainingConfig(local_steps=1)
    assert (config.batch_size, config.evaluation_batch_size, config.threads) == (16, 64, 1)
    assert (config.learning_rate, config.weight_decay) == (1e-3, 0.0)
    assert config.max_gradient_norm is None


def test_privacy_of_texts_is_refused_where_it_cannot_be_promised():
    privacy = SamplePrivacy(clip_norm=1.0, noise_multiplier=1.0)
    config = TrainingConfig(local_steps=2, privacy=privacy)
    assert find_problems(config, methods=[FeditConfig()]) == []
    assert list(find_unsuited(config, method=FeditConfig())) == []
    for kind in ("pfit", "feddpo", "fedkseed", "fedamole", "fdlora", "splitlora"):
        (problem,) = find_unsuited(config, method=SMALLEST[kind])
        assert problem.path == ("training", "privacy")
        assert problem.message.startswith(f"cannot protect {kind}: its jobs read texts by more")
    for other, told in (
        ({"mode": "none"}, "promises nothing without training"),
        ({"autocast": "fp16"}, "needs gradients without loss scaling"),
        ({"backbone_dropout": 0.1}, "does not go with dropout"),
    ):
        (problem,) = find_problems(replace(config, **other), methods=[FeditConfig()])
        assert told in problem.message
