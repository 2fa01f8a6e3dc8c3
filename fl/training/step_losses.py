"""Losses of the steps of a job, read when that costs nothing.

On the CPU a loss is there when its step has been taken. From another device each reading would wait
for all that the device is at: there they are read once, after the last step, and a job that
diverges takes its other steps in vain.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

from fl.training.job import TrainJob

Parts = Sequence[torch.Tensor]
"""Of each pass of a step: a loss without gradient, or those of its texts."""


@dataclass(slots=True)
class StepLosses:
    """Sums over the texts of a job's steps.

    Parameters
    ----------
    job
        Named where its loss is not finite.
    """

    job: TrainJob
    loss_sum: float = 0.0
    """Loss [nat] of each step times its texts."""
    square_sum: float = 0.0
    """Squares of the loss of each text of each step [nat^2]."""
    num_texts: int = 0
    num_steps: int = 0
    _waiting: list[tuple[Parts, Parts]] = field(default_factory=list)

    def add(self, parts: Parts, of_texts: Parts) -> None:
        """Take in the parts of the loss of a step, and the losses of the texts of each part.

        Raises
        ------
        FloatingPointError
            As :meth:`settle`.
        """
        self._waiting.append((parts, of_texts))
        if parts[0].device.type == "cpu":
            self.settle()

    def settle(self) -> None:
        """Read what has not been read.

        Raises
        ------
        FloatingPointError
            A loss is not finite; says which client, round and step.
        """
        for parts, of_texts in self._waiting:
            loss = 0.0
            for part in parts:  # one by one: ``sum`` rounds otherwise from Python 3.12 on
                loss += float(part)
            if not math.isfinite(loss):
                raise diverged(self.job, loss, step=self.num_steps)
            num_texts = sum(map(len, of_texts))
            self.loss_sum += loss * num_texts
            for each in of_texts:
                self.square_sum += float(each.cpu().double().square().sum())
            self.num_texts += num_texts
            self.num_steps += 1
        self._waiting.clear()

    @property
    def mean(self) -> float:
        """Mean over texts [nat]."""
        return self.loss_sum / self.num_texts

    @property
    def rms(self) -> float:
        """Root of the mean square over texts [nat]."""
        return math.sqrt(self.square_sum / self.num_texts)


def diverged(job: TrainJob, loss: float, *, step: int) -> FloatingPointError:
    """Return what is raised where the loss of a step is not finite."""
    return FloatingPointError(
        f"training diverged: loss {loss} at step {step} of client {job.client_id} in "
        f"round {job.round}; a smaller training.learning_rate may help"
    )
