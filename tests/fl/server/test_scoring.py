"""Evaluation jobs of many models: not all of them are under way together."""

import pytest

from fl.methods.local.config import LocalConfig
from fl.server import scoring
from fl.server.evaluation import Evaluator
from fl.training.job import EvaluationJob
from tests.fl.fakes import federation


def played_with_own_models(num_clients):
    played = federation(LocalConfig(), num_clients=num_clients)
    for client_id in played.client_ids:
        first = played.personal.of(client_id)
        own = {name: value + 0.1 * client_id for name, value in first.items()}
        played.personal.keep(client_id, own)
    return played


class Watched:
    """A handle that says when it is asked."""

    def __init__(self, handle, open_jobs):
        self.handle, self.open_jobs = handle, open_jobs

    def result(self):
        self.open_jobs.discard(self)
        return self.handle.result()


@pytest.mark.parametrize("num_models", [1, 3, 100])
def test_as_many_models_are_under_way_as_there_is_room_for(monkeypatch, num_models):
    played = played_with_own_models(6)
    expected = Evaluator(played).evaluate(1)
    model_bytes = sum(value.nbytes for value in played.method.initial.values())
    monkeypatch.setattr(scoring, "UNDER_WAY_BYTES", num_models * model_bytes)
    open_jobs, most, submit = set(), 0, played.executor.submit

    def watched(job, **options):
        nonlocal most
        handle = submit(job, **options)
        assert isinstance(job, EvaluationJob)
        handle = Watched(handle, open_jobs)
        open_jobs.add(handle)
        most = max(most, len(open_jobs))
        return handle

    played.executor.submit = watched
    assert Evaluator(played).evaluate(1) == expected
    assert most == min(num_models + 1, 6)
    assert not open_jobs
