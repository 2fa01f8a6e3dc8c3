"""Supervised jobs of several clients as one: their tensors stacked, their texts in one batch.

Jobs take their steps together: the first step of all, then the second, and so on; one that has had
its last step leaves. Each client has its own optimiser (it works number by number), its own norm of
the gradient and its own penalty. Batches that are shorter than others are filled up with a text of
the same client that counts nothing. Texts of a step are passed short ones first, in passes of
similar length, as many of each client in each: little is padded. So a client's result is that of
its job alone but for rounding: sums run in another order, products of matrices are of another size,
and texts are padded otherwise.

Whether a model and a method allow it is found out by doing it: at the second step, the losses and
gradients of two clients are compared with those of the client alone.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch
from jaxtyping import Bool, Int

from fl.global_generators import seeded_generators
from fl.models.client_losses import client_losses, num_scored
from fl.payload import Tensors
from fl.training.client_axis import CannotStackError, ClientAxis
from fl.training.job import TrainJob, TrainResult
from fl.training.local_work import LocalWork
from fl.training.loss_scale import LossScale, go_back
from fl.training.optimisers import new_optimiser, undecayed_names
from fl.training.procedure import Batches
from fl.training.step_losses import diverged
from fl.training.steps import finished_result
from fl.training.worker import Worker

CHECKED_STEP = 1
"""Step that is compared, or the last one: after the first step clients differ in their values."""
PASS_TOKENS = 96
"""What a pass costs beside its tokens, in tokens [our choice, by measurement on a CPU]."""
TOLERANCE = 1e-3
"""Largest difference of a gradient from that of the client alone, of the norm of the tensor's;
where that is tiny, of a thousandth of the norm of all [our choice: rounding makes 1e-5]."""
HALF_TOLERANCE = 0.1
"""The same where passes are in half precision [our choice: rounding makes up to 0.04]."""


@dataclass(slots=True)
class _Client:
    """A job on its way."""

    job: TrainJob
    steps: Batches
    loss_sum: float = 0.0
    square_sum: float = 0.0
    num_texts: int = 0
    trained: dict[str, torch.Tensor] = field(default_factory=dict)
    error: FloatingPointError | None = None

    def note(self, loss: float, of_texts: np.ndarray, *, step: int) -> None:
        """Take in the loss of a step."""
        if not math.isfinite(loss) and self.error is None:
            self.error = diverged(self.job, loss, step=step)
        self.loss_sum += loss * len(of_texts)
        self.square_sum += float(np.square(of_texts).sum())
        self.num_texts += len(of_texts)


def train_stacked(
    jobs: Sequence[TrainJob],
    steps: Sequence[Batches],
    worker: Worker[LocalWork],
    *,
    is_checked: bool,
) -> list[TrainResult | FloatingPointError]:
    """Train jobs together; give their results in the same order.

    Parameters
    ----------
    jobs
        At least one, made for this worker, all of one kind: what is trained, shapes, settings.
    steps
        The batches of each, at least one.
    worker
        What they run on; nothing of them is left in it.
    is_checked
        Whether to compare a step with that of clients alone.

    Returns
    -------
    list
        Of a job that diverged, the exception that it raises.

    Raises
    ------
    fl.training.client_axis.CannotStackError
        Jobs of this kind cannot be trained so; other exceptions may mean the same.
    """
    for job in jobs:
        worker.check_key(job.model_key)
    order = sorted(range(len(jobs)), key=lambda index: -len(steps[index]))
    clients = [_Client(jobs[index], steps[index]) for index in order]
    results: dict[int, TrainResult | FloatingPointError] = {}
    with worker.computing():
        with seeded_generators(jobs[0].seed):
            _Together(clients, worker).run(is_checked=is_checked)
        for index, client in zip(order, clients, strict=True):
            results[index] = client.error or _finish(client, worker)
    return [results[index] for index in range(len(jobs))]


class _Together:
    """The steps of some clients, those with most steps first."""

    def __init__(self, clients: Sequence[_Client], worker: Worker[LocalWork]) -> None:
        self._clients = clients
        self._worker = worker
        first = clients[0].job
        self._trainable = first.start.trainable
        self._device = worker.device
        worker.load(first.start.tensors)
        stacked = {
            name: torch.stack([each.job.start.tensors[name] for each in clients])
            for name in first.start.tensors
            if name in set(self._trainable) or not _is_common(name, clients)
        }
        self._values = {name: each.detach().to(self._device) for name, each in stacked.items()}
        self._axis = ClientAxis(worker.module, self._values)
        self._scale = None
        if worker.passes.autocast == "fp16":
            self._scale = LossScale(len(clients), device=self._device)
        self._optimiser = self._new_optimiser({})

    def run(self, *, is_checked: bool) -> None:
        """Take all steps."""
        num_steps = len(self._clients[0].steps)
        for step in range(num_steps):
            active = [each for each in self._clients if len(each.steps) > step]
            self._keep(len(active))
            losses, of_texts = self._pass(active, step)
            if is_checked and step == min(CHECKED_STEP, num_steps - 1):
                for index in {0, len(active) - 1}:
                    self._compare(active[index], index, step, loss=losses[index])
            self._clip(active[0].job.settings.max_gradient_norm)
            self._optimiser.step()
            self._optimiser.zero_grad(set_to_none=True)
            for client, loss, each in zip(active, losses.tolist(), of_texts, strict=True):
                client.note(loss, each, step=step)
        self._keep(0)

    def _pass(
        self, active: Sequence[_Client], step: int
    ) -> tuple[torch.Tensor, Sequence[np.ndarray]]:
        """Go forward and back; return the loss of each client, and of each of its texts."""
        module = self._worker.module
        pieces = [
            (self._worker.batch("train", texts.ravel()), is_own)
            for texts, is_own in self._pieces([each.steps[step] for each in active])
        ]
        counts = sum(num_scored(module, batch, is_own) for batch, is_own in pieces)
        numbers = torch.as_tensor(counts, device=self._device)
        losses = torch.zeros(len(active), device=self._device)
        of_texts: list[list[np.ndarray]] = [[] for _ in active]

        def run(factors: torch.Tensor | float) -> None:
            losses.zero_()
            for known in of_texts:
                known.clear()
            for batch, is_own in pieces:
                self._axis.num_texts = is_own.shape[1]
                found = client_losses(module, batch, is_own)
                means = found.sums / numbers
                (means * factors).sum().backward()  # type: ignore[no-untyped-call]
                losses.add_(means.detach())
                for known, each in zip(of_texts, found.of_texts, strict=True):
                    known.append(each)

        with self._axis.installed():
            if self._scale is None:
                run(1.0)
            else:
                self._scale.backward(run, self._trained())
        self._add_penalties(active)
        return losses, [np.concatenate(each) for each in of_texts]

    def _pieces(
        self, batches: Sequence[Int[np.ndarray, " text"]]
    ) -> list[tuple[Int[np.ndarray, "client text"], Bool[np.ndarray, "client text"]]]:
        """Part the texts of a step by length: as many of each client, and whether each counts."""
        all_lengths = self._worker.train.tokens.lengths
        size = max(map(len, batches))
        texts = np.empty((len(batches), size), dtype=np.int64)
        is_own = np.ones(texts.shape, dtype=bool)
        for row, batch in enumerate(batches):
            by_length = batch[np.argsort(all_lengths[batch], kind="stable")]
            num_missing = size - len(batch)
            texts[row] = np.concatenate([np.repeat(by_length[:1], num_missing), by_length])
            is_own[row, :num_missing] = False
        ends = parted(all_lengths[texts].max(axis=0), num_clients=len(batches))
        return [(texts[:, start:end], is_own[:, start:end]) for start, end in pairwise([0, *ends])]

    def _add_penalties(self, active: Sequence[_Client]) -> None:
        """Go back from the penalty of each client."""
        parts = {name: self._values[name].unbind() for name in self._trainable}
        penalties = []
        for index, client in enumerate(active):
            named = {name: each[index] for name, each in parts.items()}
            try:
                penalty = self._worker.method.penalty(named, client.job.start)
            except Exception as error:
                msg = "its penalty is read off a pass of the texts of one client"
                raise CannotStackError(msg) from error
            if penalty is not None:
                penalties.append(penalty)
        if penalties:
            torch.stack(penalties).sum().backward()  # type: ignore[no-untyped-call]

    def _clip(self, max_norm: float | None) -> None:
        """Scale the gradient of each client down to a norm, as ``clip_grad_norm_`` does of one."""
        gradients = [each.grad for each in self._trained() if each.grad is not None]
        if max_norm is None or not gradients:
            return
        norms = [torch.linalg.vector_norm(each.flatten(1), dim=1) for each in gradients]
        norm = torch.linalg.vector_norm(torch.stack(norms), dim=0)
        scale = (max_norm / (norm + 1e-6)).clamp(max=1.0)
        for each in gradients:
            each.mul_(scale.view(-1, *[1] * (each.dim() - 1)))

    def _keep(self, count: int) -> None:
        """Let all clients but the first so many go, with what they have trained."""
        num_before = len(next(iter(self._values.values())))
        if count == num_before:
            return
        if self._scale is not None:
            self._scale.keep(count)
        for index in range(count, num_before):
            self._clients[index].trained = {
                name: self._values[name][index].detach().cpu().clone() for name in self._trainable
            }
        state = {
            name: self._optimiser.state[each]
            for name, each in zip(self._trainable, self._trained(), strict=True)
            if each in self._optimiser.state
        }
        for name, each in self._values.items():
            self._values[name] = each.detach()[:count].clone()
        if count:
            self._optimiser = self._new_optimiser(
                {
                    name: {
                        key: value if value.dim() == 0 else value[:count].clone()
                        for key, value in each.items()
                    }
                    for name, each in state.items()
                }
            )

    def _new_optimiser(
        self, state: Mapping[str, Mapping[str, torch.Tensor]]
    ) -> torch.optim.Optimizer:
        """Return an optimiser of the stacked values, which are trained from now on."""
        job = self._clients[0].job
        for each in self._trained():
            each.requires_grad_()
        own = {name: job.start.tensors[name] for name in self._trainable}
        optimiser = new_optimiser(
            job.settings,
            dict(zip(self._trainable, self._trained(), strict=True)),
            undecayed=undecayed_names(job.settings, own),
        )
        for name, held in state.items():
            optimiser.state[self._values[name]] = dict(held)
        return optimiser

    def _trained(self) -> list[torch.Tensor]:
        return [self._values[name] for name in self._trainable]

    def _compare(self, client: _Client, index: int, step: int, *, loss: torch.Tensor) -> None:
        """Refuse a step that is not that of the client alone.

        Raises
        ------
        CannotStackError
            Loss or gradients differ by more than rounding.
        """
        worker, start = self._worker, client.job.start
        own = {name: self._values[name][index].detach() for name in self._trainable}
        parameters = worker.load({**start.tensors, **own}, trainable=self._trainable)
        named = dict(zip(self._trainable, parameters, strict=True))
        batch = worker.batch("train", client.steps[step])
        alone, _ = worker.module.losses(batch)
        penalty = worker.method.penalty(named, start)
        scale = None if self._scale is None else LossScale(device=self._device)
        go_back(alone if penalty is None else alone + penalty, parameters, scale)
        found = {name: self._values[name].grad for name in self._trainable}
        _check_equal(
            TOLERANCE if worker.passes.autocast is None else HALF_TOLERANCE,
            {"the loss": loss, **{n: g[index] for n, g in found.items() if g is not None}},
            {
                "the loss": alone.detach(),
                **{n: each.grad for n, each in named.items() if each.grad is not None},
            },
        )
        worker.load(self._clients[0].job.start.tensors)


def parted(lengths: Int[np.ndarray, " text"], *, num_clients: int) -> list[int]:
    """Part texts by length into passes; return where each pass ends.

    The fewest tokens are passed, padding included, where a pass by itself costs as much as
    :data:`PASS_TOKENS`.

    Parameters
    ----------
    lengths
        Tokens of the longest text of any client at each place, ascending.
    num_clients
        Texts at each place.
    """
    best: list[int] = [0]
    ends: list[list[int]] = [[]]
    for end in range(1, len(lengths) + 1):
        width = num_clients * int(lengths[end - 1])
        costs = [best[start] + width * (end - start) + PASS_TOKENS for start in range(end)]
        start = int(np.argmin(costs))
        best.append(costs[start])
        ends.append([*ends[start], end])
    return ends[-1]


def _check_equal(tolerance: float, found: Tensors, wanted: Tensors) -> None:
    if found.keys() != wanted.keys():
        name = min(found.keys() ^ wanted.keys())
        msg = f"together, a gradient reaches other tensors than alone, {name} for one"
        raise CannotStackError(msg)
    norms = {name: float(each.norm()) for name, each in wanted.items()}
    whole = math.hypot(*norms.values())
    for name, norm in norms.items():
        difference = float((found[name] - wanted[name]).norm())
        if difference > tolerance * max(norm, 1e-3 * whole):  # what is not finite is not compared
            msg = f"together, {name} is not that of a client alone, it differs by {difference:.3g}"
            raise CannotStackError(msg)


def _is_common(name: str, clients: Sequence[_Client]) -> bool:
    """Whether a tensor that is not trained is the same for all."""
    first = clients[0].job.start.tensors[name]
    others = (each.job.start.tensors[name] for each in clients[1:])
    return all(each is first or torch.equal(each, first) for each in others)


def _finish(client: _Client, worker: Worker[LocalWork]) -> TrainResult:
    job = client.job
    worker.load({**job.start.tensors, **client.trained})
    with seeded_generators(job.seed):
        return finished_result(
            job,
            worker,
            mean_loss=client.loss_sum / client.num_texts,
            rms_loss=math.sqrt(client.square_sum / client.num_texts),
            num_steps=len(client.steps),
        )
