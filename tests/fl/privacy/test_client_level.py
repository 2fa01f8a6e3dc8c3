"""Clipped changes, their sum, the noise on it, and what becomes of the updates."""

import math

import numpy as np
import pytest
import torch

from fl.methods.averaging import weighted_mean
from fl.methods.base import Contribution
from fl.payload import Payload
from fl.privacy.client_level import protect
from fl.privacy.config import ClientPrivacy

BASE = {"a": torch.full((3,), 10.0), "b": torch.zeros(2, 2)}


def update(client_id, a, b=0.0, *, weight=1.0, base=BASE):
    tensors = {"a": base["a"] + torch.tensor(a), "b": base["b"] + b}
    return Contribution(
        client_id=client_id, payload=Payload(tensors), weight=weight, staleness=0, base=base
    )


def protected(updates, *, clip_norm=1.0, noise_multiplier=0.0, num_drawn=None, seed=1):
    config = ClientPrivacy(clip_norm=clip_norm, noise_multiplier=noise_multiplier)
    num_drawn = len(updates) if num_drawn is None else num_drawn
    return protect(updates, config, num_drawn=num_drawn, rng=np.random.default_rng(seed))


def mean_change(made):
    tensors = [each.payload.tensors for each in made.contributions]
    mean = weighted_mean(tensors, [each.weight for each in made.contributions])
    return {name: value - BASE[name] for name, value in mean.items()}


def test_long_changes_are_shortened_and_short_ones_stay():
    updates = [update(0, [3.0, 4.0, 0.0], weight=50.0), update(1, [0.0, 0.0, 0.5])]
    made = protected(updates)
    assert made.num_clipped == 1
    assert made.median_norm == pytest.approx((5.0 + 0.5) / 2)
    assert mean_change(made)["a"].tolist() == pytest.approx([0.3, 0.4, 0.25], abs=1e-5)
    assert [each.weight for each in made.contributions] == [1.0, 1.0]
    assert [each.client_id for each in made.contributions] == [0, 1]


def test_the_length_is_that_of_all_tensors_together():
    made = protected([update(0, [3.0, 0.0, 0.0], 2.0)], clip_norm=2.5)
    change = mean_change(made)
    assert change["a"].tolist() == pytest.approx([1.5, 0.0, 0.0], abs=1e-5)
    assert change["b"].flatten().tolist() == pytest.approx([1.0] * 4, abs=1e-5)
    together = math.sqrt(sum(float(each.square().sum()) for each in change.values()))
    assert together == pytest.approx(2.5, abs=1e-5)


def test_whatever_a_client_sends_moves_the_sum_by_clip_norm_at_most():
    rng = np.random.default_rng(0)
    others = [update(n, rng.normal(size=3).astype(np.float32).tolist()) for n in range(1, 5)]
    without = mean_change(protected(others, num_drawn=5))
    for length in (0.1, 1.0, 1e6):
        mine = update(0, (length * rng.normal(size=3)).astype(np.float32).tolist())
        with_mine = mean_change(protected([mine, *others], num_drawn=5))
        moved = 5 * (with_mine["a"] - without["a"])
        assert float(moved.norm()) <= 1.0 + 1e-4


def test_the_sum_is_divided_by_those_drawn_whoever_was_received():
    made = protected([update(0, [0.5, 0.0, 0.0])], num_drawn=4)
    assert mean_change(made)["a"].tolist() == pytest.approx([0.125, 0.0, 0.0], abs=1e-5)


def test_noise_has_the_standard_deviation_that_was_asked_for():
    """20,000 numbers: their standard deviation is within 4 of its own standard errors, 2 %."""
    base = {"a": torch.zeros(20_000, dtype=torch.float64), "b": torch.zeros(1)}
    still = Contribution(client_id=0, payload=Payload(base), weight=1.0, staleness=0, base=base)
    made = protected([still], clip_norm=0.5, noise_multiplier=3.0, num_drawn=10)
    noise = made.contributions[0].payload.tensors["a"].numpy()
    wanted = 3.0 * 0.5 / 10
    assert noise.std() == pytest.approx(wanted, rel=4 / math.sqrt(2 * 20_000))
    assert abs(noise.mean()) <= 4 * wanted / math.sqrt(20_000)


def test_noise_is_that_of_the_generator():
    one, same, other = (
        mean_change(protected([update(0, [0.1, 0.0, 0.0])], noise_multiplier=1.0, seed=seed))["a"]
        for seed in (1, 1, 2)
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_what_cannot_be_clipped_is_refused():
    tensors = {**BASE, "rank": torch.tensor(4)}
    odd = Contribution(client_id=0, payload=Payload(tensors), weight=1.0, staleness=0, base=BASE)
    with pytest.raises(
        ValueError, match=r"server.privacy: rank is sent and is no change of a tensor"
    ):
        protected([odd])
