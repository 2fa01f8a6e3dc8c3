"""A shared LoRA with Nesterov momentum at the server, a personal one, and their fusion."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Int
from torch import nn

from fl.methods.averaging import by_client, weighted_mean
from fl.methods.base import Contribution, Method, MethodDefaults, ServerState
from fl.methods.fdlora.config import FdloraConfig
from fl.methods.fdlora.fusion import Pair, coordinate_search, fused
from fl.methods.held_out import part_held_out
from fl.methods.low_rank import A, B
from fl.payload import Payload, Tensors
from fl.peft.lora import install_lora
from fl.training.job import Start, TrainJob
from fl.training.local_work import ModelInMemory

OWN = "own:"
"""Before the name of a shared factor, in the name of the personal one of the same place."""
FUSION = "fusion"
"""Name of the two fusion weights, float64."""
REFRESHED = "refreshed_at_version"
"""Name of the server version from which the personal LoRA was trained; -1: there is none yet."""
HELD_OUT_SHARE = 0.1
"""Part of a client's texts that it does not train on, and searches the fusion weights with [our
choice]."""
VELOCITY = "velocity:"
"""Before the name of a shared tensor, in the name of its momentum."""


def outer_step(
    config: FdloraConfig, *, before: Tensors, mean: Tensors, memory: Tensors
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Return the server's tensors after a step of SGD with Nesterov momentum, and the momenta.

    With ``d = before - mean``: ``v <- m v + d``, ``x <- x - eta (d + m v)``, in float64, rounded
    once.
    """
    moved, velocities = {}, {}
    for name in sorted(mean):
        start = before[name].to(torch.float64)
        gradient = start - mean[name].to(torch.float64)
        velocity = memory.get(VELOCITY + name, torch.zeros_like(gradient))
        velocity = config.outer_momentum * velocity + gradient
        step = config.outer_learning_rate * (gradient + config.outer_momentum * velocity)
        velocities[VELOCITY + name] = velocity
        moved[name] = (start - step).to(mean[name].dtype)
    return moved, velocities


