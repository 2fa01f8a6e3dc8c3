"""Gradients of single texts, and their clipped sum.

A pass over several texts gives each its own gradient where every trained tensor is put in place
once for each text, by :class:`fl.training.client_axis.ClientAxis`: a text is what a client is
there. So each kind of trained tensor that can be stacked works, tensor trains and factors of LoRA
among them, and no kind of layer has a rule of its own. Where a model or a method does not allow it,
texts are passed one by one. Which of both is found out with the first two texts that a job draws at
once: their gradients are compared with those of passes of each alone.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import nn

from fl.models.client_losses import client_losses, num_scored
from fl.payload import Tensors
from fl.training.client_axis import ClientAxis
from fl.training.local_work import LocalWork
from fl.training.worker import Worker

TOLERANCE = 1e-3
"""Largest difference of the gradient of a text from that of a pass of it alone, by its norm [our
choice: rounding makes 1e-5]."""
HALF_TOLERANCE = 0.1
"""The same where passes are in half precision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextGradients:
    """Of some texts."""

    gradients: Mapping[str, Float[torch.Tensor, "text ..."]]
    """By trained tensor, one gradient a text."""
    losses: Float[torch.Tensor, " text"]
    """Loss of each [nat], mean over the tokens of its answer."""

    def norms(self) -> Float[torch.Tensor, " text"]:
        """Return the length of the gradient of each text, of all tensors together."""
        squares = [each.double().square().flatten(1).sum(1) for each in self.gradients.values()]
        return torch.stack(squares).sum(0).sqrt()

    def clipped_sum(self, clip_norm: float) -> Tensors:
        """Return ``sum_i g_i min(1, C / |g_i|)``, by trained tensor."""
        norms = self.norms()
        factors = torch.where(norms > clip_norm, clip_norm / norms, 1.0)
        return {
            name: torch.einsum("t,t...->...", factors.to(each.dtype), each)
            for name, each in self.gradients.items()
        }


@dataclass(slots=True)
class PerText:
    """Gradients of the texts of one job.

    Parameters
    ----------
    worker
        Its model holds the values of the job as they are at the step.
    named
        What is trained, by name: parameters of that model.
    """

    worker: Worker[LocalWork]
    named: Mapping[str, nn.Parameter]
    _together: bool | None = field(default=None)
    """Whether texts are passed together; ``None``: not known yet."""

    def of(self, texts: Int[np.ndarray, " text"]) -> TextGradients:
        """Return the gradient of each of some texts of the training table, at least one."""
        if self._together is None and len(texts) > 1:  # one alone cannot show that two are apart
            self._together = self._agrees(texts[:2])
        return self.together(texts) if self._together else self.one_by_one(texts)

    def together(self, texts: Int[np.ndarray, " text"]) -> TextGradients:
        """Return the same of one pass of all."""
        worker, module = self.worker, self.worker.module
        values = {
            name: each.detach().expand(len(texts), *each.shape).requires_grad_()
            for name, each in self.named.items()
        }
        axis = ClientAxis(module, values)
        batch, is_own = worker.batch("train", texts), np.ones((len(texts), 1), dtype=bool)
        numbers = torch.as_tensor(num_scored(module, batch, is_own), device=worker.device)
        with axis.installed():
            losses = client_losses(module, batch, is_own).sums / numbers
        return _found(losses, values, lambda found: found)

    def one_by_one(self, texts: Int[np.ndarray, " text"]) -> TextGradients:
        """Return the same of a pass a text."""
        each = [
            _found(
                self.worker.module.losses(self.worker.batch("train", texts[at : at + 1]))[0][None],
                self.named,
                lambda found: found[None],
            )
            for at in range(len(texts))
        ]
        return TextGradients(
            gradients={
                name: torch.cat([found.gradients[name] for found in each]) for name in self.named
            },
            losses=torch.cat([found.losses for found in each]),
        )

    def _agrees(self, texts: Int[np.ndarray, " text"]) -> bool:
        """Whether a pass of all gives what passes of single texts do."""
        try:
            found = self.together(texts)
        except Exception:
            return False
        alone = self.one_by_one(texts)
        limit = TOLERANCE if self.worker.passes.autocast is None else HALF_TOLERANCE
        apart = {name: each - found.gradients[name] for name, each in alone.gradients.items()}
        differences = TextGradients(gradients=apart, losses=alone.losses).norms()
        return bool((differences <= limit * alone.norms()).all())


def _found(
    losses: Float[torch.Tensor, " text"],
    values: Mapping[str, torch.Tensor],
    shaped: Callable[[torch.Tensor], torch.Tensor],
) -> TextGradients:
    """Go back from the sum of losses; a tensor that no loss reaches has a gradient of 0."""
    wanted: Sequence[torch.Tensor] = list(values.values())
    gradients = torch.autograd.grad(losses.sum(), wanted, allow_unused=True)
    return TextGradients(
        gradients={
            name: shaped(torch.zeros_like(value) if each is None else each)
            for (name, value), each in zip(values.items(), gradients, strict=True)
        },
        losses=losses.detach(),
    )
