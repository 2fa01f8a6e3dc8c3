"""FedSVD: ``B`` is trained and averaged, and the product is split anew by its singular values."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import nn

from fl.methods.averaging import AveragingMethod
from fl.methods.base import Contribution, Method, ServerState
from fl.methods.fedsvd.config import FedsvdConfig
from fl.methods.low_rank import A, B, lora_layers
from fl.peft.install import head_names
from fl.peft.lora import install_lora


def split_anew(
    rows: Float[torch.Tensor, "rank in"], columns: Float[torch.Tensor, "out rank"]
) -> tuple[Float[torch.Tensor, "rank in"], Float[torch.Tensor, "out rank"]]:
    """Return ``V^T`` and ``U S`` of the product ``B A``: the same product, orthonormal rows.

    From QR of ``A^T`` and the decomposition of a matrix of shape ``(out, rank)``, in float64,
    rounded once; ``B A`` is never formed. Rows that belong to a singular value of 0 complete the
    others. Each pair's sign makes the largest entry of its row positive.
    """
    basis, triangle = torch.linalg.qr(rows.to(torch.float64).T)
    left, values, right = torch.linalg.svd(
        columns.to(torch.float64) @ triangle.T, full_matrices=False
    )
    orthonormal = right @ basis.T
    largest = orthonormal.abs().argmax(dim=1, keepdim=True)
    signs = torch.where(orthonormal.gather(1, largest) < 0, -1.0, 1.0).to(torch.float64)
    return (signs * orthonormal).to(rows.dtype), (left * values * signs.T).to(columns.dtype)


@dataclass(frozen=True, kw_only=True)
class FedsvdMethod(AveragingMethod):
    """Averaging of ``B`` and the head; ``A`` moves at the server alone."""

    renew_every: int
    """Aggregations between two renewals of ``A``."""

    @property
    def merges(self) -> Literal["own"]:
        """Say that updates merge by a rule of its own: means of ``B`` hold around one ``A``."""
        return "own"

    def aggregate(self, state: ServerState, contributions: Sequence[Contribution]) -> ServerState:
        """Average ``B`` and head by sample count; where it is due, split each product anew."""
        after = super().aggregate(state, contributions)
        if after.version % self.renew_every:
            return after
        renewed = {}
        for layer in lora_layers(after.tensors):
            rows, columns = after.tensors[layer + A], after.tensors[layer + B]
            renewed[layer + A], renewed[layer + B] = (
                (rows, columns) if rows.is_meta else split_anew(rows, columns)
            )
        changed_at = {**after.changed_at, **dict.fromkeys(renewed, after.version)}
        return replace(after, tensors={**after.tensors, **renewed}, changed_at=changed_at)


def install(config: FedsvdConfig, module: nn.Module, *, generator: torch.Generator) -> Method:
    """Put LoRA on query and value; ``B`` and the head are trained, ``A`` comes from the server."""
    initial = install_lora(module, rank=config.rank, alpha=config.alpha, generator=generator)
    trained = (*head_names(module), *(name for name in initial if name.endswith(B)))
    return FedsvdMethod(
        kind=config.kind,
        initial=initial,
        shared=tuple(initial),
        schedule=lambda _: trained,
        renew_every=config.renew_every,
    )
