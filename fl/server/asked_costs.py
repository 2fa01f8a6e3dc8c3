"""What questions of a policy cost until a row of a round has it."""

from dataclasses import dataclass


@dataclass(slots=True)
class AskedCosts:
    """What a policy's questions to clients cost that is in no row of a round yet."""

    uplink_bytes: int = 0
    downlink_bytes: int = 0
    wasted_j: float = 0.0
