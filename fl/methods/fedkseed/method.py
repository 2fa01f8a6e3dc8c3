"""Zeroth-order training: the server holds one distance a direction, from which all rebuild."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float
from torch import nn

from fl.methods.averaging import by_client
from fl.methods.base import Contribution, Method, MethodDefaults, ServerState
from fl.methods.fedkseed.config import FedkseedConfig, MoveLora
from fl.payload import Payload, Tensors
from fl.peft.install import freeze
from fl.peft.lora import install_lora
from fl.training.directions import Directions, Walk
from fl.training.job import Start
from fl.training.objective import ZerothOrder
from fl.training.zeroth_order import PROBABILITIES, SEEDS, STEPS

DISTANCES = "distances"
"""Name of the distance gone along each direction, in the server's state."""
SLOPES, DRAWS = "slopes", "draws"
"""Names, in the server's memory, of the sum of the lengths of all steps along each direction, and
of their number."""
_MOST_NARROW = 2**15
"""Indices that fit 16 bits with a sign."""


@dataclass(frozen=True, kw_only=True)
class FedkseedMethod(MethodDefaults):
    """Clients walk along addressed directions; the server adds up how far.

    Implements :class:`fl.methods.base.Method`.
    """

    kind: str
    initial: Tensors
    """Value of every tensor that is moved, before any training."""
    steps: ZerothOrder
    """What a job does."""
    by_slope: bool
    """Whether clients draw directions by how long the steps along them were."""
    walk: Walk = field(compare=False)
    """From distances to weights."""
    same_download: bool = True

    @property
    def objective(self) -> ZerothOrder:
        """Say that jobs pass forward only."""
        return self.steps

    def initial_state(self) -> ServerState:
        """Return the server's state before the first round: no step was made."""
        zeros = torch.zeros(self.steps.num_seeds, device=self._device)
        memory = {}
        if self.by_slope:
            # Each direction counts as drawn once, with a step of 0, as the authors' code has it.
            memory = {SLOPES: zeros.double(), DRAWS: torch.ones_like(zeros, dtype=torch.float64)}
        return ServerState(version=0, tensors=self._shared(zeros, memory), memory=memory)

    def initial_personal(self, client_id: int) -> Tensors:
        """Return nothing: a client rebuilds the weights each time."""
        return {}

    def download(self, state: ServerState, *, client_id: int) -> Payload | None:
        """Return the distances, and how likely directions are drawn where that differs."""
        return state.payload

    def start(self, download: Payload | None, personal: Tensors, *, version: int) -> Start:
        """Begin at the weights that the distances lead to; move all of them.

        Raises
        ------
        ValueError
            If nothing was received.
        """
        if download is None:
            msg = f"download: {self.kind} starts from what the server sends, got nothing"
            raise ValueError(msg)
        num_steps = self.steps.num_steps
        is_narrow = self.steps.num_seeds <= _MOST_NARROW
        outputs = {
            SEEDS: torch.zeros(
                num_steps, dtype=torch.int16 if is_narrow else torch.int32, device=self._device
            ),
            STEPS: torch.zeros(num_steps, device=self._device),
        }
        if self.by_slope:
            outputs[PROBABILITIES] = download.tensors[PROBABILITIES]
        return Start(
            tensors=self.walk.tensors(download.tensors[DISTANCES]),
            trainable=self.walk.directions.names,
            client_outputs=outputs,
        )

    def upload(self, trained: Tensors, *, version: int) -> Payload | None:
        """Return the index and the length of each step."""
        return Payload({name: trained[name] for name in (SEEDS, STEPS)})

    def personal(self, trained: Tensors) -> Tensors:
        """Return nothing."""
        return {}

    def aggregate(self, state: ServerState, contributions: Sequence[Contribution]) -> ServerState:
        """Add the weighted mean of what the clients walked along each direction.

        As weights are linear in distances, that is the weighted mean of the clients' weights.
        """
        ordered = by_client(contributions)
        total = sum(item.weight for item in ordered)
        distances = state.tensors[DISTANCES].double()
        memory = {name: value.clone() for name, value in state.memory.items()}
        for item in ordered:
            seeds = item.payload.tensors[SEEDS].long()
            steps = item.payload.tensors[STEPS].double()
            distances.index_add_(0, seeds, steps, alpha=item.weight / total)
            if self.by_slope:
                memory[SLOPES].index_add_(0, seeds, steps.abs())
                memory[DRAWS].index_add_(0, seeds, torch.ones_like(steps))
        tensors = self._shared(distances.to(torch.float32), memory)
        return replace(state, version=state.version + 1, tensors=tensors, memory=memory)

    def global_model(self, state: ServerState) -> Tensors | None:
        """Return the weights that the distances lead to."""
        return self.walk.tensors(state.tensors[DISTANCES])

    def personal_model(self, state: ServerState, personal: Tensors) -> Tensors:
        """Return the global model: clients keep nothing of their own."""
        return self.walk.tensors(state.tensors[DISTANCES])

    @property
    def _device(self) -> str:
        """Where what travels lies; it has no values where the model has none."""
        return "meta" if next(iter(self.initial.values())).is_meta else "cpu"

    def _shared(self, distances: torch.Tensor, memory: Tensors) -> Tensors:
        if not self.by_slope:
            return {DISTANCES: distances}
        likely = slope_probabilities(memory[SLOPES] / memory[DRAWS])
        return {DISTANCES: distances, PROBABILITIES: likely.to(torch.float32)}


def slope_probabilities(
    mean_lengths: Float[torch.Tensor, " direction"],
) -> Float[torch.Tensor, " direction"]:
    """Return how likely directions are drawn, from the mean length of steps along each.

    Lengths are spread over [0, 1]; probabilities go by their exponentials, so that the likeliest is
    drawn e times as often as the least likely. All alike while no step was made.
    """
    if mean_lengths.is_meta:
        return mean_lengths
    spread = mean_lengths.max() - mean_lengths.min()
    if spread == 0:
        return torch.full_like(mean_lengths, 1 / len(mean_lengths))
    return ((mean_lengths - mean_lengths.min()) / spread).softmax(dim=0)


def install(config: FedkseedConfig, module: nn.Module, *, generator: torch.Generator) -> Method:
    """Move all weights, of which nothing is added or copied; or a LoRA and the head."""
    if isinstance(config.moves, MoveLora):
        initial = install_lora(
            module, rank=config.moves.rank, alpha=config.moves.alpha, generator=generator
        )
    else:
        freeze(module)
        named = sorted(module.named_parameters())
        initial = {name: parameter.detach() for name, parameter in named}
    seed = int(torch.randint(2**63 - 1, (), generator=generator))
    return FedkseedMethod(
        kind=config.kind,
        initial=initial,
        steps=ZerothOrder(
            seed=seed,
            num_seeds=config.num_seeds,
            num_steps=config.num_steps,
            epsilon=config.epsilon,
        ),
        by_slope=config.sampling == "by_slope",
        walk=Walk(Directions(seed, tuple(sorted(initial))), initial),
    )
