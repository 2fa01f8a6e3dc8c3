"""FedTT+."""

import numpy as np
import pytest
import torch

from fl.methods.base import Contribution
from fl.methods.fedtt_plus.config import FedttPlusConfig
from fl.methods.fedtt_plus.method import due_factors
from fl.payload import Payload
from fl.server.modes.sync import run_rounds
from tests.fl.fakes import federation, roberta_base_on_meta
from tests.fl.methods.test_fedtt import (
    drifted,
    factor_numbers,
    installed,
    mean_of_matrices_and_matrix_of_mean,
    other_numbers,
    relative_distance,
)
from tests.fl.watching import watch_training

RULES = ["ends_and_one", "single"]


def payload_numbers(shape, version):
    def in_round(number):
        turn = factor_numbers(shape, lambda last: {1, last, 2 + number % (last - 2)})
        return turn + other_numbers(shape)

    every = factor_numbers(shape, lambda last: range(1, last + 1)) + other_numbers(shape)
    return in_round(version + 1), every if version == 0 else in_round(version)


def numbers(payload):
    return sum(tensor.numel() for tensor in payload.tensors.values())


def in_trains(names):
    return {name for name in names if ".cores." in name}


def contributions(method, seeds, *, version):
    return [
        Contribution(
            client_id=client_id,
            payload=method.upload(
                drifted(method.initial, set(method.initial), seed), version=version
            ),
            weight=1,
            staleness=0,
        )
        for client_id, seed in enumerate(seeds)
    ]


@pytest.mark.parametrize("num_factors", [2, 3, 4, 5, 6])
@pytest.mark.parametrize("rule", RULES)
def test_every_factor_has_its_turn(rule, num_factors):
    turns = [due_factors(rule, num_factors=num_factors, version=version) for version in range(30)]
    assert frozenset().union(*turns) == set(range(1, num_factors + 1))
    if rule == "single":
        assert {len(turn) for turn in turns} == {1}
    else:
        assert all({1, num_factors} <= turn for turn in turns)
        assert {len(turn) for turn in turns} == {min(num_factors, 3)}


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        # 48 trains of modes 8 8 12 8 8: ends 40 each, middles 200, 300, 200.
        ("ends_and_one", [48 * (80 + 300), 48 * (80 + 200), 48 * (80 + 200)]),
        ("single", [48 * 200, 48 * 300, 48 * 200, 48 * 40, 48 * 40]),
    ],
)
@pytest.mark.parametrize("freeze_biases", [False, True])
def test_numbers_on_roberta_base(rule, expected, freeze_biases):
    config = FedttPlusConfig(factors=rule, classifier="linear", freeze_biases=freeze_biases)
    method, _ = installed(config, roberta_base_on_meta())
    rest = 4 * 768 + 4 + (0 if freeze_biases else 19_968)
    found = [
        numbers(method.upload(method.initial, version=version)) - rest
        for version in range(len(expected))
    ]
    assert found == expected
    assert set(expected) <= {13_440, 18_240} or (min(expected), max(expected)) == (1_920, 14_400)
    first = method.download(method.initial_state(), client_id=0)
    assert numbers(first) == 37_440 + rest


def test_single_averages_exactly():
    for version in range(6):
        method, module = installed(FedttPlusConfig(factors="single"))
        due = method.upload(method.initial, version=version).tensors.keys()
        updates = [drifted(method.initial, due, seed) for seed in (1, 2, 3)]
        mean, ours = mean_of_matrices_and_matrix_of_mean(
            method, module, updates, [3, 1, 4], version=version
        )
        assert max(relative_distance(mean, ours).values()) < 1e-6


def test_ends_and_one_does_not():
    method, module = installed(FedttPlusConfig())
    due = method.upload(method.initial, version=0).tensors.keys()
    updates = [drifted(method.initial, due, seed) for seed in (1, 2)]
    mean, ours = mean_of_matrices_and_matrix_of_mean(method, module, updates, [1, 1])
    assert min(relative_distance(mean, ours).values()) > 1e-2


