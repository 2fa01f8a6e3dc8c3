"""DP-SGD: steps on the sum of clipped gradients of single texts, with noise.

Abadi et al., arXiv:1607.00133, algorithm 1. A step draws every text of the client by itself with
probability ``q = batch_size / texts`` (Poisson sampling, which the accounting rests on), clips the
gradient of each to ``clip_norm`` C, and goes by ``(sum + N(0, (z C)^2)) / (q texts)`` into any
optimiser. A method's penalty reads no text: its gradient is added after the noise.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Int

from fl.data.shards import Shards
from fl.payload import Tensors
from fl.training.cost import CostModel
from fl.training.job import Start, TrainJob, TrainResult
from fl.training.local_work import LocalWork
from fl.training.procedure import Largest
from fl.training.sample_privacy import (
    Clipping,
    SamplePrivacy,
    expected_texts,
    noise_generator,
    num_steps_of,
    poisson_batches,
)
from fl.training.step_losses import StepLosses
from fl.training.steps import Optimiser, finished_result
from fl.training.supervised import Supervised
from fl.training.text_gradients import PerText
from fl.training.worker import Worker


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivateSupervised(Supervised):
    """Supervised training in which each text of a client is protected."""

    privacy: SamplePrivacy
    """Of the settings of jobs."""

    def largest(self, shards: Shards, start: Start, cost: CostModel) -> Largest:
        """Return the largest pass, with a gradient of every text of it in memory."""
        # Not super(): a dataclass with slots is another class than the one that is written here.
        found = Supervised.largest(self, shards, start, cost)
        trained_bytes = sum(start.tensors[name].nbytes for name in start.trainable)
        step = found.step.with_gradients(found.num_texts * trained_bytes)
        return replace(found, step=step)

    def run(self, job: TrainJob, worker: Worker[LocalWork]) -> TrainResult:
        """Train a client's tensors on its texts; see :meth:`Supervised.run`."""
        worker.check_key(job.model_key)
        if job.settings != self.settings:
            msg = f"settings: job was made for {job.settings}, procedure has {self.settings}"
            raise ValueError(msg)
        steps = self._steps(job.samples, seed=job.seed)
        optimiser = Optimiser.of(job, worker, num_steps=len(steps))
        losses, norms = StepLosses(job), [np.empty(0)]
        gradients = PerText(worker, optimiser.named)
        for step, texts in enumerate(steps):
            total, of_texts = self._clipped_sum(texts, gradients, norms)
            if of_texts:
                losses.add([torch.cat(of_texts).mean()], of_texts)
            optimiser.step_along(self._noisy(total, job, optimiser, step=step), step=step)
        losses.settle()
        result = finished_result(
            job,
            worker,
            mean_loss=losses.mean if losses.num_texts else float("nan"),
            rms_loss=losses.rms if losses.num_texts else float("nan"),
            num_steps=len(steps),
        )
        met = np.concatenate(norms)
        clipping = Clipping(
            num_texts=len(met),
            num_clipped=int((met > self.privacy.clip_norm).sum()),
            median_norm=float(np.median(met)) if len(met) else 0.0,
        )
        return replace(result, clipping=clipping)

    def _clipped_sum(
        self,
        texts: Int[np.ndarray, " text"],
        gradients: PerText,
        norms: list[np.ndarray],
    ) -> tuple[Tensors, list[torch.Tensor]]:
        """Return the sum of clipped gradients and the losses of texts; note the lengths."""
        total: dict[str, torch.Tensor] = {}
        losses = []
        for piece in self._pieces(texts):
            found = gradients.of(piece)
            losses.append(found.losses)
            norms.append(found.norms().cpu().numpy())
            for name, each in found.clipped_sum(self.privacy.clip_norm).items():
                total[name] = total[name] + each if name in total else each
        return total, losses

    def _noisy(self, total: Tensors, job: TrainJob, optimiser: Optimiser, *, step: int) -> Tensors:
        """Return the mean gradient that a step goes by; noise is drawn in order of names."""
        rng = noise_generator(job.seed, step=step)
        scale = self.privacy.noise_multiplier * self.privacy.clip_norm
        size = expected_texts(batch_size=self.settings.batch_size, num_texts=len(job.samples))
        found = {}
        for name, value in sorted(optimiser.named.items()):
            noise = torch.from_numpy(scale * rng.standard_normal(value.numel()))
            noise = noise.reshape(value.shape).to(value)
            found[name] = (noise + total[name] if name in total else noise) / size
        return found

    def _pieces(self, batch: Int[np.ndarray, " text"]) -> list[Int[np.ndarray, " text"]]:
        """Part the texts of a step, of which there may be none, into those passed at once."""
        size = self.settings.micro_batch_size or self.settings.batch_size
        return [batch[at : at + size] for at in range(0, len(batch), size)]

    def _steps(
        self, samples: Int[np.ndarray, " text"], *, seed: int
    ) -> tuple[Int[np.ndarray, " text"], ...]:
        settings = self.settings
        num_steps = num_steps_of(
            batch_size=settings.batch_size,
            local_steps=settings.local_steps,
            local_epochs=settings.local_epochs,
            num_texts=len(samples),
        )
        size = settings.batch_size
        return tuple(poisson_batches(samples, batch_size=size, num_steps=num_steps, seed=seed))
