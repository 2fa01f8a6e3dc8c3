"""FedNova's mean: by hand, equal steps, what it is for, and within a federation."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fl.data.shards import GivenShards, Shard
from fl.methods.averaging import AveragingMethod, normalised_mean
from fl.methods.base import Contribution
from fl.methods.fedit.config import FeditConfig
from fl.methods.options import AveragingOptions, FedAvgM
from fl.payload import Payload
from fl.server.modes.sync import run_rounds
from fl.training.config import TrainingConfig
from tests.fl.fakes import SMALLEST, federation
from tests.fl.methods.recorded import Recording
from tests.fl.methods.updates import contribution, installed


def update(client_id, value, *, base, weight, num_steps):
    return Contribution(
        client_id=client_id,
        payload=Payload({"w": torch.tensor(value)}),
        weight=weight,
        staleness=0,
        num_steps=num_steps,
        base={"w": torch.tensor(base)},
    )


def one_tensor(start, **options):
    return AveragingMethod(
        kind="one",
        initial={"w": torch.tensor(start)},
        shared=("w",),
        options=AveragingOptions(**options),
    )


def test_mean_by_hand():
    """Weights 3 and 1, steps 2 and 10: mean steps 4; changes a step (1, 0) and (-0.2, 0.4)."""
    made = [
        update(0, [3.0, 5.0], base=[1.0, 5.0], weight=3.0, num_steps=2),
        update(1, [0.0, 8.0], base=[2.0, 4.0], weight=1.0, num_steps=10),
    ]
    base = np.array([0.75 * 1 + 0.25 * 2, 0.75 * 5 + 0.25 * 4])
    moved = 4 * (0.75 * np.array([1.0, 0.0]) + 0.25 * np.array([-0.2, 0.4]))
    np.testing.assert_allclose(normalised_mean(made)["w"].numpy(), base + moved, rtol=1e-6)


@pytest.mark.parametrize("optimiser", [{}, {"server_optimiser": FedAvgM(learning_rate=0.5)}])
def test_equal_steps_give_the_plain_mean(optimiser):
    method, _ = installed(FeditConfig(**optimiser))
    state = method.initial_state()
    made = [
        replace(
            contribution(method, state, client_id=each, num_samples=each + 1, seed=each),
            num_steps=7,
        )
        for each in range(3)
    ]
    other, _ = installed(FeditConfig(normalise_steps=True, **optimiser))
    plain, normalised = method.aggregate(state, made), other.aggregate(state, made)
    for name, value in plain.tensors.items():
        torch.testing.assert_close(normalised.tensors[name], value, rtol=1e-5, atol=1e-6)
    unequal = [replace(item, num_steps=1 + item.client_id) for item in made]
    moved = other.aggregate(state, unequal).tensors
    assert not any(torch.allclose(moved[name], plain.tensors[name]) for name in plain.tensors)


def test_it_goes_to_the_minimum_of_the_mean_where_the_plain_mean_does_not():
    """Minima 0 and 1, rate r: a client that makes t steps goes ``1 - (1 - r)^t`` of the way.

    Equal weights, 1 and 20 steps, r = 0.01: the plain mean rests at 0.182 / 0.192 = 0.948, the
    normalised one at 0.0091 / 0.0191 = 0.477; the minimum of the mean is 0.5.
    """
    rate, steps, minima = 0.01, (1, 20), (0.0, 1.0)
    ways = [1 - (1 - rate) ** each for each in steps]
    rests = {}
    for is_normalised in (False, True):
        method = one_tensor([0.3], normalise_steps=is_normalised)
        state = method.initial_state()
        for _ in range(400):
            here = float(state.tensors["w"][0])
            made = [
                update(
                    each,
                    [here + ways[each] * (minima[each] - here)],
                    base=[here],
                    weight=1.0,
                    num_steps=steps[each],
                )
                for each in (0, 1)
            ]
            state = method.aggregate(state, made)
        rests[is_normalised] = float(state.tensors["w"][0])
    assert rests[False] == pytest.approx(ways[1] / sum(ways), abs=1e-4)
    per_step = [way / count for way, count in zip(ways, steps, strict=True)]
    assert rests[True] == pytest.approx(per_step[1] / sum(per_step), abs=1e-3)
    assert abs(rests[True] - 0.5) < 0.03 < abs(rests[False] - 0.5)


def test_steps_that_are_not_known_are_refused():
    method = one_tensor([0.0], normalise_steps=True)
    made = [
        update(0, [1.0], base=[0.0], weight=1.0, num_steps=2),
        update(1, [1.0], base=[0.0], weight=1.0, num_steps=None),
    ]
    with pytest.raises(ValueError, match=r"needs the steps of every update.*got \[2, None\]"):
        method.aggregate(method.initial_state(), made)


def test_tensors_without_values_keep_their_shapes():
    empty = torch.empty(3, device="meta")
    made = Contribution(
        client_id=0, payload=Payload({"w": empty}), weight=1.0, staleness=0, base={"w": empty}
    )
    assert normalised_mean([made])["w"].is_meta


def after_a_round(config):
    """A round of clients with 5, 8, 12 and 20 texts, two passes in batches of 4."""
    training = TrainingConfig(local_epochs=2, batch_size=4, learning_rate=5e-3)
    played = federation(config, training=training, num_rounds=1, cohort=4)
    sizes = (5, 8, 12, 20)
    played.shards = GivenShards(
        [Shard(train=np.arange(size), test=np.arange(20, 25)) for size in sizes]
    )
    played.method = Recording(played.method)
    played.env.run(until=played.env.process(run_rounds(played)))
    return played


def test_a_federation_counts_the_steps_of_each_client():
    plain = after_a_round(SMALLEST["fedit"])
    (made,) = plain.method.contributions
    assert {item.client_id: item.num_steps for item in made} == {0: 4, 1: 4, 2: 6, 3: 10}
    normalised = after_a_round(replace(SMALLEST["fedit"], normalise_steps=True))
    wanted = normalised_mean(made)
    for name, value in normalised.state.tensors.items():
        assert torch.equal(value, wanted[name])
        assert not torch.equal(value, plain.state.tensors[name])
