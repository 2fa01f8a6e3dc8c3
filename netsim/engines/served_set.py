"""The transfers of one direction that the flow engine serves now, and what stays while they do."""

import numpy as np
from jaxtyping import Float, Int

from netsim.phy_abstraction.air_interface import AirInterface


class ServedSet:
    """The transfers of one direction that are served now, and what stays while they are.

    Parameters
    ----------
    record
        Theirs, sorted by cell, then by bearer.
    cell_id
        Of their clients.
    """

    def __init__(
        self, record: np.ndarray, cell_id: Int[np.ndarray, " transfer"], *, key: bytes
    ) -> None:
        self.key = key
        self.slots = record["slot"]
        self.cell_id = cell_id
        self.bearer_id = record["bearer_id"]
        changes = np.ones(len(cell_id), dtype=bool)
        changes[1:] = cell_id[1:] != cell_id[:-1]
        changes[1:] |= self.bearer_id[1:] != self.bearer_id[:-1]
        self.first = np.flatnonzero(changes)
        self.first_of_cell = np.flatnonzero(np.diff(cell_id, prepend=-1))
        self._cell_sizes = np.diff(self.first_of_cell, append=len(cell_id))
        self.cell_start = np.flatnonzero(np.diff(cell_id[self.first], prepend=-1))
        self.bearer = np.cumsum(changes) - 1
        self.contenders = np.bincount(cell_id[self.first])[cell_id]
        self.has_groups = len(self.first) < len(cell_id)
        self.client_id = record["client_id"][self.first]
        self.requested_at_s = record["requested_at_s"][self.first]
        self.deadline_at_s = record["deadline_at_s"][self.first]
        self._gain = np.zeros(0)
        self._density_w = np.zeros(0)

    def density_w(
        self, air: AirInterface, gain: Float[np.ndarray, " transfer"]
    ) -> Float[np.ndarray, " transfer"]:
        """Give :meth:`AirInterface.density_w`; gains change more seldom than the fading."""
        if not np.array_equal(gain, self._gain):
            self._gain, self._density_w = gain, air.density_w(gain)
        return self._density_w

    def level(
        self, total: Float[np.ndarray, "instant transfer"], num_blocks: int
    ) -> Float[np.ndarray, "instant transfer"]:
        """Give the blocks that transfers could hold where what some do not use is handed on.

        As many as the others do, an equal split at least: who is cut now is cut by its fade.
        """
        most = np.maximum.reduceat(total, self.first_of_cell, axis=-1)
        if len(self.first_of_cell) > 1:
            most = np.repeat(most, self._cell_sizes, axis=-1)
        return np.maximum(most, num_blocks / self.contenders)
