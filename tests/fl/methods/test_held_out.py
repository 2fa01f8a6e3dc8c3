"""Texts held out of a shard: always the same, never trained on, never all."""

import numpy as np
import pytest

from fl.methods.held_out import part_held_out


@pytest.mark.parametrize("num_texts", [2, 3, 10, 57, 1000])
def test_parts_are_disjoint_and_together_the_shard(num_texts):
    samples = np.arange(100, 100 + num_texts)
    held, trained = part_held_out(samples, share=0.1, most=32)
    assert len(held) == min(max(round(num_texts / 10), 1), 32)
    assert sorted([*held, *trained]) == samples.tolist()
    again, _ = part_held_out(samples, share=0.1, most=32)
    assert np.array_equal(held, again)


def test_a_text_is_always_left_to_train_on():
    held, trained = part_held_out(np.array([7, 9]), share=0.9, most=9)
    assert (held.tolist(), trained.tolist()) == ([7], [9])
    held, trained = part_held_out(np.array([7]), share=0.1, most=9)
    assert held.tolist() == trained.tolist() == [7]
