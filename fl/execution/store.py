"""Results of jobs in a folder, by the digest of the job: nothing is trained twice.

Equal digests mean equal results, in any run, study or process. Files are safetensors and hold
nothing else; a file that is damaged is as good as none.
"""

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from fl.payload import Tensors
from fl.training.job import EvaluationJob, EvaluationResult, TrainJob, TrainResult


class ResultStore:
    """Results that any process may add and read.

    Parameters
    ----------
    folder
        Where they lie; made if it is missing.

    Raises
    ------
    OSError
        The folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder

    def trained(self, job: TrainJob, run: Callable[[TrainJob], TrainResult]) -> TrainResult:
        """Return the result of a training job; one that nobody has stored is run and stored."""
        digest, start = job.digest(), job.start.tensors
        read = self._read(digest)
        if read is not None:
            tensors, told = read
            # what was not trained is the very object that the job began with
            known = {**start, **tensors}
            return TrainResult(
                tensors={name: known[name] for name in told["names"]},
                mean_loss=told["mean_loss"],
                rms_loss=told["rms_loss"],
                num_samples=told["num_samples"],
                num_steps=told["num_steps"],
            )
        result = run(job)
        changed = {
            name: value for name, value in result.tensors.items() if value is not start.get(name)
        }
        told = {
            "names": list(result.tensors),
            "mean_loss": result.mean_loss,
            "rms_loss": result.rms_loss,
            "num_samples": result.num_samples,
            "num_steps": result.num_steps,
        }
        self._write(digest, changed, told)
        return result

    def evaluated(
        self, job: EvaluationJob, run: Callable[[EvaluationJob], EvaluationResult]
    ) -> EvaluationResult:
        """Return the result of an evaluation job; one that nobody has stored is run and stored."""
        digest = job.digest()
        read = self._read(digest)
        if read is not None:
            tensors, told = read
            return EvaluationResult(
                scores={name: tensors[name].numpy() for name in told["names"]},
                answers=tuple(told["answers"]),
            )
        result = run(job)
        scores = {name: torch.from_numpy(np.array(value)) for name, value in result.scores.items()}
        self._write(digest, scores, {"names": list(scores), "answers": list(result.answers)})
        return result

    def _path(self, digest: str) -> Path:
        return self._folder / digest[:2] / f"{digest}.safetensors"

    def _read(self, digest: str) -> tuple[dict[str, torch.Tensor], Mapping[str, Any]] | None:
        path = self._path(digest)
        try:
            with safe_open(path, framework="pt") as file:
                told = json.loads(file.metadata()["result"])
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 -- it is no dict
        except (FileNotFoundError, SafetensorError, KeyError, TypeError, ValueError):
            return None
        return tensors, told

    def _write(self, digest: str, tensors: Tensors, told: Mapping[str, object]) -> None:
        path = self._path(digest)
        path.parent.mkdir(exist_ok=True)
        # under its own name only when it is whole: others read at any time
        handle, draft = tempfile.mkstemp(dir=path.parent, suffix=".part")
        os.close(handle)
        try:
            apart = {name: value.detach().clone() for name, value in tensors.items()}
            save_file(apart, draft, metadata={"result": json.dumps(told)})
            Path(draft).replace(path)
        finally:
            Path(draft).unlink(missing_ok=True)
