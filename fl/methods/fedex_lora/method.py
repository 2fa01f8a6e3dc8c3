"""FedEx-LoRA: mean factors, and the difference to the mean product in the frozen weights."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn

from fl.methods.averaging import by_client, weighted_mean
from fl.methods.base import Contribution, Method, MethodDefaults, ServerState
from fl.methods.fedex_lora.config import FedexLoraConfig
from fl.methods.low_rank import A, B, lora_layers
from fl.methods.merged_stacks import STACK_A, STACK_B, lacking, latest, merge
from fl.payload import Payload, Tensors
from fl.peft.install import freeze, head_names, snapshot
from fl.peft.lora import lora_scale, lora_targets
from fl.peft.merged_lora import MERGED, add_merged_lora
from fl.training.job import Start


def residual_factors(
    updates: Sequence[Tensors], weights: Sequence[float], *, layer: str
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """Return factors of what averaging a layer's factors one by one loses; ``None``: nothing.

    With ``A`` and ``B`` the weighted means and ``A_K`` the factor of the last client::

        sum_k p_k B_k A_k - B A = sum_{k < K} p_k (B_k - B) (A_k - A_K)

    since ``sum_k p_k (B_k - B) = 0``: a rank of ``(K - 1) r`` at most.

    Returns
    -------
    A, B
        In float64, clients in the order given without the last.
    """
    *others, last = updates
    if not others:
        return None
    total = float(sum(weights))
    wide = [update[layer + B].to(torch.float64) for update in updates]
    mean = sum(
        (weight / total * each for weight, each in zip(weights, wide, strict=True)),
        torch.zeros_like(wide[0]),
    )
    end = last[layer + A].to(torch.float64)
    rows = [
        weight / total * (update[layer + A].to(torch.float64) - end)
        for update, weight in zip(others, weights, strict=False)
    ]
    columns = [each - mean for each in wide[:-1]]
    return torch.cat(rows), torch.cat(columns, dim=1)


@dataclass(frozen=True, kw_only=True)
class FedexLoraMethod(MethodDefaults):
    """Implements :class:`fl.methods.base.Method`.

    Shared are factors and head, the dense update of each layer, and the latest stacks of it.
    """

    kind: str
    initial: Tensors
    """Value of every installed tensor before any training."""
    scale: float
    """What every product is multiplied by."""
    same_download: bool = False

    def initial_state(self) -> ServerState:
        """Return the server's state before the first round: nothing merged."""
        return ServerState(version=0, tensors=self.initial)

    def initial_personal(self, client_id: int) -> Tensors:
        """Return a dense update of zeros: the weights as the client has them."""
        return _pick(self.initial, self._merged)

    def download(self, state: ServerState, *, client_id: int) -> Payload | None:
        """Return factors and head, and the stacks that the client lacks or what they made."""
        held = state.held.get(client_id, 0)
        names = lacking(state.tensors, held=held, version=state.version)
        return Payload(_pick(state.tensors, [*self._averaged, *names]))

    def start(self, download: Payload | None, personal: Tensors, *, version: int) -> Start:
        """Begin at the mean factors beside all that is merged so far; train factors and head."""
        if download is None:
            msg = f"download: {self.kind} starts from what the server sends, got nothing"
            raise ValueError(msg)
        received = download.tensors
        merged = merge(personal, received, layers=self._layers, scale=self.scale)
        return Start(
            tensors={**_pick(received, self._averaged), **merged}, trainable=self._averaged
        )

    def upload(self, trained: Tensors, *, version: int) -> Payload | None:
        """Return the trained factors and head."""
        return Payload(_pick(trained, self._averaged))

    def personal(self, trained: Tensors) -> Tensors:
        """Return what is merged so far."""
        return _pick(trained, self._merged)

    def aggregate(self, state: ServerState, contributions: Sequence[Contribution]) -> ServerState:
        """Average factors and head by sample count, and merge what that loses of the products."""
        ordered = by_client(contributions)
        updates = [item.payload.tensors for item in ordered]
        weights = [item.weight for item in ordered]
        version, stack = state.version + 1, {}
        for layer in self._layers:
            factors = residual_factors(updates, weights, layer=layer)
            rank = 0 if factors is None else len(factors[0])
            rows, columns = updates[0][layer + A], updates[0][layer + B]
            stack[f"{layer}{STACK_A}{version}"] = (
                rows.new_empty((rank, rows.shape[1])) if factors is None else factors[0].to(rows)
            )
            stack[f"{layer}{STACK_B}{version}"] = (
                columns.new_empty((len(columns), 0)) if factors is None else factors[1].to(columns)
            )
        num_dense = sum(self.initial[name].numel() for name in self._merged)
        held = {item.client_id: state.version - item.staleness for item in ordered}
        return replace(
            state,
            version=version,
            tensors={
                **weighted_mean(updates, weights),
                **merge(state.tensors, stack, layers=self._layers, scale=self.scale),
                **latest({**state.tensors, **stack}, num_dense=num_dense),
            },
            held={**state.held, **held},
        )

    def global_model(self, state: ServerState) -> Tensors | None:
        """Return mean factors, head, and what is merged."""
        return _pick(state.tensors, self.initial)

    def personal_model(self, state: ServerState, personal: Tensors) -> Tensors:
        """Return the global model: clients keep nothing of their own."""
        return _pick(state.tensors, self.initial)

    @property
    def _layers(self) -> tuple[str, ...]:
        return lora_layers(self.initial)

    @property
    def _merged(self) -> list[str]:
        return [layer + MERGED for layer in self._layers]

    @property
    def _averaged(self) -> tuple[str, ...]:
        return tuple(sorted(self.initial.keys() - set(self._merged)))


def install(config: FedexLoraConfig, module: nn.Module, *, generator: torch.Generator) -> Method:
    """Put LoRA and a dense update on query and value; factors, head and residuals travel."""
    freeze(module)
    added = add_merged_lora(
        module,
        targets=lora_targets(module),
        rank=config.rank,
        alpha=config.alpha,
        generator=generator,
    )
    return FedexLoraMethod(
        kind=config.kind,
        initial=snapshot(module, [*added, *head_names(module)]),
        scale=lora_scale(module, alpha=config.alpha, rank=config.rank),
    )


def _pick(tensors: Mapping[str, torch.Tensor], names: Collection[str]) -> Tensors:
    return {name: tensors[name] for name in names}
