"""What a federation is built from."""

from dataclasses import replace

import pytest

from fl.methods.fedit.config import FeditConfig
from fl.methods.rolora.config import RoLoraConfig
from fl.training.config import TrainingConfig
from tests.fl.fakes import federation

TRAINING = TrainingConfig(
    local_epochs=2, batch_size=5, learning_rate=0.01, weight_decay=0.25, max_gradient_norm=1.5,
    evaluation_batch_size=7,
)  # fmt: skip


def test_settings_reach_the_jobs_of_a_federation():
    made = federation(FeditConfig(), training=TRAINING, num_clients=3, targets={"accuracy": 0.5})
    settings = made.job_settings
    assert (settings.local_steps, settings.local_epochs, settings.batch_size) == (None, 2, 5)
    assert (settings.weight_decay, settings.max_gradient_norm) == (0.25, 1.5)
    assert settings.learning_rate == 0.01
    assert made.procedure.settings == settings
    assert made.evaluation_batch_size == 7
    assert made.metrics == ("accuracy",)
    assert made.client_ids == range(3)
    assert made.method is made.worker.method


def test_a_method_s_own_learning_rate_comes_first():
    made = federation(FeditConfig(learning_rate=0.5), training=TRAINING)
    assert made.job_settings.learning_rate == 0.5


@pytest.mark.parametrize(
    ("task", "metrics"),
    [("classification", ("accuracy",)), ("generation", ("loss", "perplexity"))],
)
def test_what_is_measured_follows_from_the_texts(task, metrics):
    assert federation(FeditConfig(), task=task).metrics == metrics


def test_every_client_needs_a_device():
    with pytest.raises(ValueError, match="devices: one for each of 4 shards, got 3"):
        federation(FeditConfig(), devices=["laptop"] * 3)
    with pytest.raises(ValueError, match="devices: one for each of 0 shards, got 0"):
        replace(federation(FeditConfig()), shards=[], devices=[])


def test_a_broadcast_needs_one_download_for_all():
    with pytest.raises(ValueError, match="must be unicast, rolora sends each client its own"):
        federation(RoLoraConfig(), downlink="broadcast")
