"""Poisson batches of a job, its steps, and streams of noise."""

import numpy as np
import pytest

from fl.training.sample_privacy import noise_generator, num_steps_of, poisson_batches

SAMPLES = np.arange(100, 140)


def drawn(seed, *, samples=SAMPLES, batch_size=10, num_steps=50):
    return list(poisson_batches(samples, batch_size=batch_size, num_steps=num_steps, seed=seed))


def test_each_text_is_drawn_by_itself_with_the_probability_that_is_accounted():
    batches = [each for seed in range(80) for each in drawn(seed)]
    is_in = np.array([np.isin(SAMPLES, batch) for batch in batches], dtype=float)
    assert np.abs(is_in.mean(axis=0) - 0.25).max() < 4.5 * np.sqrt(0.25 * 0.75 / len(batches))
    sizes = is_in.sum(axis=1)
    assert sizes.var() == pytest.approx(40 * 0.25 * 0.75, rel=0.1)
    assert all(len(set(batch)) == len(batch) for batch in batches)
    # of one step nothing follows for the next
    apart = np.corrcoef(sizes[:-1], sizes[1:])[0, 1]
    assert abs(apart) < 4.5 / np.sqrt(len(sizes))


def test_a_batch_of_all_holds_every_text():
    assert all(len(batch) == 40 for batch in drawn(1, batch_size=64))


def test_places_go_by_seed_and_size_alone():
    one, same, other = drawn(1), drawn(1, samples=SAMPLES + 7), drawn(2)
    assert all((mine + 7 == theirs).all() for mine, theirs in zip(one, same, strict=True))
    assert any(len(mine) != len(theirs) for mine, theirs in zip(one, other, strict=True))


def test_steps_are_given_or_those_of_passes():
    settings = {"batch_size": 16, "num_texts": 40}
    assert num_steps_of(local_steps=7, local_epochs=None, **settings) == 7
    assert num_steps_of(local_steps=None, local_epochs=2, **settings) == 6
    assert num_steps_of(local_steps=None, local_epochs=2, batch_size=64, num_texts=40) == 2


def test_noise_is_addressed_by_seed_and_step():
    draws = {
        (seed, step): noise_generator(seed, step=step).standard_normal()
        for seed in (1, 2)
        for step in (0, 1)
    }
    assert len(set(draws.values())) == 4
    assert draws[1, 1] == noise_generator(1, step=1).standard_normal()
