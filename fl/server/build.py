"""Putting a federation together from loaded parts and settings."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict

import numpy as np
import simpy
import torch

from fl.clients.devices import DeviceClass
from fl.data.partition import Shard
from fl.execution.executor import Executor, InProcessExecutor
from fl.methods import MethodConfig, install_method
from fl.methods.base import Method
from fl.methods.own import OwnConfig
from fl.models.backbone import Backbone, num_positions
from fl.network import Network, Streams
from fl.own_code import file_digest
from fl.policies import build_policy
from fl.server.config import ServerConfig, measured
from fl.server.federation import Federation, Progress, Recorder, ignore_progress
from fl.training.batches import Examples
from fl.training.config import TrainingConfig
from fl.training.cost import CostModel
from fl.training.job import JobSettings
from fl.training.worker import Worker


def build_worker(
    config: MethodConfig,
    *,
    backbone: Backbone,
    train: Examples,
    training: TrainingConfig,
    streams: Streams,
    num_clients: int,
) -> Worker[Method]:
    """Install a method in a backbone, in place, and give what runs its jobs.

    The same arguments give an equal worker in any process, with the same ``model_key``. Sets the
    number of threads of torch for this process.

    Parameters
    ----------
    config
        Settings of the method.
    backbone
        Freshly loaded; it serves this method only from now on.
    train
        Texts that shards index.
    training
        Settings of local training.
    streams
        Addressed randomness; the method's first values come from ``method_init``.
    num_clients
        Clients of the federation.

    Raises
    ------
    ValueError
        A setting that does not suit the backbone.
    """
    torch.set_num_threads(training.threads)
    _check_positions(config, backbone)
    seed = int(streams("method_init").integers(2**63 - 1))
    method = install_method(
        config,
        backbone.module,
        generator=torch.Generator().manual_seed(seed),
        num_clients=num_clients,
    )
    backbone.module.eval()
    key = _model_key(config, backbone=backbone, train=train, training=training)
    return Worker(
        module=backbone.module,
        method=method,
        train=train,
        tokenizer=backbone.tokenizer,
        model_key=key,
    )


def build_federation(
    config: MethodConfig,
    *,
    env: simpy.Environment,
    network: Network,
    streams: Streams,
    backbone: Backbone,
    train: Examples,
    test: Examples,
    shards: Sequence[Shard],
    devices: Sequence[DeviceClass],
    training: TrainingConfig,
    server: ServerConfig,
    recorder: Recorder,
    on_progress: Callable[[Progress], None] = ignore_progress,
    make_executor: Callable[[Worker[Method]], Executor] = InProcessExecutor,
) -> Federation:
    """Give a federation that is ready to run.

    Parameters
    ----------
    config
        Settings of the method.
    env
        Clock that network and federation share.
    network
        Where transfers go and joules are booked.
    streams
        Addressed randomness. Used: ``method_init`` (), ``cohort`` (round), ``training``
        (client, round).
    backbone
        Freshly loaded for this run: the method is installed in it, in place.
    train
        Texts that shards index.
    test
        Common test set.
    shards, devices
        By client id.
    training, server
        Settings, already checked.
    recorder
        Takes the rows.
    on_progress
        Told after every round.
    make_executor
        Builds what runs the jobs.

    Raises
    ------
    fl.clients.devices.DeviceMemoryError
        A device cannot hold the largest step.
    ValueError
        A setting that does not suit the method or the backbone.
    """
    worker = build_worker(
        config,
        backbone=backbone,
        train=train,
        training=training,
        streams=streams,
        num_clients=len(shards),
    )
    is_classified = train.tokens.answer_starts is None
    rate = training.learning_rate if config.learning_rate is None else config.learning_rate
    return Federation(
        env=env,
        network=network,
        streams=streams,
        method=worker.method,
        worker=worker,
        executor=make_executor(worker),
        cost=CostModel(
            backbone.module, max_tokens=backbone.max_tokens, row_groups=worker.method.row_groups
        ),
        policy=build_policy(server.policy),
        server=server,
        job_settings=JobSettings(
            local_steps=training.local_steps,
            local_epochs=training.local_epochs,
            batch_size=training.batch_size,
            learning_rate=rate,
            weight_decay=training.weight_decay,
            max_gradient_norm=training.max_gradient_norm,
        ),
        evaluation_batch_size=training.evaluation_batch_size,
        shards=shards,
        devices=devices,
        test=test,
        metrics=measured(server, "classification" if is_classified else "generation"),
        recorder=recorder,
        on_progress=on_progress,
    )


def _check_positions(config: MethodConfig, backbone: Backbone) -> None:
    """Refuse texts that have no room beside what the method puts before them."""
    positions = num_positions(backbone.module.encoder.config) if config.extra_positions else None
    if positions is not None and backbone.max_tokens + config.extra_positions > positions:
        msg = (
            f"model.max_tokens: must be at most {positions - config.extra_positions} with the "
            f"{config.extra_positions} virtual tokens of {config.kind}, as {backbone.name!r} has "
            f"{positions} positions, got {backbone.max_tokens}"
        )
        raise ValueError(msg)


def _model_key(
    config: MethodConfig, *, backbone: Backbone, train: Examples, training: TrainingConfig
) -> str:
    """Digest what a job's result depends on beside the job itself."""
    digest = hashlib.sha256()
    named = [
        backbone.digest,
        getattr(backbone.module, "pooling", None),
        config.kind,
        {key: value for key, value in asdict(config).items() if key != "label"},
        file_digest(config.kind) if isinstance(config, OwnConfig) else None,
        training.threads,
        torch.__version__,
    ]
    digest.update(json.dumps(named, sort_keys=True).encode())
    tokens = train.tokens
    for array in (tokens.ids, tokens.offsets, train.labels, tokens.type_ids, tokens.answer_starts):
        if array is not None:
            digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
