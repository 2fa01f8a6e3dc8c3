"""Advantages by hand, and generalised ones against their sum."""

import numpy as np
import pytest
import torch

from fl.training.advantages import generalised, leave_one_out, standardised_by_group


def test_standardised_by_hand():
    rewards = torch.tensor([1.0, 3.0, 0.0, 0.0, 1.0, 1.0])
    found = standardised_by_group(rewards[:2], group_size=2)
    assert found.tolist() == pytest.approx([-1 / (2**0.5 + 1e-4), 1 / (2**0.5 + 1e-4)])
    found = standardised_by_group(rewards, group_size=3)
    mean, std = 4 / 3, np.std([1, 3, 0], ddof=1)
    assert found[:3].tolist() == pytest.approx([(r - mean) / (std + 1e-4) for r in (1, 3, 0)])


def test_leave_one_out_by_hand():
    found = leave_one_out(torch.tensor([1.0, 3.0, 0.0, 5.0, 5.0, 2.0]), group_size=3)
    assert found.tolist() == pytest.approx([-0.5, 2.5, -2.0, 1.5, 1.5, -3.0])


@pytest.mark.parametrize("advantages_of", [standardised_by_group, leave_one_out])
def test_equal_rewards_are_no_advantage(advantages_of):
    rewards = torch.tensor([0.1] * 7 + [0.3] * 6 + [0.4])
    found = advantages_of(rewards, group_size=7)
    assert found[:7].tolist() == [0.0] * 7
    assert found[7:].abs().max() > 0.05


@pytest.mark.parametrize("advantages_of", [standardised_by_group, leave_one_out])
@pytest.mark.parametrize("group_size", [1, 4])
def test_groups_must_fit(advantages_of, group_size):
    with pytest.raises(ValueError, match=r"^group_size: must be at least 2 and divide .* got"):
        advantages_of(torch.zeros(6), group_size=group_size)


@pytest.mark.parametrize("gae_lambda", [0.0, 0.7, 1.0])
def test_generalised_advantages_are_the_sum_that_defines_them(gae_lambda):
    generator = torch.Generator().manual_seed(2)
    lengths = [5, 1, 3]
    there = torch.arange(5) < torch.tensor(lengths)[:, None]
    rewards = torch.randn((3, 5), generator=generator, dtype=torch.float64)
    values = torch.randn((3, 5), generator=generator, dtype=torch.float64)
    found, returns = generalised(rewards, values, there, gae_lambda=gae_lambda)
    for row, length in enumerate(lengths):
        own = [*values[row, :length].tolist(), 0.0]
        surprise = [float(rewards[row, t]) + own[t + 1] - own[t] for t in range(length)]
        for t in range(length):
            wanted = sum(gae_lambda**k * surprise[t + k] for k in range(length - t))
            assert float(found[row, t]) == pytest.approx(wanted)
            assert float(returns[row, t]) == pytest.approx(wanted + own[t])
        assert not found[row, length:].any()
    if gae_lambda == 1.0:  # returns are the rewards to come, whatever the values
        to_come = (rewards * there).flip(1).cumsum(1).flip(1)
        assert torch.allclose(returns, to_come * there)
