"""FedALT: clients go on with their own LoRA; the server sends each the mean of all others."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from fl.methods.averaging import by_client
from fl.methods.base import Contribution, Method, MethodDefaults, ServerState
from fl.methods.fedalt.config import FedaltConfig
from fl.payload import Payload, Tensors
from fl.peft.install import freeze, head_names, snapshot
from fl.peft.lora import lora_targets
from fl.peft.lora_pair import WORLD, add_lora_pair
from fl.training.job import Start, TrainJob
from fl.training.local_work import ModelInMemory

CLIENT = "client_id"
"""Name of the number, among a client's own tensors, that says which client it is."""
TOTAL, OF_CLIENT = "total:", "client:"
"""Prefixes, in the server's memory, of the sum over clients and of what each sent last."""
KNOWN = "num_clients"
"""Name, in the server's memory, of how many clients have sent anything."""


@dataclass(frozen=True, kw_only=True)
class FedaltMethod(MethodDefaults):
    """Implements :class:`fl.methods.base.Method`; the server keeps what each client sent last."""

    kind: str
    initial: Tensors
    """Value of every installed tensor before any training."""
    factors: tuple[str, ...]
    """Names of the factors of the own LoRA, sorted: what goes up."""
    same_download: bool = False

    def initial_state(self) -> ServerState:
        """Return the server's state before the first round: nobody has sent anything."""
        return ServerState(version=0, tensors=_pick(self.initial, self._world))

    def initial_personal(self, client_id: int) -> Tensors:
        """Return the untrained own LoRA, mixer and head, and who the client is."""
        return {**_pick(self.initial, self._own), CLIENT: torch.tensor(client_id)}

    @property
    def self_trained(self) -> Collection[str]:
        """Name all that is personal: it goes on from there whether its upload arrived or not."""
        return (*self._own, CLIENT)

    def download(self, state: ServerState, *, client_id: int) -> Payload | None:
        """Return the mean of what all other clients sent last; the first values without any."""
        return Payload(self._rest_of_world(state, client_id))

    def start(self, download: Payload | None, personal: Tensors, *, version: int) -> Start:
        """Begin at the own LoRA beside the frozen one of the others; train LoRA, mixer, head."""
        received = self._pick_world(download)
        return Start(
            tensors={**_pick(personal, self._own), **received},
            trainable=self._own,
            client_outputs={CLIENT: personal[CLIENT]},
        )

    def finish(self, trained: Tensors, job: TrainJob, worker: ModelInMemory) -> Tensors:
        """Return who the client is: nothing is computed."""
        return job.start.client_outputs

    def upload(self, trained: Tensors, *, version: int) -> Payload | None:
        """Return the factors of the own LoRA."""
        return Payload(_pick(trained, self.factors))

    def personal(self, trained: Tensors) -> Tensors:
        """Return the own LoRA, mixer and head, and who the client is."""
        return _pick(trained, (*self._own, CLIENT))

    def aggregate(self, state: ServerState, contributions: Sequence[Contribution]) -> ServerState:
        """Put each update in the place of what its client sent before; the sum follows."""
        memory = dict(state.memory)
        known = int(memory.get(KNOWN, 0))
        for item in by_client(contributions):
            known += f"{OF_CLIENT}{item.client_id}:{self.factors[0]}" not in memory
            for name in self.factors:
                value, key = item.payload.tensors[name], f"{OF_CLIENT}{item.client_id}:{name}"
                before = memory.get(key)
                change = value.to(torch.float64) - (0 if before is None else before)
                memory[TOTAL + name] = memory.get(TOTAL + name, torch.zeros_like(change)) + change
                memory[key] = value
        memory[KNOWN] = torch.tensor(known)
        after = replace(state, version=state.version + 1, memory=memory)
        return replace(after, tensors=self._rest_of_world(after, client_id=None))

    def global_model(self, state: ServerState) -> Tensors | None:
        """Return none: the server knows no head."""
        return None

    def personal_model(self, state: ServerState, personal: Tensors) -> Tensors:
        """Return the client's own tensors beside the mean of all others as it is now."""
        world = self._rest_of_world(state, int(personal[CLIENT]))
        return {**_pick(personal, self._own), **world}

    def _rest_of_world(self, state: ServerState, client_id: int | None) -> Tensors:
        """Return the mean over clients but one of what they sent last, under the names of WORLD."""
        memory = state.memory
        known = int(memory.get(KNOWN, 0))
        own = {} if client_id is None else {
            name: memory[key] for name in self.factors
            if (key := f"{OF_CLIENT}{client_id}:{name}") in memory
        }  # fmt: skip
        num_others = known - bool(own)
        if num_others == 0:
            return _pick(self.initial, self._world)
        mean = {}
        for name in self.factors:
            others = memory[TOTAL + name] - own[name] if own else memory[TOTAL + name]
            mean[_world_of(name)] = (others / num_others).to(self.initial[name].dtype)
        return mean

    def _pick_world(self, download: Payload | None) -> Tensors:
        if download is None:
            msg = f"download: {self.kind} starts from what the server sends, got nothing"
            raise ValueError(msg)
        return _pick(download.tensors, self._world)

    @property
    def _world(self) -> tuple[str, ...]:
        return tuple(sorted(_world_of(name) for name in self.factors))

    @property
    def _own(self) -> tuple[str, ...]:
        return tuple(sorted(self.initial.keys() - set(self._world)))


def install(config: FedaltConfig, module: nn.Module, *, generator: torch.Generator) -> Method:
    """Put two LoRAs and a mixer on query and value; the factors of one travel."""
    freeze(module)
    added = add_lora_pair(
        module,
        targets=lora_targets(module),
        rank=config.rank,
        alpha=config.alpha,
        generator=generator,
    )
    return FedaltMethod(
        kind=config.kind,
        initial=snapshot(module, [*added, *head_names(module)]),
        factors=tuple(name for name in added if name.endswith((".lora_A", ".lora_B"))),
    )


def _world_of(name: str) -> str:
    """Return the name of the factor of the others beside a factor of the own LoRA."""
    layer, _, end = name.rpartition(".")
    return f"{layer}.{WORLD[0] if end == 'lora_A' else WORLD[1]}"


def _pick(tensors: Mapping[str, torch.Tensor], names: Collection[str]) -> Tensors:
    return {name: tensors[name] for name in names}
