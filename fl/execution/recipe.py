"""How a worker is made: equal settings, texts and models make an equal one in any process."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np
import torch

from fl.execution.code_digest import code_digest, imported_modules, library_versions
from fl.methods import METHODS, MethodConfig, install_method
from fl.methods.base import Method
from fl.methods.own import OwnConfig
from fl.models.backbone import Backbone
from fl.network import Streams
from fl.own_code import file_digest, file_of
from fl.training.batches import Examples
from fl.training.config import TrainingConfig
from fl.training.worker import Worker

_CODE = ("fl.execution.run_job", "fl.models.backbone")
"""Modules that run a job on a model and load the model; the method's own comes on top."""


def build_worker(
    config: MethodConfig,
    *,
    backbone: Backbone,
    train: Examples,
    test: Examples,
    training: TrainingConfig,
    streams: Streams,
    num_clients: int,
) -> Worker[Method]:
    """Install a method in a backbone, in place, and return what runs its jobs.

    The same arguments give an equal worker in any process, with the same ``model_key``. Sets the
    number of threads of torch for this process.

    Parameters
    ----------
    config
        Settings of the method.
    backbone
        Freshly loaded; it serves this method only from now on.
    train, test
        Texts that shards index, and the common test set.
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
    backbone.check_room(config.extra_positions, kind=config.kind)
    seed = int(streams("method_init").integers(2**63 - 1))
    method = install_method(
        config,
        backbone.module,
        generator=torch.Generator().manual_seed(seed),
        num_clients=num_clients,
    )
    backbone.module.eval()
    key = _model_key(
        config, method, seed=seed, backbone=backbone, tables=(train, test), training=training
    )
    return Worker(
        module=backbone.module,
        method=method,
        train=train,
        test=test,
        tokenizer=backbone.tokenizer,
        model_key=key,
    )


def _model_key(
    config: MethodConfig,
    method: Method,
    *,
    seed: int,
    backbone: Backbone,
    tables: Sequence[Examples],
    training: TrainingConfig,
) -> str:
    """Digest what a job's result depends on beside the job itself, code and libraries included."""
    digest = hashlib.sha256()
    named = [
        backbone.digest,
        getattr(backbone.module, "pooling", None),
        config.kind,
        {key: value for key, value in asdict(config).items() if key != "label"},
        seed,
        training.threads,
        _code_of(config),
        dict(library_versions()),
    ]
    digest.update(json.dumps(named, sort_keys=True).encode())
    arrays: list[np.ndarray | None] = [
        value.detach().numpy()
        for name, value in backbone.module.named_parameters()
        if name.startswith("head.") and name not in method.initial
    ]
    for table in tables:
        tokens = table.tokens
        arrays += [tokens.ids, tokens.offsets, table.labels, tokens.type_ids, tokens.answer_starts]
    for array in arrays:
        held = np.zeros(0) if array is None else np.ascontiguousarray(array)
        digest.update(f"{held.dtype} {held.shape}".encode())
        digest.update(held.tobytes())
    return digest.hexdigest()


def _code_of(config: MethodConfig) -> list[str]:
    """Digest the code of a method, of training and of models; of a user's own file as well."""
    if not isinstance(config, OwnConfig):
        return [code_digest(*_CODE, METHODS[config.kind].module)]
    imported = imported_modules(file_of(config.kind).read_bytes())
    return [file_digest(config.kind), code_digest(*_CODE, *sorted(imported))]
