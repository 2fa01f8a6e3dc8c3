"""Putting a federation together from loaded parts and settings."""

from collections.abc import Callable, Sequence

import simpy

from fl.clients.devices import DeviceClass
from fl.data.partition import Shard
from fl.execution.executor import Executor
from fl.execution.run_job import procedure_of
from fl.methods import MethodConfig
from fl.methods.base import Method
from fl.network import Network, Streams
from fl.policies import build_policy
from fl.server.config import ServerConfig, measured
from fl.server.federation import Federation, Progress, Recorder, ignore_progress
from fl.training.config import TrainingConfig
from fl.training.cost import CostModel
from fl.training.job import JobSettings
from fl.training.worker import Worker


def build_federation(
    config: MethodConfig,
    *,
    env: simpy.Environment,
    network: Network,
    streams: Streams,
    worker: Worker[Method],
    shards: Sequence[Shard],
    devices: Sequence[DeviceClass],
    training: TrainingConfig,
    server: ServerConfig,
    executor: Executor,
    recorder: Recorder,
    on_progress: Callable[[Progress], None] = ignore_progress,
) -> Federation:
    """Return a federation that is ready to run.

    Parameters
    ----------
    config
        Settings of the method.
    env
        Clock that network and federation share.
    network
        Where transfers go and joules are booked.
    streams
        Addressed randomness. Used: ``cohort`` (round), ``training`` (client, round).
    worker
        Model, method and texts; from :meth:`fl.execution.recipe.WorkerRecipe.build`.
    shards, devices
        By client id.
    training, server
        Settings, already checked.
    executor
        Takes the jobs; they run on workers equal to ``worker``.
    recorder
        Takes the rows.
    on_progress
        Told after every round.

    Raises
    ------
    fl.clients.devices.DeviceMemoryError
        A device cannot hold the largest step.
    ValueError
        A setting that does not suit the method or the backbone.
    """
    tokens = worker.train.tokens
    is_classified = tokens.answer_starts is None
    rate = training.learning_rate if config.learning_rate is None else config.learning_rate
    job_settings = JobSettings(
        local_steps=training.local_steps,
        local_epochs=training.local_epochs,
        batch_size=training.batch_size,
        learning_rate=rate,
        weight_decay=training.weight_decay,
        max_gradient_norm=training.max_gradient_norm,
    )
    return Federation(
        env=env,
        network=network,
        streams=streams,
        method=worker.method,
        worker=worker,
        executor=executor,
        cost=CostModel(
            worker.module,
            max_tokens=int(tokens.lengths.max()),
            row_groups=worker.method.row_groups,
        ),
        policy=build_policy(server.policy),
        server=server,
        job_settings=job_settings,
        procedure=procedure_of(job_settings, worker),
        evaluation_batch_size=training.evaluation_batch_size,
        shards=shards,
        devices=devices,
        metrics=measured(server, "classification" if is_classified else "generation"),
        recorder=recorder,
        on_progress=on_progress,
    )
