"""Results of jobs as tensors and plain data: what a file or another process hands over.

Of a training job only what has changed is packed. What it has not is the very object that the job
began with, and is so again after unpacking.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
import torch

from fl.payload import Tensors
from fl.training.job import EvaluationResult, TrainJob, TrainResult
from fl.training.sample_privacy import Clipping

Packed = tuple[Tensors, Mapping[str, Any]]
"""Tensors by name, and plain data beside them."""


def pack_trained(job: TrainJob, result: TrainResult) -> Packed:
    """Return what is new in the result of a training job."""
    start = job.start.tensors
    changed = {
        name: value for name, value in result.tensors.items() if value is not start.get(name)
    }
    told = {
        "names": list(result.tensors),
        "mean_loss": result.mean_loss,
        "rms_loss": result.rms_loss,
        "num_samples": result.num_samples,
        "num_steps": result.num_steps,
        "clipping": None if result.clipping is None else asdict(result.clipping),
    }
    return changed, told


def unpack_trained(job: TrainJob, packed: Packed) -> TrainResult:
    """Return the result of a training job."""
    tensors, told = packed
    known = {**job.start.tensors, **tensors}
    return TrainResult(
        tensors={name: known[name] for name in told["names"]},
        mean_loss=told["mean_loss"],
        rms_loss=told["rms_loss"],
        num_samples=told["num_samples"],
        num_steps=told["num_steps"],
        clipping=None if (met := told.get("clipping")) is None else Clipping(**met),
    )


def pack_evaluated(result: EvaluationResult) -> Packed:
    """Return the result of an evaluation job."""
    scores = {name: torch.from_numpy(np.array(value)) for name, value in result.scores.items()}
    return scores, {"names": list(scores), "answers": list(result.answers)}


def unpack_evaluated(packed: Packed) -> EvaluationResult:
    """Return the result of an evaluation job."""
    tensors, told = packed
    return EvaluationResult(
        scores={name: tensors[name].numpy() for name in told["names"]},
        answers=tuple(told["answers"]),
    )
