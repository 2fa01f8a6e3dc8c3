"""Connected clients: serving cell, gains and fading of every client that has a transfer now.

Rows are slots that are reused, so a row number stays valid while its client is connected.
Everything is arrays over slots; who decides to change cell stands in :mod:`netsim.rrc.association`.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from netsim.world.layout import NO_CELL

INITIAL_CAPACITY = 64


class Links:
    """Arrays over slots of connected clients.

    Parameters
    ----------
    num_cells, num_groups
        Widths of the gain and fading arrays.
    num_instants
        Instants of a channel tick at which fading is known.
    """

    def __init__(self, *, num_cells: int, num_groups: int, num_instants: int) -> None:
        self.client_id: Int[np.ndarray, " slot"] = np.full(INITIAL_CAPACITY, -1, dtype=np.int64)
        self.cell_id: Int[np.ndarray, " slot"] = np.full(INITIAL_CAPACITY, NO_CELL, dtype=np.int64)
        self.resume_at_s: Float[np.ndarray, " slot"] = np.zeros(INITIAL_CAPACITY)
        """No blocks before this instant: handover interruption or recovery."""
        self.handovers: Int[np.ndarray, " slot"] = np.zeros(INITIAL_CAPACITY, dtype=np.int64)
        """Changes of cell since the client connected."""
        self.gain: Float[np.ndarray, "slot cell"] = np.zeros((INITIAL_CAPACITY, num_cells))
        """Coupling gain to every cell, fast fading averaged out."""
        self.cross_gain: Float[np.ndarray, "slot cell"] = np.zeros((INITIAL_CAPACITY, num_cells))
        """The same with 0 at the serving cell: what disturbs, or is disturbed."""
        self._serving_gain: Float[np.ndarray, " slot"] = np.zeros(INITIAL_CAPACITY)
        self.fading: Float[np.ndarray, "slot instant group"] = np.ones(
            (INITIAL_CAPACITY, num_instants, num_groups)
        )
        """Fast fading of the serving link, mean 1, from each instant of the tick to the next."""
        self._num_users = np.zeros(INITIAL_CAPACITY, dtype=np.int64)
        self._slot_of: dict[int, int] = {}
        self._free: list[int] = list(range(INITIAL_CAPACITY - 1, -1, -1))

    def __len__(self) -> int:
        return len(self._slot_of)

    @property
    def slots(self) -> Int[np.ndarray, " connected"]:
        """Slots in use, in the order in which their clients connected."""
        return np.fromiter(self._slot_of.values(), dtype=np.intp, count=len(self._slot_of))

    def slot_of(self, client_id: int) -> int | None:
        """Give the slot of a client, ``None`` when it is not connected."""
        return self._slot_of.get(client_id)

    def acquire(self, client_id: int) -> tuple[int, bool]:
        """Give a client's slot for one more transfer, and whether it is newly connected."""
        slot = self._slot_of.get(client_id)
        if slot is not None:
            self._num_users[slot] += 1
            return slot, False
        if not self._free:
            self._grow()
        slot = self._free.pop()
        self._slot_of[client_id] = slot
        self._num_users[slot] = 1
        self.client_id[slot] = client_id
        self.cell_id[slot] = NO_CELL
        self.resume_at_s[slot] = 0.0
        self.handovers[slot] = 0
        self.gain[slot] = 0.0
        self.cross_gain[slot] = 0.0
        self._serving_gain[slot] = 0.0
        self.fading[slot] = 1.0
        return slot, True

    def release(self, slot: int) -> bool:
        """Take one transfer off a slot; tell whether that was the client's last."""
        self._num_users[slot] -= 1
        if self._num_users[slot] > 0:
            return False
        del self._slot_of[int(self.client_id[slot])]
        self.client_id[slot] = -1
        self._free.append(slot)
        return True

    def serve(self, slots: Int[np.ndarray, " moved"], cell_id: Int[np.ndarray, " moved"]) -> None:
        """Set the serving cell of slots, -1 for none."""
        self.cell_id[slots] = cell_id
        self._split_gain(slots)

    def set_gain(
        self, slots: Int[np.ndarray, " moved"], gain: Float[np.ndarray, "moved cell"]
    ) -> None:
        """Set the coupling gain of slots to every cell."""
        self.gain[slots] = gain
        self._split_gain(slots)

    def _split_gain(self, slots: Int[np.ndarray, " moved"]) -> None:
        """Tell the gain to the serving cell from those to the others."""
        cross = self.gain[slots]
        cell_id = self.cell_id[slots]
        served = np.flatnonzero(cell_id != NO_CELL)
        serving = np.zeros(len(slots))
        serving[served] = cross[served, cell_id[served]]
        cross[served, cell_id[served]] = 0.0
        self._serving_gain[slots], self.cross_gain[slots] = serving, cross

    def serving_gain(self, slots: Int[np.ndarray, " some"]) -> Float[np.ndarray, " some"]:
        """Give the gain to the serving cell; 0 without one."""
        return self._serving_gain[slots]

    def is_served(
        self, slots: Int[np.ndarray, " some"], *, now_s: float
    ) -> Bool[np.ndarray, " some"]:
        """Tell which slots have a cell and are not in an interruption."""
        return (self.cell_id[slots] != NO_CELL) & (self.resume_at_s[slots] <= now_s)

    def _grow(self) -> None:
        old = len(self.client_id)
        for name in (
            "client_id",
            "cell_id",
            "resume_at_s",
            "handovers",
            "gain",
            "cross_gain",
            "_serving_gain",
            "fading",
            "_num_users",
        ):
            column = getattr(self, name)
            grown = np.zeros((2 * old, *column.shape[1:]), dtype=column.dtype)
            grown[:old] = column
            setattr(self, name, grown)
        self._free = list(range(2 * old - 1, old - 1, -1))
