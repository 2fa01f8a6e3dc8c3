"""What was spent, summed by owner and activity."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyTotal:
    """What one owner spent on one activity up to an instant: one row of ``energy.csv``."""

    owner: Literal["client", "site"]
    owner_id: int
    activity: str
    seconds: float
    energy_j: float


def sum_by(
    owner: Literal["client", "site"],
    activities: tuple[str, ...],
    *,
    owner_id: Int[np.ndarray, " part"],
    activity: Int[np.ndarray, " part"],
    seconds: Float[np.ndarray, " part"],
    energy_j: Float[np.ndarray, " part"],
) -> list[EnergyTotal]:
    """Return a total for every owner and activity among some parts, by owner, then by activity.

    ``activity`` is an index into ``activities``.
    """
    pair, position = np.unique(owner_id * len(activities) + activity, return_inverse=True)
    sum_s = np.bincount(position, weights=seconds, minlength=len(pair))
    sum_j = np.bincount(position, weights=energy_j, minlength=len(pair))
    return [
        EnergyTotal(
            owner=owner,
            owner_id=int(key) // len(activities),
            activity=activities[int(key) % len(activities)],
            seconds=float(part_s),
            energy_j=float(part_j),
        )
        for key, part_s, part_j in zip(pair, sum_s, sum_j, strict=True)
    ]
