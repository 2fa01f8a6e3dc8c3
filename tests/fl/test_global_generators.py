"""Global generators: the same draws inside for the same seed, the states as before outside."""

import random

import numpy as np
import pytest
import torch

from fl.global_generators import seeded_generators


def draws():
    return random.random(), float(np.random.random()), float(torch.rand(()))


def test_the_same_seed_draws_the_same_from_all_three():
    with seeded_generators(2**63 + 5):
        first = draws()
    with seeded_generators(2**63 + 5):
        again = draws()
    with seeded_generators(6):
        other = draws()
    assert first == again
    assert all(one != two for one, two in zip(first, other, strict=True))


def test_the_states_outside_are_as_before_also_after_an_error():
    seed_all(1)
    expected = draws()
    seed_all(1)
    with pytest.raises(ZeroDivisionError), seeded_generators(2):
        draws()[0] / 0
    assert draws() == expected


def seed_all(seed):
    random.seed(seed)
    np.random.seed(seed)
    torch.default_generator.manual_seed(seed)
