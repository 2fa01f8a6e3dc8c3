"""The server's step, over two rounds, against the equations written out."""

import numpy as np
import pytest
import torch

from fl.methods.averaging import AveragingMethod
from fl.methods.base import Contribution
from fl.methods.fedit.config import FeditConfig
from fl.methods.options import AveragingOptions, FedAdagrad, FedAdam, FedAvg, FedAvgM, FedYogi
from fl.methods.rolora.config import RoLoraConfig
from fl.methods.server_optimiser import server_step
from fl.payload import Payload
from tests.fl.methods.updates import contribution, installed

START = np.array([1.0, -2.0, 0.5])
MEANS = (np.array([1.5, -2.0, 0.0]), np.array([0.5, -1.0, 0.25]))


def two_steps(config):
    tensors, memory = {"w": torch.tensor(START)}, {}
    seen = []
    for mean in MEANS:
        tensors, memory = server_step(
            config, before=tensors, base=tensors, mean={"w": torch.tensor(mean)}, memory=memory
        )
        seen.append(tensors["w"].numpy())
    return seen, memory


def averaged(optimiser, values, *, weights, base):
    """A method of one tensor at START, and its state after updates of clients that began apart."""
    method = AveragingMethod(
        kind="one",
        initial={"w": torch.tensor(START)},
        shared=("w",),
        options=AveragingOptions(server_optimiser=optimiser),
    )
    made = [
        Contribution(
            client_id=client_id,
            payload=Payload({"w": torch.tensor(value)}),
            weight=weight,
            staleness=1,
            base={"w": torch.tensor(began)},
        )
        for client_id, (value, weight, began) in enumerate(zip(values, weights, base, strict=True))
    ]
    return method.aggregate(method.initial_state(), made)


def test_plain_averaging_is_the_mean_by_weight():
    after = averaged(FedAvg(), MEANS, weights=(1.0, 0.25), base=MEANS)
    expected = (MEANS[0] + 0.25 * MEANS[1]) / 1.25
    np.testing.assert_allclose(after.tensors["w"].numpy(), expected, rtol=1e-15)
    assert (after.memory, after.version) == ({}, 1)


def test_a_server_optimiser_steps_by_how_far_clients_moved_from_what_they_began_with():
    """Two clients that began from older tensors: the server moves by their mean change."""
    base = (np.array([0.0, -1.0, 2.0]), np.array([1.0, 1.0, 1.0]))
    optimiser = FedAvgM(learning_rate=0.5, momentum=0.9)
    after = averaged(optimiser, MEANS, weights=(3, 1), base=base)
    change = 0.75 * (MEANS[0] - base[0]) + 0.25 * (MEANS[1] - base[1])
    np.testing.assert_allclose(after.tensors["w"].numpy(), START + 0.5 * change, rtol=1e-12)
    np.testing.assert_allclose(after.memory["first:w"].numpy(), change, rtol=1e-12)


def test_momentum_over_two_rounds():
    rate, momentum = 0.5, 0.8
    seen, _ = two_steps(FedAvgM(learning_rate=rate, momentum=momentum))
    velocity = MEANS[0] - START
    first = START + rate * velocity
    velocity = momentum * velocity + (MEANS[1] - first)
    np.testing.assert_allclose(seen[0], first, rtol=1e-12)
    np.testing.assert_allclose(seen[1], first + rate * velocity, rtol=1e-12)


def test_nesterov_looks_one_step_ahead():
    rate, momentum = 0.5, 0.8
    seen, memory = two_steps(FedAvgM(learning_rate=rate, momentum=momentum, form="nesterov"))
    change = MEANS[0] - START
    first = START + rate * (change + momentum * change)
    velocity = momentum * change + (MEANS[1] - first)
    second = first + rate * (MEANS[1] - first + momentum * velocity)
    np.testing.assert_allclose(seen, [first, second], rtol=1e-12)
    np.testing.assert_allclose(memory["first:w"].numpy(), velocity, rtol=1e-12)


def test_averaged_momentum_is_the_heavy_ball_at_a_tenth_of_the_rate():
    seen, _ = two_steps(FedAvgM(learning_rate=1.0, momentum=0.9, form="averaged"))
    heavy, _ = two_steps(FedAvgM(learning_rate=0.1, momentum=0.9))
    np.testing.assert_allclose(seen, heavy, rtol=1e-12)


def test_adam_s_second_moment_starts_at_the_square_of_tau():
    # A change of 0 leaves the moment at 0.99 tau^2; a change of tau leaves it at tau^2.
    change = {"w": torch.tensor([0.0, 0.1], dtype=torch.float64)}
    before = {"w": torch.zeros(2, dtype=torch.float64)}
    moved, memory = server_step(
        FedAdam(learning_rate=1.0, beta2=0.99, tau=0.1),
        before=before,
        base=before,
        mean=change,
        memory={},
    )
    np.testing.assert_allclose(memory["second:w"].numpy(), [0.0099, 0.01], rtol=1e-12)
    np.testing.assert_allclose(moved["w"].numpy(), [0.0, 0.01 / 0.2], rtol=1e-12)


