"""Rates over the run: closed forms, and what jobs are made with."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fl.methods.fedit.config import FeditConfig
from fl.server.modes.sync import run_rounds
from fl.training.config import TrainingConfig, find_problems
from fl.training.job import TrainJob
from fl.training.rate_schedule import (
    ConstantRate,
    CosineRate,
    ExponentialRate,
    LinearRate,
    rate_factor,
)
from tests.fl.fakes import federation

SCHEDULES = [ConstantRate(), ExponentialRate(factor=0.9), LinearRate(), CosineRate(last_part=0.0)]


def factors(schedule, num_rounds=9, **settings):
    return [
        rate_factor(schedule, version=version, num_rounds=num_rounds, **settings)
        for version in range(num_rounds)
    ]


def test_closed_forms():
    assert factors(ConstantRate()) == [1.0] * 9
    assert factors(ExponentialRate(factor=0.5))[:4] == [1.0, 0.5, 0.25, 0.125]
    assert factors(LinearRate(last_part=0.2)) == pytest.approx([1 - 0.1 * n for n in range(9)])
    found = factors(CosineRate(last_part=0.5))
    assert found == pytest.approx([0.75 + 0.25 * math.cos(math.pi * n / 8) for n in range(9)])


@given(
    schedule=st.sampled_from(SCHEDULES),
    num_rounds=st.integers(1, 40),
    warmup_rounds=st.integers(0, 10),
)
def test_a_rate_rises_then_falls_and_never_leaves_its_bounds(schedule, num_rounds, warmup_rounds):
    found = factors(schedule, num_rounds, warmup_rounds=warmup_rounds)
    assert all(0.0 <= each <= 1.0 for each in found)
    fall = found[warmup_rounds:]
    assert all(first >= second - 1e-12 for first, second in pairwise(fall))
    assert found[0] == pytest.approx(1 / (warmup_rounds + 1))


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_past_the_last_round_the_rate_stays_in_its_bounds(schedule):
    late = rate_factor(schedule, version=50, num_rounds=9)
    assert 0.0 <= late <= factors(schedule)[-1] + 1e-12


def test_jobs_are_made_with_the_rate_of_the_version_they_begin_from():
    training = TrainingConfig(
        local_steps=1,
        batch_size=4,
        learning_rate=0.01,
        rate_schedule=LinearRate(last_part=0.0),
        warmup_rounds=1,
    )
    played = federation(FeditConfig(), num_rounds=4, training=training)
    seen, submit = {}, played.executor.submit

    def watched(job, **options):
        if isinstance(job, TrainJob):
            seen[job.version] = job.settings.learning_rate
        return submit(job, **options)

    played.executor.submit = watched
    played.env.run(until=played.env.process(run_rounds(played)))
    wanted = {0: 0.005, 1: 0.01 * 2 / 3, 2: 0.01 / 3, 3: 0.0}
    assert seen == pytest.approx(wanted)


def test_warming_up_to_the_end_is_a_problem():
    config = TrainingConfig(local_steps=1, warmup_rounds=3)
    (problem,) = find_problems(config, num_rounds=3)
    assert problem.path == ("training", "warmup_rounds")
    assert problem.message == "must be < num_rounds = 3, got 3"
    assert find_problems(config, num_rounds=4) == []
