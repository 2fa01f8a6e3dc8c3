"""Evaluation while rounds go on: when it is asked for, when it is waited for, which rows come."""

import signal
import sys
from pathlib import Path

import numpy as np
import pytest

from fl.methods.fedit.config import FeditConfig
from fl.methods.local.config import LocalConfig
from fl.server import evaluation, monitor, scoring
from fl.server.modes.sync import run_rounds
from fl.server.monitor import AHEAD
from fl.training.job import TrainJob
from tests.fl.fakes import federation

NUM_ROUNDS = 5
NUM_POINTS = 8
EVALUATING = {Path(each.__file__) for each in (evaluation, monitor, scoring)}


def watched(config, *, runs_ahead, **server):
    """Play a run; return it, what was submitted, and when evaluations were asked for, by round."""
    played = federation(config, num_rounds=NUM_ROUNDS, **server)
    told, submit = [], played.executor.submit
    played.executor.runs_ahead = runs_ahead

    def note(job, **options):
        handle = submit(job, **options)
        if isinstance(job, TrainJob):
            told.append(("train", job.round))
            return handle
        round_id = played.num_rounds
        told.append(("evaluate", round_id))
        result = handle.result

        def asked():
            told.append(("asked", round_id))
            return result()

        handle.result = asked
        return handle

    played.executor.submit = note
    played.env.run(until=played.env.process(run_rounds(played)))
    return played, told


def test_rounds_do_not_wait_for_evaluations_where_jobs_run_ahead():
    _, told = watched(FeditConfig(), runs_ahead=True)
    for round_id in range(NUM_ROUNDS - AHEAD):
        first_asked = told.index(("asked", round_id))
        assert told.index(("evaluate", round_id)) < told.index(("train", round_id + 1))
        assert told.index(("train", round_id + AHEAD)) < first_asked
        assert first_asked < told.index(("train", round_id + AHEAD + 1))


@pytest.mark.parametrize("server", [{}, {"stop_at_targets": True, "targets": {"accuracy": 1.0}}])
def test_elsewhere_and_where_a_run_may_end_at_targets_they_do(server):
    _, told = watched(FeditConfig(), runs_ahead=bool(server), **server)
    for round_id in range(NUM_ROUNDS):
        assert told.index(("asked", round_id)) < told.index(("train", round_id + 1))


@pytest.mark.parametrize("config", [FeditConfig(), LocalConfig()])
def test_rows_are_the_same_ahead_or_not(config):
    here, ahead = (watched(config, runs_ahead=each)[0] for each in (False, True))
    assert ahead.recorder.evaluations == here.recorder.evaluations
    assert [row.round for row in here.recorder.evaluations][-1] == NUM_ROUNDS
    assert len({row.at_s for row in here.recorder.evaluations}) == NUM_ROUNDS + 1


@pytest.mark.parametrize("outcome", ["delivered", "failed"])
def test_models_that_did_not_change_are_not_evaluated_again(outcome):
    failing = {(client_id, "uplink"): outcome for client_id in range(4)}
    _, told = watched(FeditConfig(), runs_ahead=False, failing=failing)
    evaluated = {round_id for what, round_id in told if what == "evaluate"}
    assert evaluated == ({0} if outcome == "failed" else set(range(NUM_ROUNDS + 1)))


def test_an_interrupted_run_writes_the_evaluations_that_are_finished():
    """The executor stops at round 4; of the two evaluations under way the first one is finished."""
    played, ready = federation(FeditConfig(), num_rounds=NUM_ROUNDS), set()
    submit, played.executor.runs_ahead = played.executor.submit, True

    def watch(job, **options):
        if isinstance(job, TrainJob) and job.round == 4:
            raise KeyboardInterrupt
        handle = submit(job, **options)
        if not isinstance(job, TrainJob):
            round_id = played.num_rounds
            handle.is_ready = lambda: round_id in ready
        return handle

    played.executor.submit = watch
    with pytest.raises(KeyboardInterrupt):
        played.env.run(until=played.env.process(run_rounds(played)))
    rows = played.recorder.evaluations
    assert [row.round for row in rows] == [0, 0, 1, 1]
    played.write_finished()
    assert len(rows) == 4
    ready.add(2)
    played.write_finished()
    assert [row.round for row in rows] == [0, 0, 1, 1, 2, 2]
    ready.add(3)
    played.write_finished()
    played.write_finished()
    assert [row.round for row in rows] == [0, 0, 1, 1, 2, 2, 3, 3]


@pytest.fixture
def raising():
    """Interrupts raise, also where a shell has started the tests with them ignored."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, handler)


def interrupted(step):
    """Play a run whose evaluations come back at once, interrupted at a line of evaluating.

    Returns the run and how many lines there were.
    """
    played, num_lines = federation(FeditConfig(), num_rounds=NUM_ROUNDS), 0
    submit, played.executor.runs_ahead = played.executor.submit, True

    def come_back(job, **options):
        handle = submit(job, **options)
        if not isinstance(job, TrainJob):
            handle.result()
        return handle

    def trace(frame, event, argument):
        nonlocal num_lines
        if Path(frame.f_code.co_filename) not in EVALUATING:
            return None
        if event == "line":
            num_lines += 1
            if num_lines == step:
                signal.raise_signal(signal.SIGINT)
        return trace

    played.executor.submit = come_back
    before = sys.gettrace()
    sys.settrace(trace)
    try:
        played.env.run(until=played.env.process(run_rounds(played)))
    except KeyboardInterrupt:
        sys.settrace(before)
        played.write_finished()
    finally:
        sys.settrace(before)
    return played, num_lines


def test_wherever_a_run_is_interrupted_evaluations_that_have_come_back_are_written(raising):
    """Each as a whole, once and in order; only one that was being submitted may be missing."""
    whole, num_lines = interrupted(None)
    expected = whole.recorder.evaluations
    assert len(expected) == 2 * (NUM_ROUNDS + 1)
    random = np.random.default_rng(5)
    for step in random.integers(1, num_lines, size=NUM_POINTS):
        played, _ = interrupted(step)
        rows, num_rounds = played.recorder.evaluations, played.num_rounds
        assert rows == expected[: len(rows)], step
        assert len(rows) in {2 * num_rounds, 2 * num_rounds + 2}, step