def test_adam_over_two_rounds():
    rate, beta1, beta2, tau = 0.1, 0.9, 0.99, 1e-3
    seen, _ = two_steps(FedAdam(learning_rate=rate, beta1=beta1, beta2=beta2, tau=tau))
    change = MEANS[0] - START
    m, v = (1 - beta1) * change, beta2 * tau**2 + (1 - beta2) * change**2
    first = START + rate * m / (np.sqrt(v) + tau)
    change = MEANS[1] - first
    m, v = beta1 * m + (1 - beta1) * change, beta2 * v + (1 - beta2) * change**2
    np.testing.assert_allclose(seen[0], first, rtol=1e-12)
    np.testing.assert_allclose(seen[1], first + rate * m / (np.sqrt(v) + tau), rtol=1e-12)


def test_yogi_over_two_rounds():
    rate, beta1, beta2, tau = 0.1, 0.9, 0.99, 0.3
    config = FedYogi(learning_rate=rate, beta1=beta1, beta2=beta2, tau=tau)
    seen, memory = two_steps(config)
    m, v, x = np.zeros(3), np.full(3, tau**2), START
    for mean, found in zip(MEANS, seen, strict=True):
        change = mean - x
        m = beta1 * m + (1 - beta1) * change
        v = v - (1 - beta2) * change**2 * np.sign(v - change**2)
        x = x + rate * m / (np.sqrt(v) + tau)
        np.testing.assert_allclose(found, x, rtol=1e-12)
    np.testing.assert_allclose(memory["second:w"].numpy(), v, rtol=1e-12)


def test_yogi_s_second_moment_hardly_falls_where_adam_s_does():
    """After a large change and then none: Adam's falls by a hundredth, Yogi's stays."""
    second = {}
    for config in (FedAdam(tau=0.1), FedYogi(tau=0.1)):
        tensors, memory = {"w": torch.tensor([0.0], dtype=torch.float64)}, {}
        for mean in (3.0, None):
            here = tensors["w"] if mean is None else torch.tensor([mean], dtype=torch.float64)
            tensors, memory = server_step(
                config, before=tensors, base=tensors, mean={"w": here}, memory=memory
            )
        second[config.kind] = float(memory["second:w"])
    assert second["fedyogi"] == pytest.approx(0.01 + 0.01 * 9)
    assert second["fedadam"] == pytest.approx(0.99 * (0.99 * 0.01 + 0.01 * 9))


def test_adagrad_over_two_rounds():
    rate, tau = 0.1, 1e-3
    seen, memory = two_steps(FedAdagrad(learning_rate=rate, tau=tau))
    change = MEANS[0] - START
    v = tau**2 + change**2
    first = START + rate * change / (np.sqrt(v) + tau)
    change = MEANS[1] - first
    v = v + change**2
    np.testing.assert_allclose(seen[0], first, rtol=1e-12)
    np.testing.assert_allclose(seen[1], first + rate * change / (np.sqrt(v) + tau), rtol=1e-12)
    np.testing.assert_allclose(memory["second:w"].numpy(), v, rtol=1e-12)


def test_adagrad_can_have_momentum():
    seen, memory = two_steps(FedAdagrad(beta1=0.5))
    first = 0.5 * (MEANS[0] - START)
    wanted = 0.5 * first + 0.5 * (MEANS[1] - seen[0])
    np.testing.assert_allclose(memory["first:w"].numpy(), wanted, rtol=1e-12)


@pytest.mark.parametrize(
    "optimiser", [FedAvgM(), FedAdam(), FedYogi(), FedAdagrad()], ids=lambda each: each.kind
)
def test_a_method_steps_by_its_option_and_sends_no_moment(optimiser):
    method, _ = installed(FeditConfig(server_optimiser=optimiser))
    state = method.initial_state()
    made = [contribution(method, state, client_id=0, num_samples=2, seed=1)]
    after = method.aggregate(state, made)
    moved, memory = server_step(
        optimiser,
        before=state.tensors,
        base=state.tensors,
        mean=made[0].payload.tensors,
        memory={},
    )
    assert after.memory.keys() == memory.keys()
    for name, tensor in moved.items():
        assert torch.equal(after.tensors[name], tensor)
    download = method.download(after, client_id=0)
    assert download.tensors.keys() == state.tensors.keys()


def test_moments_of_a_factor_that_rests_stay():
    method, _ = installed(RoLoraConfig(server_optimiser=FedAvgM()))
    state = method.initial_state()
    for version in (0, 1, 2):
        made = contribution(
            method, state, client_id=0, num_samples=1, seed=version + 1, version=version
        )
        after = method.aggregate(state, [made])
        due = set(made.payload.tensors)
        for name in state.tensors.keys() - due:
            assert after.tensors[name] is state.tensors[name]
            assert after.memory.get(f"first:{name}") is state.memory.get(f"first:{name}")
        state = after
