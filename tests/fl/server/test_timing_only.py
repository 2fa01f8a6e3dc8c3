"""Timing-only runs: the events, times, bytes and joules of the run that trains."""

from dataclasses import replace

import numpy as np
import pytest

from fl.codecs.int8 import Int8Codec
from fl.codecs.top_k import TopKCodec
from fl.methods import METHODS
from fl.methods.fedit.config import FeditConfig
from fl.policies import POLICIES, RandomPolicyConfig, build_policy
from fl.policies.tifl import TiflPolicyConfig
from fl.privacy.config import ClientPrivacy, SecureAggregation
from fl.server.config import SyncServer
from fl.server.modes import run_server
from fl.server.selection import select_clients
from fl.server.timing_only import find_problems
from fl.training.config import TrainingConfig
from tests.fl.fakes import SMALLEST, federation
from tests.fl.policies.smallest import SMALLEST as SMALLEST_POLICIES
from tests.fl.server.writing import written_by

TRAINED = TrainingConfig(local_steps=2, batch_size=8, learning_rate=5e-3)
UNTRAINED = replace(TRAINED, mode="none")
TIMED = sorted(kind for kind, config in SMALLEST.items() if not config.decides_by_values)


def run(played):
    played.env.run(until=played.env.process(run_server(played)))
    return played


def test_methods_that_decide_by_values_are_the_two_that_other_models_must_follow():
    assert sorted(set(METHODS) - set(TIMED)) == ["fedamole", "hetlora"]


@pytest.mark.parametrize(
    "options",
    [
        {"uplink_codecs": (TopKCodec(), Int8Codec()), "downlink_codecs": (Int8Codec(),)},
        {"secure_aggregation": SecureAggregation(), "tensor_names": "agreed"},
    ],
)
def test_coded_and_masked_runs_have_the_same_times_too(options):
    trained, timed = (
        run(federation(FeditConfig(), training=training, cohort=3, **options)).recorder
        for training in (TRAINED, UNTRAINED)
    )
    assert trained.rounds == timed.rounds


def test_nothing_is_protected_where_nothing_is_merged():
    privacy = ClientPrivacy(clip_norm=1.0, noise_multiplier=1.0)
    policy = RandomPolicyConfig(num_clients=2)
    server = SyncServer(num_rounds=1, policy=policy, privacy=privacy)
    (found,) = find_problems(server, methods=[FeditConfig()])
    assert found.path == ("server", "privacy")
    assert found.message.endswith("nothing is merged that could be protected; got client_level")


@pytest.mark.parametrize("kind", TIMED)
def test_times_bytes_and_joules_are_those_of_the_trained_run(kind):
    options = {"cohort": 3, "num_rounds": 4, "failing": {(2, "uplink"): "outage"}}
    trained, timed = (
        run(federation(SMALLEST[kind], training=training, **options))
        for training in (TRAINED, UNTRAINED)
    )
    assert timed.recorder.rounds == trained.recorder.rounds
    assert timed.recorder.clients == [
        replace(part, train_loss=None) for part in trained.recorder.clients
    ]
    assert timed.network.transfers == trained.network.transfers
    assert timed.network.charges == trained.network.charges
    assert timed.facts() == trained.facts()
    assert timed.recorder.evaluations == []
    assert (timed.executor.num_submitted, timed.executor.num_computed) == (
        trained.executor.num_submitted,
        0,
    )
    assert all(tensor.is_meta for tensor in timed.state.tensors.values())
    assert any(part.train_loss is not None for part in trained.recorder.clients)


def test_what_jobs_write_takes_the_same_time_untrained(monkeypatch):
    monkeypatch.setattr("fl.server.build.procedure_of", written_by)
    trained, timed = (
        run(federation(SMALLEST["fedit"], training=training, task="generation"))
        for training in (TRAINED, UNTRAINED)
    )
    assert timed.network.transfers == trained.network.transfers
    assert timed.network.charges == trained.network.charges
    assert timed.facts() == trained.facts()
    assert timed.facts().num_decode_steps > 0


@pytest.mark.parametrize("kind", ["fedamole", "hetlora"])
def test_a_method_that_decides_by_values_is_refused(kind):
    with pytest.raises(ValueError, match=rf"training.mode: must be train, {kind} decides"):
        federation(SMALLEST[kind], training=UNTRAINED)


def test_what_needs_values_is_refused_with_its_key():
    server = SyncServer(
        num_rounds=1,
        policy=federation(FeditConfig()).server.policy,
        targets={"accuracy": 0.5},
        metrics=("loss",),
    )
    found = [*find_problems(server, methods=[FeditConfig(), SMALLEST["hetlora"]])]
    assert [".".join(problem.path) for problem in found] == [
        "server.targets",
        "server.metrics",
        "methods.1.kind",
    ]
    assert found[0].message == (
        "must be empty with training.mode none: nothing is measured; got accuracy"
    )


def test_tiers_that_adapt_to_accuracies_are_refused():
    policy = TiflPolicyConfig(num_clients=2, adapt_rounds=3)
    (found,) = find_problems(SyncServer(num_rounds=1, policy=policy), methods=[FeditConfig()])
    assert found.path == ("server", "policy", "adapt_rounds")
    assert found.message.startswith("tifl asks for accuracies with adapt_rounds: there are none")
    still = SyncServer(num_rounds=1, policy=TiflPolicyConfig(num_clients=2))
    assert not [*find_problems(still, methods=[FeditConfig()])]


class _Reader:
    """A policy that looks at one column of its candidates."""

    def __init__(self, column):
        self.column = column

    def select(self, view, *, rng):
        del rng
        getattr(view.candidates, self.column)
        return view.candidates.client_id[:1]


def test_a_policy_that_reads_a_loss_is_told():
    played = federation(FeditConfig(), training=UNTRAINED)
    played.policy = _Reader("num_samples")
    assert chosen_by(played) == [0]
    played.policy = _Reader("last_loss")
    with pytest.raises(ValueError, match=r"^last_loss: there are no losses"):
        chosen_by(played)


def chosen_by(played):
    return played.env.run(until=played.env.process(select_clients(played, 1)))


def test_every_policy_that_is_said_to_read_no_loss_runs_without():
    silent = [kind for kind, entry in POLICIES.items() if not entry.reads_loss]
    assert len(silent) >= 4
    for kind in silent:
        played = federation(FeditConfig(), training=UNTRAINED)
        played.policy = build_policy(SMALLEST_POLICIES[kind])
        chosen = chosen_by(played)
        assert len(chosen) == 4
        assert np.all(np.diff(chosen) > 0)
