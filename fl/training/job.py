"""Jobs and their results: everything that decides a client's update, or the scores of a model."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float, Int

from fl.payload import Tensors
from fl.training.config import TrainingConfig
from fl.training.optimiser_settings import ADAMW, OptimiserSettings
from fl.training.rate_schedule import CONSTANT_RATE, RateSchedule
from fl.training.sample_privacy import Clipping, SamplePrivacy

Scores = Mapping[str, Float[np.ndarray, " text"]]
"""What metrics are summed from, by name: one number a text."""


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
    optimiser: OptimiserSettings = ADAMW
    step_schedule: RateSchedule = CONSTANT_RATE
    warmup_steps: int = 0
    decays_norms_and_biases: bool = True
    micro_batch_size: int | None = None
    lora_dropout: float = 0.0
    backbone_dropout: float = 0.0
    privacy: SamplePrivacy | None = None

    @property
    def drops(self) -> bool:
        """Whether anything is dropped in the steps of a job."""
        return bool(self.lora_dropout or self.backbone_dropout)

    @classmethod
    def of(cls, training: TrainingConfig, *, learning_rate: float | None) -> "JobSettings":
        """Return those of a study, with a method's own learning rate where it has one."""
        return cls(
            local_steps=training.local_steps,
            local_epochs=training.local_epochs,
            batch_size=training.batch_size,
            learning_rate=training.learning_rate if learning_rate is None else learning_rate,
            weight_decay=training.weight_decay,
            max_gradient_norm=training.max_gradient_norm,
            optimiser=training.optimiser,
            step_schedule=training.step_schedule,
            warmup_steps=training.warmup_steps,
            decays_norms_and_biases=training.decay_norms_and_biases,
            micro_batch_size=training.micro_batch_size,
            lora_dropout=training.lora.dropout,
            backbone_dropout=training.backbone_dropout,
            privacy=training.privacy,
        )


@dataclass(slots=True, kw_only=True)  # freezing would triple the time that making one takes
class TrainJob:
    """The inputs of one client's training in one round. The result is a function of these alone."""

    model_key: str
    """What the worker was built from: backbone, method, texts, threads, code, library versions."""
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
        """Return the SHA-256 of all inputs: equal digests, equal results."""
        numbers = [self.client_id, self.round, self.version, self.seed]
        return _digest(
            "train",
            [self.model_key, *numbers, asdict(self.settings)],
            self.samples,
            self.start.tensors,
            self.start.client_outputs,
            trainable=self.start.trainable,
        )

    def describe(self) -> str:
        """Return whose job it is, for messages."""
        return f"training job of client {self.client_id} in round {self.round}"


@dataclass(slots=True, kw_only=True)  # freezing would triple the time that making one takes
class TrainResult:
    """What a training job produced."""

    tensors: Tensors
    """Value of every installed tensor after training, trained or not (an untrained one is the very
    object that the job began with), and of the client outputs that the method worked out."""
    mean_loss: float
    """Loss of the task [nat], mean over all texts of all steps, before each step, without the
    method's penalty."""
    rms_loss: float
    """Root of the mean square of the loss of each text of all steps, before each step [nat]."""
    num_samples: int
    """Texts of the shard: the weight of the update."""
    num_steps: int
    clipping: Clipping | None = None
    """What clipping of the gradients of texts met; ``None`` where none is clipped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationJob:
    """The inputs of one evaluation of one model. The result is a function of these alone."""

    model_key: str
    """As in :class:`TrainJob`."""
    tensors: Tensors
    """A value for every tensor that the method installed."""
    table: Literal["train", "test"]
    """Table of the worker that ``samples`` index."""
    samples: Int[np.ndarray, " text"]
    """Texts to evaluate on; one may occur several times."""
    batch_size: int
    """Texts a batch; it changes the last bits of scores."""
    max_new_tokens: int | None = None
    """Tokens of a generated answer at most; ``None``: texts are scored and nothing is generated."""
    is_choice: bool = False
    """Whether an answer is chosen among those of the data instead; nothing is generated then."""

    def digest(self) -> str:
        """Return the SHA-256 of all inputs: equal digests, equal results."""
        inputs = [self.model_key, self.table, self.batch_size, self.max_new_tokens, self.is_choice]
        return _digest("evaluate", inputs, self.samples, self.tensors)

    def describe(self) -> str:
        """Return what is evaluated, for messages."""
        return f"evaluation job on {len(self.samples)} texts of the {self.table} table"


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationResult:
    """What an evaluation job produced."""

    scores: Scores
    """Scores of each text, in the order of the job's ``samples``."""
    answers: tuple[str, ...] = ()
    """What was written to each of them; empty where nothing is generated."""


Job = TrainJob | EvaluationJob


def _digest(
    kind: str,
    inputs: list[Any],
    samples: Int[np.ndarray, " text"],
    *mappings: Tensors,
    trainable: tuple[str, ...] = (),
) -> str:
    """Digest inputs that are plain data, then texts, then tensors; each part with its length."""
    plain = [kind, *inputs, list(trainable), len(samples), [len(each) for each in mappings]]
    digest = hashlib.sha256(json.dumps(plain, sort_keys=True).encode())
    digest.update(np.ascontiguousarray(samples, dtype="<i8").tobytes())
    for tensors in mappings:
        for name in sorted(tensors):
            tensor = tensors[name].detach().contiguous()
            digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
            digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
