"""What the procedures have in common: the optimiser of a job, and the end of one."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import torch

from fl.payload import Tensors
from fl.training.job import TrainJob, TrainResult
from fl.training.local_work import LocalWork
from fl.training.loss_scale import LossScale, go_back
from fl.training.optimisers import new_optimiser, set_rate, undecayed_names
from fl.training.step_losses import diverged
from fl.training.worker import Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimiser:
    """The optimiser of a job's tensors, fresh, with the method's penalty in each loss."""

    job: TrainJob
    worker: Worker[LocalWork]
    named: Mapping[str, torch.nn.Parameter]
    """What is trained, by name."""
    optimiser: torch.optim.Optimizer
    num_steps: int
    """Steps of the job, which its schedule goes by."""
    scale: LossScale | None = None
    """Of the loss, where passes are in float16."""

    @classmethod
    def of(cls, job: TrainJob, worker: Worker[LocalWork], *, num_steps: int) -> "Optimiser":
        """Put a job's values into the model and prepare to train some of them."""
        trainable = job.start.trainable
        parameters = worker.load(job.start.tensors, trainable=trainable)
        named = dict(zip(trainable, parameters, strict=True))
        undecayed = undecayed_names(job.settings, named)
        return cls(
            job=job,
            worker=worker,
            named=named,
            optimiser=new_optimiser(job.settings, named, undecayed=undecayed),
            num_steps=num_steps,
            scale=LossScale(device=worker.device) if worker.passes.autocast == "fp16" else None,
        )

    def update(self, loss: torch.Tensor, *, step: int) -> None:
        """Make one step on a loss and the method's penalty.

        Raises
        ------
        FloatingPointError
            If the loss is not finite; says which client, round and step.
        """
        self.update_on([loss], step=step)
        value = loss.item()
        if not math.isfinite(value):
            raise diverged(self.job, value, step=step)

    def step_along(self, gradients: Tensors, *, step: int) -> None:
        """Make one step along given gradients, by name, and that of the method's penalty."""
        self.optimiser.zero_grad(set_to_none=True)
        penalty = self.worker.method.penalty(self.named, self.job.start)
        if penalty is not None:
            penalty.backward()  # type: ignore[no-untyped-call]
        for name, each in self.named.items():
            own = gradients[name]
            each.grad = own if each.grad is None else each.grad + own
        self._step(step)

    def update_on(self, parts: Iterable[torch.Tensor], *, step: int) -> list[torch.Tensor]:
        """Make one step on the sum of parts of a loss and the penalty; return the parts.

        Each part is passed back before the next is asked for: the graph of one alone is in memory.
        Whether the loss is finite is not looked at.
        """
        job = self.job
        self.optimiser.zero_grad(set_to_none=True)
        found, penalty = [], None
        for index, part in enumerate(parts):
            if index == 0:
                penalty = self.worker.method.penalty(self.named, job.start)
            total = part if index or penalty is None else part + penalty
            go_back(total, list(self.named.values()), self.scale)
            found.append(part.detach())
        self._step(step)
        return found

    def _step(self, step: int) -> None:
        """Let the optimiser go by the gradients that the tensors have."""
        settings = self.job.settings
        set_rate(self.optimiser, settings, step=step, num_steps=self.num_steps)
        if settings.max_gradient_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.named.values(), settings.max_gradient_norm)
        self.optimiser.step()


def finished_result(
    job: TrainJob,
    worker: Worker[LocalWork],
    *,
    mean_loss: float,
    rms_loss: float,
    num_steps: int,
) -> TrainResult:
    """Read what a job trained, and let the method do its work after the last step.

    Raises
    ------
    ValueError
        If that work does not have the names and shapes that were announced.
    """
    for name in job.start.trainable:
        worker.parameters[name].requires_grad = False
        worker.parameters[name].grad = None
    tensors = {**job.start.tensors, **worker.read(job.start.trainable)}
    found = worker.method.finish(tensors, job, worker)
    outputs = {name: each.cpu() for name, each in found.items()}
    check_announced(outputs, job)
    return TrainResult(
        tensors={**tensors, **outputs},
        mean_loss=mean_loss,
        rms_loss=rms_loss,
        num_samples=len(job.samples),
        num_steps=num_steps,
    )


def check_announced(outputs: Tensors, job: TrainJob) -> None:
    """Compare what a method computed with what it announced, on which the bytes sent rest."""
    found = {name: tuple(tensor.shape) for name, tensor in outputs.items()}
    announced = {name: tuple(tensor.shape) for name, tensor in job.start.client_outputs.items()}
    if found != announced:
        msg = f"finish: must give tensors of the names and shapes {announced}, got {found}"
        raise ValueError(msg)
