"""A worker of each method, and small jobs for it."""

from dataclasses import replace

import numpy as np

from fl.training.job import JobSettings, TrainJob
from fl.training.worker import Worker
from tests.fl.fakes import SMALLEST, FakeTokenizer, answers, examples, install, rewards, task_of

SETTINGS = JobSettings(
    local_steps=4,
    local_epochs=None,
    batch_size=8,
    learning_rate=1e-2,
    weight_decay=0.01,
    max_gradient_norm=1.0,
)


def worker_of(kind):
    method, module = install(kind)
    texts = examples if task_of(SMALLEST[kind]) == "classification" else answers
    return Worker(
        module=module,
        method=method,
        train=texts(60),
        test=texts(10),
        tokenizer=FakeTokenizer(),
        rewards=rewards(),
        model_key="key",
    )


def job_of(worker, client_id=0, **changes):
    method = worker.method
    download = method.download(method.initial_state(), client_id=client_id)
    job = TrainJob(
        model_key="key",
        client_id=client_id,
        round=1,
        version=0,
        start=method.start(download, method.initial_personal(client_id), version=0),
        samples=np.arange(20 * client_id, 20 * client_id + 20),
        settings=SETTINGS,
        seed=11 + client_id,
    )
    return replace(job, **changes)
