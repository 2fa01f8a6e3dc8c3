"""Stochastic controlled averaging: gradients corrected by how a client's differ from the mean."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from fl.methods.averaging import by_client, weighted_mean
from fl.methods.base import Contribution, Method, MethodDefaults, ServerState
from fl.methods.scaffold.config import ScaffoldConfig
from fl.payload import Payload, Tensors
from fl.peft.lora import install_lora
from fl.training.job import Start, TrainJob
from fl.training.local_work import ModelInMemory
from fl.training.optimisers import total_rate

SERVER, OWN, GAP = "control.", "own_control.", "control_gap."
"""Prefixes of the names of control variates: the server's, the client's own, and what is ahead of
the own one: before training the server's, after it the client's next."""


@dataclass(frozen=True, kw_only=True)
class ScaffoldMethod(MethodDefaults):
    """Averages tensors, and the clients' control variates beside them.

    Implements :class:`fl.methods.base.Method`.
    """

    kind: str
    initial: Tensors
    """Value of every installed tensor before any training; all travel."""
    num_clients: int
    server_learning_rate: float
    same_download: bool = True

    def initial_state(self) -> ServerState:
        """Return the server's state before the first round: a control variate of 0."""
        return ServerState(version=0, tensors={**self.initial, **self._zeros(SERVER)})

    def initial_personal(self, client_id: int) -> Tensors:
        """Return a control variate of 0."""
        return self._zeros(OWN)

    def download(self, state: ServerState, *, client_id: int) -> Payload | None:
        """Return the tensors and the server's control variate."""
        return state.payload

    def start(self, download: Payload | None, personal: Tensors, *, version: int) -> Start:
        """Begin at the server's tensors; announce the next control variate and its change.

        Raises
        ------
        ValueError
            If nothing was received.
        """
        if download is None:
            msg = f"download: {self.kind} starts from what the server sends, got nothing"
            raise ValueError(msg)
        received = download.tensors
        outputs = {}
        for name in self.initial:
            own = outputs[OWN + name] = personal[OWN + name]
            outputs[GAP + name] = received[SERVER + name] - own
        return Start(
            tensors={name: received[name] for name in self.initial},
            trainable=tuple(sorted(self.initial)),
            client_outputs=outputs,
        )

    def penalty(self, parameters: Tensors, start: Start) -> torch.Tensor | None:
        """Return ``<c - c_i, w>``, whose gradient is the correction ``c - c_i`` of a step."""
        terms = [
            (start.client_outputs[GAP + name].to(parameter.device) * parameter).sum()
            for name, parameter in parameters.items()
        ]
        return torch.stack(terms).sum()

    def finish(self, trained: Tensors, job: TrainJob, worker: ModelInMemory) -> Tensors:
        """Return the client's next control variate, its mean gradient, and how it has changed.

        ``c_i+ = c_i - c + (x - y_i) / (sum of learning rates)``: option II of the paper. Without
        any step size it stays.
        """
        before = job.start.client_outputs
        rate = total_rate(job.settings, num_texts=len(job.samples))
        outputs = {}
        for name in self.initial:
            own, ahead = before[OWN + name], before[GAP + name]
            new = own
            if rate > 0:
                new = (job.start.tensors[name] - trained[name]) / rate - ahead
            outputs[OWN + name] = new
            outputs[GAP + name] = new - own
        return outputs

    def upload(self, trained: Tensors, *, version: int) -> Payload | None:
        """Return the trained tensors and the change of the control variate."""
        names = [*self.initial, *(GAP + name for name in self.initial)]
        return Payload({name: trained[name] for name in names})

    def personal(self, trained: Tensors) -> Tensors:
        """Return the client's control variate."""
        return {OWN + name: trained[OWN + name] for name in self.initial}

    def aggregate(self, state: ServerState, contributions: Sequence[Contribution]) -> ServerState:
        """Average tensors, and add the mean change of control variates by the part that sent it."""
        ordered = by_client(contributions)
        mean = weighted_mean(
            [item.payload.tensors for item in ordered], [item.weight for item in ordered]
        )
        part = len(ordered) / self.num_clients
        tensors = {}
        for name in self.initial:
            here, control = state.tensors[name], state.tensors[SERVER + name]
            tensors[name] = here + self.server_learning_rate * (mean[name] - here)
            tensors[SERVER + name] = control + part * mean[GAP + name]
        return replace(state, version=state.version + 1, tensors=tensors)

    def global_model(self, state: ServerState) -> Tensors | None:
        """Return the server's tensors, control variates left out."""
        return {name: state.tensors[name] for name in self.initial}

    def personal_model(self, state: ServerState, personal: Tensors) -> Tensors:
        """Return the global model: a client keeps nothing but its control variate."""
        return {name: state.tensors[name] for name in self.initial}

    def _zeros(self, prefix: str) -> dict[str, torch.Tensor]:
        return {prefix + name: torch.zeros_like(value) for name, value in self.initial.items()}


def install(
    config: ScaffoldConfig, module: nn.Module, *, generator: torch.Generator, num_clients: int
) -> Method:
    """Put LoRA on query and value projections; it, the head and control variates travel."""
    return ScaffoldMethod(
        kind=config.kind,
        initial=install_lora(module, rank=config.rank, alpha=config.alpha, generator=generator),
        num_clients=num_clients,
        server_learning_rate=config.server_learning_rate,
    )