@dataclass(frozen=True, kw_only=True)
class FdloraMethod(MethodDefaults):
    """Implements :class:`fl.methods.base.Method`; see the card for the stages."""

    kind: str
    initial: Tensors
    """Value of every installed tensor before any training; all travel."""
    lora: tuple[str, ...]
    """Names of the factors, sorted; each has a personal counterpart."""
    config: FdloraConfig
    same_download: bool = True

    @property
    def self_trained(self) -> Collection[str]:
        """Name all that is personal: the personal LoRA, its version, and the fusion weights."""
        return self.initial_personal(0).keys()

    def initial_state(self) -> ServerState:
        """Return the server's state before the first round."""
        return ServerState(version=0, tensors=self.initial)

    def initial_personal(self, client_id: int) -> Tensors:
        """Return a personal LoRA that adds nothing, and fusion weights for the shared one alone."""
        return {
            **{OWN + name: self.initial[name] for name in self.lora},
            FUSION: torch.tensor([1.0, 0.0], dtype=torch.float64),
            REFRESHED: torch.tensor(-1),
        }

    def download(self, state: ServerState, *, client_id: int) -> Payload | None:
        """Return the shared LoRA and head."""
        return Payload(state.tensors)

    def start(self, download: Payload | None, personal: Tensors, *, version: int) -> Start:
        """Begin at the shared LoRA; what the client holds of its own is for after the steps."""
        if download is None:
            msg = f"download: {self.kind} starts from what the server sends, got nothing"
            raise ValueError(msg)
        tensors = download.tensors
        return Start(tensors=tensors, trainable=tuple(sorted(tensors)), client_outputs=personal)

    def trained_texts(
        self, samples: Int[np.ndarray, " text"], *, batch_size: int
    ) -> Int[np.ndarray, " text"]:
        """Train on what is not held out for the search."""
        return self._parted(samples, batch_size=batch_size)[1]

    def finish_batches(
        self, samples: Int[np.ndarray, " text"], *, batch_size: int
    ) -> Sequence[Int[np.ndarray, " text"]]:
        """Return the batches of the search, once for each pair that it tries."""
        return self._search_batches(samples, batch_size=batch_size) * self.config.fusion_evaluations

    def finish(self, trained: Tensors, job: TrainJob, worker: ModelInMemory) -> Tensors:
        """Refresh the personal LoRA where that is due, and search the fusion weights.

        The search fuses the shared LoRA *as received* with the personal one, on texts that neither
        was trained on at this client.
        """
        held = job.start.client_outputs
        refreshed_at = int(held[REFRESHED])
        is_due = refreshed_at < 0 or job.version - refreshed_at >= self.config.sync_every
        own = {name: trained[name] if is_due else held[OWN + name] for name in self.lora}
        batches = self._search_batches(job.samples, batch_size=job.settings.batch_size)
        received = job.start.tensors

        def objective(weights: Pair) -> float:
            worker.load(fused(received, own, weights=weights))
            with torch.inference_mode():
                losses = [float(worker.module.loss(worker.train.batch(batch))) for batch in batches]
            mean_loss = sum(losses) / len(losses)
            return mean_loss + self.config.fusion_penalty * (abs(weights[0]) + abs(weights[1])) / 2

        best = coordinate_search(objective, num_evaluations=self.config.fusion_evaluations)
        return {
            **{OWN + name: value for name, value in own.items()},
            FUSION: torch.tensor(best, dtype=torch.float64),
            REFRESHED: torch.tensor(job.version) if is_due else held[REFRESHED],
        }

    def upload(self, trained: Tensors, *, version: int) -> Payload | None:
        """Return the trained shared LoRA and head."""
        return Payload(_pick(trained, self.initial.keys()))

    def personal(self, trained: Tensors) -> Tensors:
        """Return the personal LoRA, when it was refreshed, and the fusion weights."""
        return _pick(trained, self.initial_personal(0).keys())

    def aggregate(self, state: ServerState, contributions: Sequence[Contribution]) -> ServerState:
        """Average by sample count; from the second aggregation on, step towards the mean."""
        ordered = by_client(contributions)
        mean = weighted_mean(
            [item.payload.tensors for item in ordered], [item.weight for item in ordered]
        )
        if state.version == 0:
            return replace(state, version=1, tensors=mean)
        moved, velocities = outer_step(
            self.config, before=state.tensors, mean=mean, memory=state.memory
        )
        return replace(state, version=state.version + 1, tensors=moved, memory=velocities)

    def global_model(self, state: ServerState) -> Tensors | None:
        """Return the shared LoRA and head."""
        return state.tensors

    def personal_model(self, state: ServerState, personal: Tensors) -> Tensors:
        """Fuse the server's LoRA with the client's own by the weights that it found."""
        if int(personal[REFRESHED]) < 0:
            return state.tensors
        own = {name: personal[OWN + name] for name in self.lora}
        first, second = personal[FUSION].tolist()
        return fused(state.tensors, own, weights=(first, second))

    def _search_batches(
        self, samples: Int[np.ndarray, " text"], *, batch_size: int
    ) -> list[Int[np.ndarray, " text"]]:
        """Return the held-out texts in batches."""
        texts, _ = self._parted(samples, batch_size=batch_size)
        return [texts[at : at + batch_size] for at in range(0, len(texts), batch_size)]

    def _parted(
        self, samples: Int[np.ndarray, " text"], *, batch_size: int
    ) -> tuple[Int[np.ndarray, " text"], Int[np.ndarray, " text"]]:
        most = batch_size * self.config.fusion_batches
        return part_held_out(samples, share=HELD_OUT_SHARE, most=most)


def install(config: FdloraConfig, module: nn.Module, *, generator: torch.Generator) -> Method:
    """Put LoRA on query and value projections; it and the head travel, its twin never does."""
    initial = install_lora(
        module, rank=config.rank, alpha=config.alpha, generator=generator, scale_rank=config.rank
    )
    return FdloraMethod(
        kind=config.kind,
        initial=initial,
        lora=tuple(name for name in initial if name.endswith((A, B))),
        config=config,
    )


def _pick(tensors: Mapping[str, torch.Tensor], names: Collection[str]) -> Tensors:
    return {name: tensors[name] for name in names}
