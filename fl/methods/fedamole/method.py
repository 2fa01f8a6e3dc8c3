"""Mixtures of LoRA experts: clients train what they hold, the server deals experts anew.

After arXiv:2411.19128 as its authors' code has it (``zyc140345/FedAMoLE``); the card says what is
theirs.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Int
from torch import nn

from fl.methods.averaging import by_client, weighted_mean
from fl.methods.base import Contribution, Method, MethodDefaults, ServerState
from fl.methods.fedamole.config import FedamoleConfig
from fl.methods.fedamole.dealing import (
    ASSIGNMENT,
    CLIENTS,
    EXPERTS,
    KNOWN,
    dealt_anew,
    first_memory,
    mean_of_holders,
)
from fl.methods.fedamole.passes import mean_inputs, watch_passes
from fl.methods.held_out import part_held_out
from fl.payload import Payload, Tensors
from fl.peft.install import freeze, head_names, snapshot
from fl.peft.lora import lora_targets
from fl.peft.lora_experts import DOMAIN, LoraExpertsLinear, add_lora_experts
from fl.training.job import Start, TrainJob
from fl.training.local_work import ModelInMemory

EMBEDDING_SHARE, MAX_EMBEDDING_TEXTS = 0.05, 200
"""Part of a client's texts that its embeddings are made of, which it does not train on, and most of
them [code]."""

IDS = "expert_ids"
STACKED = (*(f"experts.{part}" for part in DOMAIN), IDS)
"""Tensors of a layer whose rows are domain experts."""
OF_EXPERTS, OF_CLIENT = "expert_embeddings", "client_embedding"
"""What a client works out for each layer when it has trained."""
CLIENT_ID = "client_id"


def install(
    config: FedamoleConfig, module: nn.Module, *, generator: torch.Generator, num_clients: int
) -> Method:
    """Put experts on query and value projections, as the first client begins with them.

    Raises
    ------
    ValueError
        If experts cannot be dealt to this many clients.
    """
    freeze(module)
    num_experts = config.num_experts(num_clients)
    layers = add_lora_experts(
        module,
        targets=lora_targets(module),
        num_experts=num_experts,
        rank=config.rank,
        alpha=config.alpha,
        top_k=config.top_k,
        generator=generator,
    )
    head = head_names(module)
    parts = [f"{name}.{part}" for name, layer in layers.items() for part in _own_names(layer)]
    server = snapshot(module, [*parts, *head])
    seed = int(torch.randint(2**31, (), generator=generator))
    own_head = {name: server.pop(name) for name in head if config.head == "personal"}
    memory: Tensors = {}
    if num_experts > 0:
        memory = first_memory(config, num_layers=len(layers), num_clients=num_clients, seed=seed)
        watch_passes(module, layers, mask_padding=config.mask_padding)
    method = FedamoleMethod(
        config=config,
        layers=layers,
        own_head=own_head,
        seed=seed,
        first=ServerState(version=0, tensors=server, memory=memory),
    )
    parameters = dict(module.named_parameters())
    for name, value in method.initial.items():
        parameters[name].data = value
    return method


@dataclass(frozen=True, kw_only=True, eq=False)
class FedamoleMethod(MethodDefaults):
    """Experts that travel to the clients that the server chose for them.

    Implements :class:`fl.methods.base.Method`.
    """

    config: FedamoleConfig
    layers: Mapping[str, LoraExpertsLinear]
    """The adapted layers by name, in the module's order: that of the server's memory."""
    own_head: Tensors
    """First values of the head, where it is personal."""
    seed: int
    """Of assignments that are random, together with the server's version."""
    first: ServerState
    """The server's state before the first round: all experts, dealt at random."""

    @property
    def kind(self) -> str:
        """Name in the scenario."""
        return self.config.kind

    @property
    def same_download(self) -> bool:
        """Whether one broadcast serves all: only without domain experts."""
        return not self._has_domain

    @cached_property
    def initial(self) -> Tensors:
        """Value of every installed tensor: what the first client begins with."""
        return self._dispatched(self.first, client_id=0, own_head=self.own_head)

    @property
    def row_groups(self) -> Sequence[Sequence[str]]:
        """Name the tensors whose rows are domain experts, layer by layer."""
        layers = self.layers if self._has_domain else ()
        return [[f"{layer}.{part}" for part in STACKED] for layer in layers]

    @property
    def self_trained(self) -> Collection[str]:
        """Name the client's own head; where it is measured with it, the model that it trained."""
        return self.initial.keys() if self.config.evaluation == "tuned" else self.own_head.keys()

    def initial_state(self) -> ServerState:
        """Return the server's state before the first round."""
        return self.first

    def initial_personal(self, client_id: int) -> Tensors:
        """Return a client its number, and its head if that is its own."""
        return {CLIENT_ID: _number(client_id), **self.own_head}

    def download(self, state: ServerState, *, client_id: int) -> Payload | None:
        """Return shared experts, token projections and the domain experts that chose the client."""
        return Payload(self._dispatched(state, client_id=client_id, own_head={}))

    def start(self, download: Payload | None, personal: Tensors, *, version: int) -> Start:
        """Begin at what was received, head apart; train all of it."""
        received = download.tensors if download is not None else {}
        tensors = {**{name: personal[name] for name in self.own_head}, **received}
        client_outputs = {CLIENT_ID: _number(0)}
        for name in self.layers if self._embeds else ():
            held = tensors[f"{name}.{IDS}"].shape[0]
            client_outputs[f"{name}.{OF_EXPERTS}"] = torch.zeros((held, self.config.rank))
            client_outputs[f"{name}.{OF_CLIENT}"] = torch.zeros(self.config.rank)
        trainable = sorted(name for name in tensors if not name.endswith(f".{IDS}"))
        return Start(tensors=tensors, trainable=tuple(trainable), client_outputs=client_outputs)

    def penalty(self, parameters: Tensors, start: Start) -> torch.Tensor | None:
        """Spread tokens over experts: the weighted sum of the layers' balance losses."""
        if self.config.balance_weight is None or not self._has_domain:
            return None
        losses = []
        for layer in self.layers.values():
            if layer.experts.balance is None:
                msg = "penalty: a forward pass that records gradients must have run"
                raise RuntimeError(msg)
            losses.append(layer.experts.balance)
            # Read once, and nothing of the step stays in the model.
            layer.experts.balance = None
        return self.config.balance_weight * torch.stack(losses).sum()

    def trained_texts(
        self, samples: Int[np.ndarray, " text"], *, batch_size: int
    ) -> Int[np.ndarray, " text"]:
        """Train on what is not in the embedding set."""
        return self._parted(samples)[1] if self._embeds else samples

    def finish_batches(
        self, samples: Int[np.ndarray, " text"], *, batch_size: int
    ) -> Sequence[Int[np.ndarray, " text"]]:
        """Return the embedding set: evenly spread over the client's texts."""
        if not self._embeds:
            return ()
        chosen, _ = self._parted(samples)
        return [chosen[at : at + batch_size] for at in range(0, len(chosen), batch_size)]

    def finish(self, trained: Tensors, job: TrainJob, worker: ModelInMemory) -> Tensors:
        """Embed client and experts: means of ``T x`` and ``A_e x`` over the embedding set's tokens.

        Both are linear, so they are taken of the mean ``x``.
        """
        batches = self.finish_batches(job.samples, batch_size=job.settings.batch_size)
        client_outputs: dict[str, torch.Tensor] = {CLIENT_ID: _number(job.client_id)}
        if not batches:
            return client_outputs
        with mean_inputs(self.layers) as means, torch.no_grad():
            for indices in batches:
                worker.module.score(worker.train.batch(indices))
        for name in self.layers:
            mean = means[name].value
            for part, factor in ((OF_EXPERTS, DOMAIN[0]), (OF_CLIENT, "projection")):
                value = trained[f"{name}.experts.{factor}"].to(mean.dtype) @ mean
                client_outputs[f"{name}.{part}"] = value.to(torch.float32)
        return client_outputs

    def upload(self, trained: Tensors, *, version: int) -> Payload | None:
        """Return all that was received, trained, and the embeddings."""
        kept = {*self.own_head, CLIENT_ID}
        return Payload({name: value for name, value in trained.items() if name not in kept})

    def personal(self, trained: Tensors) -> Tensors:
        """Keep the client's number and its own head, and, to be measured, the model it trained."""
        if self.config.evaluation == "tuned":
            kept = {*self.initial, CLIENT_ID}
        else:
            kept = {*self.own_head, CLIENT_ID}
        return {name: value for name, value in trained.items() if name in kept}

    def aggregate(self, state: ServerState, contributions: Sequence[Contribution]) -> ServerState:
        """Average each tensor over those who hold it, all alike, and deal the experts anew."""
        received = [item.payload.tensors for item in by_client(contributions)]
        common = [name for name in state.tensors if not name.endswith(STACKED)]
        mean = weighted_mean(
            [{name: tensors[name] for name in common} for tensors in received],
            [1.0] * len(received),
        )
        tensors = {**state.tensors, **mean}
        for layer in self.layers if self._has_domain else ():
            rows = [each[f"{layer}.{IDS}"] for each in received]
            for part in DOMAIN:
                name = f"{layer}.experts.{part}"
                tensors[name] = mean_of_holders(
                    state.tensors[name], rows, [each[name] for each in received]
                )
        version = state.version + 1
        memory = state.memory
        if self._has_domain:
            memory = dealt_anew(
                self._remember(memory, contributions),
                config=self.config,
                seed=self.seed,
                version=version,
            )
        return replace(state, version=version, tensors=tensors, memory=memory)

    def follow(self, state: ServerState, *, leader: ServerState) -> ServerState:
        """Deal the experts as another model's server did, layer by layer.

        Where models differ in depth, a layer is dealt to as the one at the same relative depth.
        """
        memory = state.memory
        if self._has_domain:
            dealt, num_layers = leader.memory[ASSIGNMENT], len(self.layers)
            nearest = torch.arange(num_layers) * len(dealt) // num_layers
            memory = {**memory, ASSIGNMENT: dealt[nearest]}
        return replace(state, version=state.version + 1, memory=memory)

    def global_model(self, state: ServerState) -> Tensors | None:
        """Return ``None``: the server holds experts, not a model."""
        return None

    def personal_model(self, state: ServerState, personal: Tensors) -> Tensors:
        """Return the model that a client last trained, or else the one it would now be sent."""
        if self.config.evaluation == "tuned" and self.initial.keys() <= personal.keys():
            return {name: personal[name] for name in self.initial}
        own_head = {name: personal[name] for name in self.own_head}
        client_id = int(personal[CLIENT_ID])
        return self._dispatched(state, client_id=client_id, own_head=own_head)

    @property
    def _has_domain(self) -> bool:
        return bool(self.first.memory)

    @property
    def _embeds(self) -> bool:
        return self._has_domain and self.config.assignment in ("embeddings", "homogeneous")

    @staticmethod
    def _parted(
        samples: Int[np.ndarray, " text"],
    ) -> tuple[Int[np.ndarray, " text"], Int[np.ndarray, " text"]]:
        return part_held_out(samples, share=EMBEDDING_SHARE, most=MAX_EMBEDDING_TEXTS)

    def _dispatched(
        self, state: ServerState, *, client_id: int, own_head: Tensors
    ) -> dict[str, torch.Tensor]:
        """Return a client's part of the server's tensors, and its own head."""
        rows = {}
        if self._has_domain:
            for layer, held in zip(
                self.layers, state.memory[ASSIGNMENT][:, :, client_id], strict=True
            ):
                rows[layer] = held.nonzero()[:, 0]
        tensors = {**own_head, **state.tensors}
        for layer, chosen in rows.items():
            for part in STACKED:
                name = f"{layer}.{part}"
                tensors[name] = tensors[name][chosen]
        return tensors

    def _remember(self, memory: Tensors, contributions: Sequence[Contribution]) -> Tensors:
        """Put the received embeddings in place of older ones, those of experts as means."""
        if not self._embeds:
            return memory
        received = by_client(contributions)
        ids = [item.client_id for item in received]
        experts, clients, known = (memory[each].clone() for each in (EXPERTS, CLIENTS, KNOWN))
        known[ids] = True
        payloads = [item.payload.tensors for item in received]
        for index, layer in enumerate(self.layers):
            clients[index, ids] = torch.stack([each[f"{layer}.{OF_CLIENT}"] for each in payloads])
            experts[index] = mean_of_holders(
                experts[index],
                [each[f"{layer}.{IDS}"] for each in payloads],
                [each[f"{layer}.{OF_EXPERTS}"] for each in payloads],
            )
        return {**memory, EXPERTS: experts, CLIENTS: clients, KNOWN: known}


def _own_names(layer: LoraExpertsLinear) -> list[str]:
    """Name the parameters of a layer that are not its backbone's."""
    return [name for name, _ in layer.named_parameters() if not name.startswith("base_layer.")]


def _number(client_id: int) -> torch.Tensor:
    return torch.tensor([client_id], dtype=torch.int32)
