"""Putting a federation together from loaded parts and settings."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import simpy

from fl.clients.availability import AlwaysAvailable, AvailabilityConfig, build_availability
from fl.clients.battery import BatteryConfig
from fl.clients.devices import Devices
from fl.clients.precision import Precision
from fl.clients.throttling import TwoStateThrottling
from fl.data.shards import Shards
from fl.execution.executor import Executor, InProcessExecutor
from fl.execution.procedures import procedure_of
from fl.execution.timing_only import TimingOnlyExecutor
from fl.methods import MethodConfig, attended_pairs_of
from fl.methods.base import Method
from fl.metrics import METRICS, Task
from fl.network import Network, Streams
from fl.policies import build_policy
from fl.server.config import ServerConfig, measured
from fl.server.cost_twin import CostTwin
from fl.server.faults import FaultsConfig
from fl.server.federation import Federation, Progress, Recorder, ignore_progress
from fl.training.config import TrainingConfig
from fl.training.cost import CostModel
from fl.training.job import JobSettings
from fl.training.worker import Worker


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of a scenario that a federation is built from, already checked."""

    method: MethodConfig
    training: TrainingConfig
    server: ServerConfig
    precision: Precision = "fp32"
    throttling: TwoStateThrottling | None = None
    availability: AvailabilityConfig = field(default_factory=AlwaysAvailable)
    battery: BatteryConfig | None = None
    faults: FaultsConfig = field(default_factory=FaultsConfig)


def build_federation(
    settings: Settings,
    *,
    env: simpy.Environment,
    network: Network,
    streams: Streams,
    worker: Worker[Method],
    shards: Shards,
    devices: Devices,
    recorder: Recorder,
    on_progress: Callable[[Progress], None] = ignore_progress,
    twin: CostTwin | None = None,
    executor: Executor | None = None,
    states: Path | None = None,
) -> Federation:
    """Return a federation that is ready to run.

    Parameters
    ----------
    settings
        Of method, local training and server.
    env
        Clock that network and federation share.
    network
        Where transfers go and joules are booked.
    streams
        Addressed randomness. Used: ``cohort`` (round), ``training`` (client, round), and
        ``availability``, ``battery`` and ``fault`` (crash).
    worker
        Model, method and texts; from :func:`fl.execution.recipe.build_worker`.
    shards, devices
        By client id.
    recorder
        Takes the rows.
    on_progress
        Told after every round.
    twin
        Fresh: larger architecture whose bytes, operations and memory are charged; ``None``: those
        of the model that trains.
    executor
        Runs the jobs; ``None``: this process, every one of them. Where nothing is trained, there
        are none.
    states
        Folder for what clients hold of their own beyond
        :data:`fl.server.state_place.BUDGET_BYTES`; ``None``: all of it is in memory.

    Raises
    ------
    fl.clients.devices.DeviceMemoryError
        A device cannot hold the largest step.
    ValueError
        A setting that does not suit the method or the backbone.
    """
    training, server, tokens = settings.training, settings.server, worker.train.tokens
    job_settings = JobSettings.of(training, learning_rate=settings.method.learning_rate)
    max_tokens, row_groups = int(tokens.lengths.max()), worker.method.row_groups
    is_timing_only = training.mode == "none"
    if is_timing_only:
        executor = TimingOnlyExecutor()
    elif executor is None:
        executor = InProcessExecutor(worker)
    task: Task = "classification" if tokens.answer_starts is None else "generation"
    metrics = () if is_timing_only else measured(server, task)
    if any(METRICS[name].is_chosen for name in metrics):
        _ = worker.choices  # refuses data with too many
    return Federation(
        env=env,
        network=network,
        streams=streams,
        method=worker.method,
        worker=worker,
        executor=executor,
        cost=CostModel(
            worker.module,
            max_tokens=max_tokens,
            row_groups=row_groups,
            attended_pairs=attended_pairs_of(settings.method),
        )
        if twin is None
        else twin.cost,
        policy=build_policy(server.policy),
        server=server,
        job_settings=job_settings,
        rate_schedule=training.rate_schedule,
        warmup_rounds=training.warmup_rounds,
        procedure=procedure_of(job_settings, worker),
        evaluation_batch_size=training.evaluation_batch_size,
        shards=shards,
        devices=devices,
        precision=settings.precision,
        throttling=settings.throttling,
        battery=settings.battery,
        faults=settings.faults,
        availability=build_availability(
            settings.availability, num_clients=len(shards), streams=streams
        ),
        metrics=metrics,
        recorder=recorder,
        on_progress=on_progress,
        twin=twin,
        states=states,
    )
