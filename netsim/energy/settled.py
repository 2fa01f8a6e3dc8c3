"""Entries that are summed up and no longer kept one by one: memory does not grow with them."""

from collections import defaultdict

import numpy as np
from jaxtyping import Float, Int

from netsim.energy.entries import Entries
from netsim.energy.exact_sum import ExactSum


class Settled:
    """Seconds and joules of past entries by owner and activity."""

    def __init__(self) -> None:
        self._seconds: defaultdict[tuple[int, int], ExactSum] = defaultdict(ExactSum)
        self._joules: defaultdict[tuple[int, int], ExactSum] = defaultdict(ExactSum)

    def __bool__(self) -> bool:
        return bool(self._joules)

    def add_entries(self, entries: Entries) -> None:
        """Sum up entries."""
        self.add(entries.owner_id, entries.activity, entries.seconds, entries.energy_j)

    def add(
        self,
        owner_id: Int[np.ndarray, " part"],
        activity: Int[np.ndarray, " part"],
        seconds: Float[np.ndarray, " part"],
        energy_j: Float[np.ndarray, " part"],
    ) -> None:
        """Sum up parts; ``activity`` is an index into the activities of the owner's kind."""
        keys = zip(owner_id.tolist(), activity.tolist(), strict=True)
        for key, part_s, part_j in zip(keys, seconds.tolist(), energy_j.tolist(), strict=True):
            self._seconds[key].add(part_s)
            self._joules[key].add(part_j)

    def sums(
        self,
    ) -> tuple[
        Int[np.ndarray, " sum"],
        Int[np.ndarray, " sum"],
        Float[np.ndarray, " sum"],
        Float[np.ndarray, " sum"],
    ]:
        """Return owner, activity, seconds and joules of each sum."""
        keys = np.array(list(self._joules), dtype=np.int64).reshape(-1, 2)
        seconds = [each.value() for each in self._seconds.values()]
        energy_j = [each.value() for each in self._joules.values()]
        return keys[:, 0], keys[:, 1], np.array(seconds), np.array(energy_j)
