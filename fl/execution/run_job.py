"""Running a job of any kind, here and now: what every executor does in the end."""

from typing import overload

from fl.execution.procedures import procedure_of
from fl.global_generators import seeded_generators
from fl.training.evaluate import run_evaluation
from fl.training.job import (
    EvaluationJob,
    EvaluationResult,
    Job,
    TrainJob,
    TrainResult,
)
from fl.training.local_work import LocalWork
from fl.training.worker import Worker

EVALUATION_SEED = 0
"""Seed of the global generators in evaluation jobs, which have no seed of their own."""


@overload
def run_job(job: TrainJob, worker: Worker[LocalWork]) -> TrainResult: ...
@overload
def run_job(job: EvaluationJob, worker: Worker[LocalWork]) -> EvaluationResult: ...
def run_job(job: Job, worker: Worker[LocalWork]) -> TrainResult | EvaluationResult:
    """Run a job on a worker. The result is a function of the job alone.

    The global generators are seeded for the job: what a user's method, or a layer of it, draws from
    them is the same whenever and wherever the job runs.

    Raises
    ------
    ValueError
        If the job was made for another model.
    FloatingPointError
        If training diverges.
    """
    if isinstance(job, EvaluationJob):
        with seeded_generators(EVALUATION_SEED), worker.computing():
            return run_evaluation(job, worker)
    with seeded_generators(job.seed), worker.computing():
        return procedure_of(job.settings, worker).run(job, worker)
