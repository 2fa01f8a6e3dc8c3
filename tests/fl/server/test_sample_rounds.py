"""What runs promise of single texts: rows, epsilon by the steps made, and gaps."""

import pytest

from fl.methods.fedit.config import FeditConfig
from fl.policies import AllPolicyConfig, RandomPolicyConfig
from fl.policies.oort import OortPolicyConfig
from fl.policies.power_of_choice import PowerOfChoicePolicyConfig
from fl.privacy.accountant import Accountant
from fl.server.sample_rounds import find_gap
from fl.training.config import TrainingConfig
from fl.training.sample_privacy import SamplePrivacy
from tests.fl.fakes import federation
from tests.fl.server.scalar import play

PRIVACY = SamplePrivacy(clip_norm=0.5, noise_multiplier=1.2, delta=1e-3)
TRAINING = TrainingConfig(local_steps=3, batch_size=8, learning_rate=5e-3, privacy=PRIVACY)


def promised(num_texts, num_jobs, *, steps=3, size=8):
    account = Accountant(noise_multiplier=1.2, delta=1e-3)
    account.add_poisson(min(size, num_texts) / num_texts, num_rounds=steps * num_jobs)
    return account.epsilon


def test_each_client_is_promised_by_the_steps_that_it_made():
    policy = RandomPolicyConfig(num_clients=2)
    played = federation(
        FeditConfig(), num_clients=4, num_rounds=4, policy=policy, training=TRAINING
    )
    sizes = [len(shard.train) for shard in played.shards]
    rows = play(played).of_privacy
    assert len(rows) == 8
    num_jobs = dict.fromkeys(range(4), 0)
    for row in rows:
        num_jobs[row.client_id] += 1
        texts = sizes[row.client_id]
        assert row.epsilon == pytest.approx(promised(texts, num_jobs[row.client_id]), rel=1e-12)
        assert (row.level, row.neighbours, row.gap) == ("sample", "added_or_removed", "")
        assert row.num_candidates == texts
        assert 0 <= row.num_clipped <= row.num_drawn <= 3 * texts
        assert row.noise_std == pytest.approx(0.6 / min(8, texts))
    assert len({*num_jobs.values()}) > 1


def test_passes_count_as_the_steps_that_they_make():
    training = TrainingConfig(local_epochs=2, batch_size=8, learning_rate=5e-3, privacy=PRIVACY)
    played = federation(FeditConfig(), num_rounds=1, policy=AllPolicyConfig(), training=training)
    sizes = [len(shard.train) for shard in played.shards]
    for row in play(played).of_privacy:
        texts = sizes[row.client_id]
        assert row.epsilon == pytest.approx(promised(texts, 1, steps=2 * -(-texts // 8)))


def test_a_job_whose_upload_is_lost_counts_in_what_the_next_promises():
    lost = {(0, "uplink"): "outage"}
    played = federation(
        FeditConfig(), num_rounds=2, failing=lost, policy=AllPolicyConfig(), training=TRAINING
    )
    rows = play(played).of_privacy
    assert 0 not in {row.client_id for row in rows}
    spent = played.sample_accounts._accounts[0].epsilon
    assert spent == pytest.approx(promised(len(played.shards[0].train), 2))


def test_gaps_are_named():
    assert find_gap(PRIVACY, RandomPolicyConfig(num_clients=2)) is None
    asking = PowerOfChoicePolicyConfig(num_clients=2, num_candidates=3)
    for policy in (OortPolicyConfig(num_clients=2), asking):
        assert find_gap(PRIVACY, policy).endswith("which nothing protects")
    silent = SamplePrivacy(clip_norm=1.0, noise_multiplier=0.0)
    assert find_gap(silent, AllPolicyConfig()) == "there is no noise"
    training = TrainingConfig(local_steps=3, batch_size=8, privacy=silent)
    played = federation(FeditConfig(), num_rounds=1, training=training)
    (row, *_) = play(played).of_privacy
    assert (row.epsilon, row.gap) == (None, "no formal epsilon: there is no noise")


def test_without_it_nothing_is_accounted():
    played = federation(FeditConfig(), num_rounds=1)
    assert play(played).of_privacy == []
