"""A training job: everything that decides a client's update, and the update."""

import hashlib
import json
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Int

from fl.payload import Tensors


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """Where a training job begins."""

    tensors: Tensors
    """A value for every tensor that the method installed."""
    trainable: tuple[str, ...]
    """Those that this job trains, sorted; the others stay as they are."""
    client_outputs: Tensors = field(default_factory=dict)
    """Names and shapes of what :meth:`fl.training.local_work.LocalWork.finish` will return. The
    values are those of before, if any: a client's tensors that are in no layer reach it here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSettings:
    """Hyper-parameters of a job, resolved for its method; fields as in ``TrainingConfig``."""

    local_steps: int | None
    local_epochs: int | None
    batch_size: int
    learning_rate: float
    weight_decay: float
    max_gradient_norm: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainJob:
    """The inputs of one client's training in one round. The result is a function of these alone."""

    model_key: str
    """Names backbone, method settings, training texts and threads: what a worker was built from."""
    client_id: int
    round: int
    version: int
    """Server version that the client began from: what methods go by."""
    start: Start
    """Values of all installed tensors, and which of them to train."""
    samples: Int[np.ndarray, " text"]
    """Texts to train on: indices into the training table."""
    settings: JobSettings
    seed: int
    """Decides the order of the texts."""

    def digest(self) -> str:
        """SHA-256 of all inputs: equal digests, equal results."""
        digest = hashlib.sha256()
        settings = {name: getattr(self.settings, name) for name in JobSettings.__slots__}
        inputs = [self.model_key, self.client_id, self.round, self.version]
        inputs += [self.seed, settings]
        inputs.append(list(self.start.trainable))
        digest.update(json.dumps(inputs, sort_keys=True).encode())
        digest.update(np.ascontiguousarray(self.samples, dtype="<i8").tobytes())
        for tensors in (self.start.tensors, self.start.client_outputs):
            for name in sorted(tensors):
                tensor = tensors[name].contiguous()
                digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
                digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainResult:
    """What a job produced."""

    tensors: Tensors
    """Value of every installed tensor after training, trained or not (an untrained one is the very
    object that the job began with), and of the client outputs that the method computed."""
    mean_loss: float
    """Loss of the task [nat], mean over all texts of all steps, before each step, without the
    method's penalty."""
    num_samples: int
    """Texts of the shard: the weight of the update."""
    num_steps: int