@pytest.mark.parametrize("cohort", [4, 2])
@pytest.mark.parametrize("rule", RULES)
def test_frozen_factors_are_the_servers_bit_for_bit(rule, cohort):
    config = FedttPlusConfig(factors=rule, freeze_biases=True)
    parts = federation(config, num_clients=4, cohort=cohort, num_rounds=5)
    first = {name: tensor.clone() for name, tensor in parts.method.initial.items()}
    jobs = []
    watch_training(parts, lambda job, handle: jobs.append((job, dict(parts.state.tensors), handle)))
    parts.env.run(until=parts.env.process(run_rounds(parts)))
    assert len(jobs) == 5 * cohort
    for job, server, handle in jobs:
        begun, trained = job.start.tensors, handle.result().tensors
        assert begun.keys() == trained.keys() == first.keys()
        due = set(parts.method.upload(begun, version=job.version).tensors)
        assert set(job.start.trainable) == due
        frozen = begun.keys() - due
        assert in_trains(frozen)
        for name in begun:
            assert torch.equal(begun[name], server.get(name, first[name]))
        assert all(torch.equal(trained[name], begun[name]) for name in frozen)
        assert not any(torch.equal(trained[name], begun[name]) for name in due)
    biases = [name for name in first if name.endswith(".bias") and "head.out_proj" not in name]
    assert biases
    assert not set(biases) & parts.state.tensors.keys()


@pytest.mark.parametrize("rule", RULES)
def test_server_leaves_frozen_factors_as_they_are(rule):
    method, _ = installed(FedttPlusConfig(factors=rule))
    state = method.initial_state()
    for version in range(6):
        made = contributions(method, (version, 10 + version), version=version)
        after = method.aggregate(state, made)
        due = method.upload(method.initial, version=version).tensors.keys()
        for name, tensor in state.tensors.items():
            assert torch.equal(after.tensors[name], tensor) == (name not in due)
        state = after


def test_updates_of_no_round_are_refused():
    method, _ = installed(FedttPlusConfig())
    state = method.initial_state()
    made = contributions(method, (1, 2), version=0)
    for wrong in (
        method.initial,
        {name: method.initial[name] for name in list(made[1].payload.tensors)[1:]},
    ):
        odd = Contribution(client_id=1, payload=Payload(wrong), weight=1, staleness=0)
        with pytest.raises(ValueError, match=r"^update: must hold .* client 1 sent \d+ tensors"):
            method.aggregate(state, [made[0], odd])
    mixed = [made[0], contributions(method, (1, 2), version=1)[1]]
    with pytest.raises(ValueError, match=r"^updates: all must name the same"):
        method.aggregate(state, mixed)


def test_download_is_what_the_client_lacks():
    method, _ = installed(FedttPlusConfig())
    state = method.initial_state()
    for version in (0, 1):
        made = contributions(method, (1, 2), version=version)
        state = method.aggregate(state, made[: 2 - version])
        if version == 0:
            again = method.download(state, client_id=0)
            assert again.tensors.keys() == made[0].payload.tensors.keys()
    newcomer = method.download(state, client_id=7)
    assert newcomer.tensors.keys() == state.tensors.keys()


def test_trains_that_leave_nothing_to_freeze_are_refused():
    config = {"adapter_dim": 8, "classifier": "linear"}
    with pytest.raises(
        ValueError, match=r"^factors: must leave a factor frozen; ends_and_one .* 3"
    ):
        installed(FedttPlusConfig(**config))
    method, _ = installed(FedttPlusConfig(factors="single", **config))
    assert len(method.turns) == 3


def test_broadcast_is_refused():
    with pytest.raises(ValueError, match=r"server\.downlink: must be unicast, fedtt_plus"):
        federation(FedttPlusConfig(), downlink="broadcast")


def test_training_moves_the_global_model():
    parts = federation(FedttPlusConfig(), num_clients=4, cohort=4, num_rounds=3)
    parts.env.run(until=parts.env.process(run_rounds(parts)))
    losses = [row.train_loss for row in parts.recorder.clients]
    assert np.mean(losses[-4:]) < np.mean(losses[:4])
