"""The global model as clients tune it: what is trained on what, and that nothing else changes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fl.execution.run_job import run_job
from fl.methods.fedit.config import FeditConfig
from fl.metrics import METRICS
from fl.server.evaluation import Evaluator
from fl.server.modes.sync import run_rounds
from fl.training.job import EvaluationJob, TrainJob
from fl.training.rate_schedule import LinearRate
from tests.fl.fakes import SMALLEST, federation

GLOBAL = sorted(kind for kind, config in SMALLEST.items() if config.has_global_model)
OTHERS = sorted(kind for kind, config in SMALLEST.items() if not config.has_global_model)


def run(config, **server):
    played = federation(config, num_clients=3, num_rounds=2, **server)
    jobs, submit = [], played.executor.submit

    def watch(job, **options):
        if isinstance(job, TrainJob):
            jobs.append(job)
        return submit(job, **options)

    played.executor.submit = watch
    played.env.run(until=played.env.process(run_rounds(played)))
    return played, jobs


@pytest.mark.parametrize("kind", GLOBAL)
def test_the_server_s_model_is_tuned_and_nothing_of_the_run_changes(kind):
    plain, _ = run(SMALLEST[kind])
    tuned, jobs = run(SMALLEST[kind], finetune_steps=2)
    rows = [row for row in tuned.recorder.evaluations if row.split == "finetuned"]
    others = [row for row in tuned.recorder.evaluations if row.split != "finetuned"]
    assert others == plain.recorder.evaluations
    assert tuned.recorder.rounds == plain.recorder.rounds
    assert tuned.recorder.clients == plain.recorder.clients
    assert [row.round for row in rows if row.metric == tuned.metrics[0]] == [0, 1, 2]
    model = tuned.method.global_model(tuned.state)
    assert all(
        torch.equal(value, plain.method.global_model(plain.state)[name])
        for name, value in model.items()
    )
    values = []
    for client_id in tuned.client_ids:
        shard = tuned.shards[client_id]
        [job] = [
            job
            for job in jobs
            if (job.client_id, job.version) == (client_id, tuned.state.version)
            and job.settings.local_steps == 2
        ]
        assert np.array_equal(job.samples, shard.train)
        trained = run_job(job, tuned.worker).tensors
        scores = run_job(
            EvaluationJob(
                model_key=job.model_key,
                tensors={name: trained[name] for name in tuned.method.initial},
                table="train",
                samples=shard.test,
                batch_size=tuned.evaluation_batch_size,
            ),
            tuned.worker,
        ).scores
        sums = {name: float(each.sum()) for name, each in scores.items()}
        values.append(METRICS[tuned.metrics[0]].value(sums))
    last = next(row for row in reversed(rows) if row.metric == tuned.metrics[0])
    assert last.mean == pytest.approx(np.mean(values), rel=1e-12)
    assert (last.n, last.num_trained, last.prior) == (3, None, None)


def test_jobs_begin_at_the_server_s_model():
    tuned, jobs = run(FeditConfig(), finetune_steps=2)
    model = tuned.method.global_model(tuned.state)
    last = [job for job in jobs if job.version == tuned.state.version]
    assert len(last) == 3
    for job in last:
        assert all(job.start.tensors[name] is value for name, value in model.items())
    assert len({job.seed for job in jobs}) == len(jobs)
    again, others = run(FeditConfig(), finetune_steps=2)
    assert [job.seed for job in others] == [job.seed for job in jobs]
    assert again.recorder.evaluations == tuned.recorder.evaluations


@pytest.mark.parametrize(("every", "rounds"), [(None, [0, 1, 2, 3]), (2, [2, 3]), (9, [3])])
def test_rounds_in_which_it_is_tuned(every, rounds):
    played = federation(
        FeditConfig(), num_clients=3, num_rounds=3, finetune_steps=1, finetune_every=every
    )
    played.env.run(until=played.env.process(run_rounds(played)))
    rows = [row for row in played.recorder.evaluations if row.split == "finetuned"]
    assert [row.round for row in rows if row.metric == played.metrics[0]] == rounds


def test_the_schedule_over_rounds_is_the_server_s_alone():
    played = federation(FeditConfig(), num_clients=3, num_rounds=4, finetune_steps=2)
    played.rate_schedule = LinearRate(last_part=0.0)
    jobs, submit = [], played.executor.submit
    played.executor.submit = lambda job, **options: (jobs.append(job), submit(job, **options))[1]
    played.state = replace(played.state, version=3)
    Evaluator(played).evaluate(3)
    rates = {job.settings.learning_rate for job in jobs if isinstance(job, TrainJob)}
    assert rates == {played.job_settings.learning_rate}
    assert played.job_settings_at(3).learning_rate < played.job_settings.learning_rate


@pytest.mark.parametrize("kind", OTHERS)
def test_without_a_global_model_there_is_nothing_to_tune(kind):
    played = federation(SMALLEST[kind], num_clients=3, finetune_steps=2)
    assert {row.split for row in Evaluator(played).evaluate(0)} == {"personal"}
    assert played.executor.num_submitted == 0


def test_a_model_that_did_not_change_is_not_tuned_again():
    played = federation(FeditConfig(), num_clients=3, finetune_steps=2)
    evaluator = Evaluator(played)
    first = evaluator.evaluate(0)
    assert played.executor.num_submitted == 3
    assert evaluator.evaluate(1) == [replace(row, round=1) for row in first]
    assert played.executor.num_submitted == 3


def test_it_is_ready_when_nothing_has_to_be_trained():
    played = federation(FeditConfig(), num_clients=3, finetune_steps=2)
    evaluation = Evaluator(played).submit(0)
    assert not evaluation.is_ready()
    evaluation.wait()
    assert evaluation.is_ready()
