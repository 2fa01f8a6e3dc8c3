"""Shards of an evaluation: together they are the whole job, to the bit."""

from dataclasses import replace

import numpy as np
import pytest

from fl.training.evaluate import run_evaluation
from fl.training.evaluation_shards import SHARD_BATCHES, joined, shards_of
from fl.training.job import EvaluationJob
from tests.fl.fakes import answers, examples, language_model
from tests.fl.training.test_choices import ANSWERS, table_of
from tests.fl.training.test_choices import worker_of as choosing_worker
from tests.fl.training.test_evaluate import Words, worker_of

NUM_TEXTS = 45
BATCH_SIZE = 4
TELLING = {"classes": "right", "chosen": "chosen_right"}


def job_of(model, samples, **options):
    return EvaluationJob(
        model_key="key",
        tensors=model,
        table="train",
        samples=samples,
        batch_size=BATCH_SIZE,
        **options,
    )


def case(kind):
    """A worker, a job with texts of many lengths, some twice, and how many shards it has."""
    samples = np.random.default_rng(3).integers(0, 50, size=NUM_TEXTS)
    if kind == "classes":
        worker, model = worker_of(examples(50))
        return worker, job_of(model, samples), -(-NUM_TEXTS // (SHARD_BATCHES * BATCH_SIZE))
    if kind == "written":
        worker, model = worker_of(answers(50), language_model())
        worker = replace(worker, tokenizer=Words())
        return worker, job_of(model, samples, max_new_tokens=3), -(-NUM_TEXTS // BATCH_SIZE)
    rng = np.random.default_rng(5)
    prompts = [rng.integers(14, 55, size=size).tolist() for size in rng.integers(2, 7, size=50)]
    worker, model = choosing_worker(table_of([(p, ANSWERS[n % 3]) for n, p in enumerate(prompts)]))
    # three choices a text: a batch of about four is one text
    return worker, job_of(model, samples, is_choice=True), -(-NUM_TEXTS // SHARD_BATCHES)


@pytest.mark.parametrize("kind", ["classes", "written", "chosen"])
def test_shards_together_are_the_whole_job(kind):
    worker, job, num_shards = case(kind)
    shards = shards_of(job, worker)
    assert len(shards) == num_shards
    assert sorted(np.concatenate([shard.rows for shard in shards])) == list(range(NUM_TEXTS))
    results = [run_evaluation(shard.job, worker) for shard in shards[::-1]][::-1]
    found, whole = joined([shard.rows for shard in shards], results), run_evaluation(job, worker)
    assert found.answers == whole.answers
    assert len(found.answers) == (NUM_TEXTS if kind == "written" else 0)
    assert list(found.scores) == list(whole.scores)
    for name, values in whole.scores.items():
        assert found.scores[name].tobytes() == values.tobytes()
    telling = found.answers if kind == "written" else found.scores[TELLING[kind]]
    assert len(set(telling)) > 1


def test_no_text_is_one_shard():
    worker, model = worker_of(examples(5))
    job = job_of(model, np.arange(0))
    (shard,) = shards_of(job, worker)
    assert joined([shard.rows], [run_evaluation(shard.job, worker)]).scores == {}
