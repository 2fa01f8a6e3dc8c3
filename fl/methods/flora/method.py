"""Stacked low-rank adaptation: the exact mean of the clients' products, merged every round."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from fl.methods.averaging import by_client, weighted_mean
from fl.methods.base import Contribution, Method, MethodDefaults, ServerState
from fl.methods.flora.config import FloraConfig
from fl.methods.low_rank import A, B, at_rank, lora_layers, stack_factors
from fl.methods.merged_stacks import STACK_A, STACK_B, lacking, latest, merge
from fl.methods.ranks import Ranks, distinct_ranks, rank_of
from fl.payload import Payload, Tensors
from fl.peft.install import freeze, head_names, snapshot
from fl.peft.lora import fresh_lora, lora_scale, lora_targets
from fl.peft.merged_lora import MERGED, add_merged_lora
from fl.training.job import Start, TrainJob
from fl.training.local_work import ModelInMemory

RANK = "rank"
"""Name of the number, among a client's own tensors, that says its rank."""
CLIENT_ID = "client_id"
"""Name of the number, among a client's own tensors, that says which client it is."""


@dataclass(frozen=True, kw_only=True)
class FloraMethod(MethodDefaults):
    """Clients train a fresh LoRA each time; the server stacks and merges, and so do they.

    Implements :class:`fl.methods.base.Method`. The shared tensors are the head, the merged dense
    update of each layer, and the latest stacks, as many as are together no larger than the dense
    update: a client that lacks more is sent that instead.
    """

    kind: str
    initial: Tensors
    """Value of every installed tensor before any training; ``A`` is that of client 0 at version
    0."""
    head: tuple[str, ...]
    """Names of the averaged tensors, sorted."""
    rank: Ranks
    scale: float
    """What every product is multiplied by."""
    seed: int
    """Addresses, with the server's version and the client, the draw of ``A``."""
    same_download: bool = False

    def initial_state(self) -> ServerState:
        """Return the server's state before the first round: nothing merged, no stack."""
        return ServerState(version=0, tensors=_pick(self.initial, [*self.head, *self._merged]))

    def initial_personal(self, client_id: int) -> Tensors:
        """Return a client's number, its rank, and a merged update of zeros."""
        rank = torch.tensor(rank_of(self.rank, client_id))
        own = {RANK: rank, CLIENT_ID: torch.tensor(client_id)}
        return {**_pick(self.initial, self._merged), **own}

    def download(self, state: ServerState, *, client_id: int) -> Payload | None:
        """Return the head, and the stacks that the client lacks or the dense update they made."""
        held = state.held.get(client_id, 0)
        names = lacking(state.tensors, held=held, version=state.version)
        tensors = _pick(state.tensors, [*self.head, *names])
        return Payload(tensors) if tensors else None

    def start(self, download: Payload | None, personal: Tensors, *, version: int) -> Start:
        """Begin at what is merged so far, with an ``A`` of the client's own and ``B`` zero."""
        received = download.tensors if download is not None else {}
        tensors = {
            **_pick(received, self.head),
            **merge(personal, received, layers=self._layers, scale=self.scale),
            **self.fresh(version, rank=int(personal[RANK]), client_id=int(personal[CLIENT_ID])),
        }
        return Start(
            tensors=tensors,
            trainable=tuple(sorted([*self.head, *self._factors])),
            client_outputs={CLIENT_ID: personal[CLIENT_ID]},
        )

    def finish(self, trained: Tensors, job: TrainJob, worker: ModelInMemory) -> Tensors:
        """Return the client's number, which it keeps."""
        return job.start.client_outputs

    def upload(self, trained: Tensors, *, version: int) -> Payload | None:
        """Return the trained factors and head."""
        return Payload(_pick(trained, [*self._factors, *self.head]))

    def personal(self, trained: Tensors) -> Tensors:
        """Return what is merged so far, the rank and the number; its LoRA is part of the stack."""
        rank = trained[self._layers[0] + A].shape[0]
        return {**_pick(trained, [*self._merged, CLIENT_ID]), RANK: torch.tensor(rank)}

    def aggregate(self, state: ServerState, contributions: Sequence[Contribution]) -> ServerState:
        """Stack factors, merge the stack, average heads; weights are sample counts."""
        ordered = by_client(contributions)
        updates = [item.payload.tensors for item in ordered]
        weights = [item.weight for item in ordered]
        version = state.version + 1
        stack = {}
        for layer in self._layers:
            rows, columns = stack_factors(updates, weights, layer=layer)
            dtype = updates[0][layer + A].dtype
            stack[f"{layer}{STACK_A}{version}"] = rows.to(dtype)
            stack[f"{layer}{STACK_B}{version}"] = columns.to(dtype)
        heads = [_pick(update, self.head) for update in updates]
        head = weighted_mean(heads, weights) if self.head else {}
        held = {item.client_id: state.version - item.staleness for item in ordered}
        num_dense = sum(self.initial[name].numel() for name in self._merged)
        return replace(
            state,
            version=version,
            tensors={
                **head,
                **merge(state.tensors, stack, layers=self._layers, scale=self.scale),
                **latest({**state.tensors, **stack}, num_dense=num_dense),
            },
            held={**state.held, **held},
        )

    def global_model(self, state: ServerState) -> Tensors | None:
        """Return what is merged so far and the head, beside a LoRA that adds nothing."""
        return {**self.initial, **_pick(state.tensors, [*self.head, *self._merged])}

    def personal_model(self, state: ServerState, personal: Tensors) -> Tensors:
        """Return the global model: clients keep nothing of their own."""
        return {**self.initial, **_pick(state.tensors, [*self.head, *self._merged])}

    def fresh(self, version: int, *, rank: int, client_id: int) -> dict[str, torch.Tensor]:
        """Draw the LoRA that a client starts from, addressed by seed, version and client.

        With one ``A`` for all, the rows of the stack would span little more than its rank; with
        one each, they span the sum of the ranks. A smaller rank is the first ranks of the largest.
        """
        address = np.random.SeedSequence(self.seed, spawn_key=(version + 1, client_id))
        generator = torch.Generator().manual_seed(int(address.generate_state(1, np.uint64)[0] >> 1))
        largest = distinct_ranks(self.rank)[-1]
        drawn = {
            name: fresh_lora(self.initial[name], rank=largest, generator=generator)
            if name.endswith(A)
            else torch.zeros_like(self.initial[name])
            for name in self._factors
        }
        return at_rank(drawn, rank=rank)

    @property
    def _layers(self) -> tuple[str, ...]:
        return lora_layers(self.initial)

    @property
    def _factors(self) -> list[str]:
        return sorted(layer + end for layer in self._layers for end in (A, B))

    @property
    def _merged(self) -> list[str]:
        return [layer + MERGED for layer in self._layers]


def install(config: FloraConfig, module: nn.Module, *, generator: torch.Generator) -> Method:
    """Put LoRA and a dense update on query and value projections; factors and head travel."""
    freeze(module)
    largest = distinct_ranks(config.rank)[-1]
    added = add_merged_lora(
        module,
        targets=lora_targets(module),
        rank=largest,
        alpha=config.alpha,
        generator=generator,
    )
    head = sorted(head_names(module))
    method = FloraMethod(
        kind=config.kind,
        initial=snapshot(module, [*added, *head]),
        head=tuple(head),
        rank=config.rank,
        scale=lora_scale(module, alpha=config.alpha, rank=largest),
        seed=int(torch.randint(2**63 - 1, (), generator=generator)),
    )
    fresh = method.fresh(0, rank=largest, client_id=0)
    return replace(method, initial={**method.initial, **fresh})


def _pick(tensors: Mapping[str, torch.Tensor], names: Collection[str]) -> Tensors:
    return {name: tensors[name] for name in names}
