"""Settings of federated averaging on adapters."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt

from fl.methods.options import AveragingOptions


@dataclass(frozen=True, kw_only=True)
class FedAdapterConfig(AveragingOptions):
    """Bottleneck adapters in all blocks, norms and the head, all averaged over clients."""

    adapter_dim: Annotated[int, Gt(0)] = 16
    """Width of the bottleneck of each adapter; the payload grows in proportion."""
    train_norms: bool = True
    """Whether scales and shifts of all layer norms are trained and averaged as well."""
    kind: Literal["fedadapter"] = "fedadapter"
