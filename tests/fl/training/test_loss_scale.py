"""Loss scaling: gradients of the loss itself, no step lost."""

import pytest
import torch

from fl.training.loss_scale import FIRST, LossScale, go_back

CPU = torch.device("cpu")


def going_back(values, slope, *, most=float("inf")):
    """Let the gradient of each client be its slope times its factor, infinite beyond a most."""
    calls = []

    def run(factors):
        calls.append(factors.tolist())
        scaled = slope * factors
        values.grad = torch.where(scaled.abs() > most, float("inf"), scaled)[:, None].expand(2, 3)
        values.grad = values.grad.clone()

    return run, calls


def test_gradients_are_those_of_the_loss():
    values = torch.zeros((2, 3), requires_grad=True)
    run, calls = going_back(values, torch.tensor([3.0, -0.5]))
    LossScale(2, device=CPU).backward(run, [values])
    assert calls == [[FIRST, FIRST]]
    assert values.grad.tolist() == [[3.0] * 3, [-0.5] * 3]


def test_only_the_client_whose_gradient_is_too_large_gets_a_smaller_factor():
    values = torch.zeros((2, 3), requires_grad=True)
    scale = LossScale(2, device=CPU)
    run, calls = going_back(values, torch.tensor([4.0, 0.5]), most=FIRST)
    scale.backward(run, [values])
    assert calls == [[FIRST, FIRST], [FIRST / 2, FIRST], [FIRST / 4, FIRST]]
    assert values.grad.tolist() == [[4.0] * 3, [0.5] * 3]
    run, calls = going_back(values, torch.tensor([4.0, 0.5]), most=FIRST)
    scale.backward(run, [values])
    assert calls == [[FIRST / 4, FIRST]]  # the next step begins with it


def test_a_client_that_is_lost_does_not_hold_up_the_others():
    values = torch.zeros((2, 3), requires_grad=True)
    run, calls = going_back(values, torch.tensor([float("nan"), 0.5]))
    LossScale(2, device=CPU).backward(run, [values])
    assert len(calls) < 40
    assert values.grad[1].tolist() == [0.5] * 3
    assert values.grad[0].isnan().all()


def test_clients_leave():
    values = torch.zeros((1, 3), requires_grad=True)
    scale = LossScale(2, device=CPU)
    scale.keep(1)

    def run(factors):
        values.grad = factors[:, None].expand(1, 3).clone()

    scale.backward(run, [values])
    assert values.grad.tolist() == [[1.0] * 3]


def test_a_client_alone_has_no_axis():
    bias = torch.zeros(3, requires_grad=True)

    def run(factors):
        (bias.sum() * 2 * factors[0]).backward(retain_graph=True)

    LossScale(device=CPU).backward(run, [bias])
    assert bias.grad.tolist() == [2.0] * 3


@pytest.mark.parametrize("slope", [1e-7, 1e-3])
def test_small_gradients_survive_float16(slope):
    values = torch.ones(3, requires_grad=True)

    def run(factors):
        # a backward pass whose steps are in float16 loses what is below 6e-8
        (values.half() * slope * factors[0]).sum().backward(retain_graph=True)

    LossScale(device=CPU).backward(run, [values])
    assert values.grad.tolist() == pytest.approx([slope] * 3, rel=1e-2)


@pytest.mark.parametrize("scale", [None, LossScale(device=CPU)])
def test_parts_of_a_loss_add_up(scale):
    bias = torch.zeros(3, requires_grad=True)
    for part in (2.0, 0.5):
        go_back((bias * part).sum(), [bias], scale)
    assert bias.grad.tolist() == [2.5] * 3


def test_a_part_whose_gradient_is_too_large_spoils_no_other():
    values = torch.ones(3, requires_grad=True)
    scale = LossScale(device=CPU)
    go_back(values.sum(), [values], scale)
    # float16 ends at 65,504: with the first factor this gradient is infinite on its way
    go_back((values.half() * 8.0).sum(), [values], scale)
    assert values.grad.tolist() == [9.0] * 3
