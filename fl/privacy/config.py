"""Settings of differential privacy."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le, Lt


@dataclass(frozen=True, kw_only=True)
class ClientPrivacy:
    """Changes of clients are clipped, and noise is added to their sum: DP-FedAvg."""

    clip_norm: Annotated[float, Gt(0)]
    """Length to which a client's whole change is shortened if it is longer, ``C`` (Euclidean)."""
    noise_multiplier: Annotated[float, Ge(0)]
    """Standard deviation of the noise on the sum of changes by ``clip_norm``, ``z``; 0: changes are
    clipped, and nothing is promised."""
    delta: Annotated[float, Gt(0), Lt(1)] = 1e-5
    """Chance with which the promise may fail; below one by the number of clients."""
    kind: Literal["client_level"] = "client_level"


@dataclass(frozen=True, kw_only=True)
class SecureAggregation:
    """The server learns the sum of clients' changes and none of them: Bonawitz et al. 2017."""

    bits: Literal[16, 32] = 32
    """Bits of a masked number."""
    largest_change: Annotated[float, Gt(0)] = 4.0
    """Magnitude at which a number of a client's change is cut off; with ``bits`` it is the step of
    the fixed-point numbers."""
    threshold: Annotated[float, Gt(0.5), Le(1)] = 2 / 3
    """Part of the clients drawn that must answer when masks are taken off; with fewer, the round
    has no sum."""
