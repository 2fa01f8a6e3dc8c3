"""Connected clients: serving cell, gains and fading of every client that has a transfer now.

Slots are reused, so the number of a slot stays valid while its client is connected. Which cell
serves a client is decided in :mod:`netsim.rrc.association`.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Bool, Float, Int

from netsim.rrc.standing_link import StandingLink
from netsim.slot_arrays import SlotArrays
from netsim.world.layout import NO_CELL

INITIAL_CAPACITY = 64


class Links(SlotArrays):
    """Arrays over slots of connected clients.

    Parameters
    ----------
    num_cells, num_groups
        Widths of the gain and fading arrays.
    num_instants
        Instants of a channel tick at which fading is known.
    """

    client_id: Int[np.ndarray, " slot"]
    """-1 in a slot that is free."""
    cell_id: Int[np.ndarray, " slot"]
    """Serving cell, -1 for none."""
    resume_at_s: Float[np.ndarray, " slot"]
    """No blocks before this instant: handover interruption or recovery."""
    handovers: Int[np.ndarray, " slot"]
    """Changes of cell since the client connected."""
    gain: Float[np.ndarray, "slot cell"]
    """Coupling gain to every cell, fast fading averaged out."""
    cross_gain: Float[np.ndarray, "slot cell"]
    """The same with 0 at the serving cell: the gains of interference, both ways."""
    uplink_fading: Float[np.ndarray, "slot instant group"]
    """Fast fading of the serving link, mean 1, from each instant of the tick to the next."""
    downlink_fading: Float[np.ndarray, "slot instant group"]
    _serving_gain: Float[np.ndarray, " slot"]
    _num_transfers: Int[np.ndarray, " slot"]
    _is_new: Bool[np.ndarray, " slot"]
    """Whether no cell was chosen since the client connected."""

    def __init__(self, *, num_cells: int, num_groups: int, num_instants: int) -> None:
        super().__init__(
            client_id=-1,
            cell_id=NO_CELL,
            resume_at_s=0.0,
            handovers=0,
            gain=np.zeros(num_cells),
            cross_gain=np.zeros(num_cells),
            uplink_fading=np.ones((num_instants, num_groups)),
            downlink_fading=np.ones((num_instants, num_groups)),
            _serving_gain=0.0,
            _num_transfers=0,
            _is_new=True,
        )
        self.on_change: Callable[[Int[np.ndarray, " client"], Int[np.ndarray, " client"]], None] = (
            _ignore
        )
        """Called with clients that have just connected or change their cell, and these cells."""
        self.version = 0
        """Changes with every gain and serving cell."""
        self._slot_of: dict[int, int] = {}
        self._free: list[int] = []
        self._make_slots(INITIAL_CAPACITY)

    def __len__(self) -> int:
        return len(self._slot_of)

    @property
    def slots(self) -> Int[np.ndarray, " connected"]:
        """Slots in use, in the order in which their clients connected."""
        return np.fromiter(self._slot_of.values(), dtype=np.intp, count=len(self._slot_of))

    def slot_of(self, client_id: int) -> int | None:
        """Return the slot of a client, ``None`` when it is not connected."""
        return self._slot_of.get(client_id)

    def acquire(self, client_id: int) -> tuple[int, bool]:
        """Return a client's slot for one more transfer, and whether it is newly connected."""
        slot = self._slot_of.get(client_id)
        if slot is not None:
            self._num_transfers[slot] += 1
            return slot, False
        if not self._free:
            self._make_slots(self.num_slots)
        slot = self._free.pop()
        self.renew(slot)
        self._slot_of[client_id] = slot
        self._num_transfers[slot] = 1
        self.client_id[slot] = client_id
        return slot, True

    def release(self, slot: int) -> bool:
        """Take one transfer off a slot; return whether that was the client's last."""
        self._num_transfers[slot] -= 1
        if self._num_transfers[slot] > 0:
            return False
        del self._slot_of[int(self.client_id[slot])]
        self.client_id[slot] = -1
        self._free.append(slot)
        return True

    def serve(self, slots: Int[np.ndarray, " moved"], cell_id: Int[np.ndarray, " moved"]) -> None:
        """Set the serving cell of slots, -1 for none."""
        is_change = self._is_new[slots] | (self.cell_id[slots] != cell_id)
        self.cell_id[slots] = cell_id
        self._is_new[slots] = False
        self._split_gain(slots)
        if is_change.any():
            self.on_change(self.client_id[slots[is_change]], cell_id[is_change])

    def standing(self, slot: int, *, may_fail: bool) -> StandingLink:
        """Return the link of a client, for :meth:`restore`."""
        return StandingLink(
            cell_id=int(self.cell_id[slot]),
            serving_gain=float(self._serving_gain[slot]),
            gain=self.gain[slot].copy(),
            cross_gain=self.cross_gain[slot].copy(),
            may_fail=may_fail,
        )

    def restore(self, slot: int, link: StandingLink) -> None:
        """Set gains and serving cell of a new slot to those that its client had before."""
        self.cell_id[slot], self._is_new[slot] = link.cell_id, False
        self._serving_gain[slot] = link.serving_gain
        self.gain[slot], self.cross_gain[slot] = link.gain, link.cross_gain
        self.version += 1
        client = slice(slot, slot + 1)
        self.on_change(self.client_id[client], self.cell_id[client])

    def set_gain(
        self, slots: Int[np.ndarray, " moved"], gain: Float[np.ndarray, "moved cell"]
    ) -> None:
        """Set the coupling gain of slots to every cell; :meth:`serve` tells new ones theirs."""
        self.gain[slots] = gain
        if not self._is_new[slots].all():
            self._split_gain(slots)

    def _split_gain(self, slots: Int[np.ndarray, " moved"]) -> None:
        """Separate the gain to the serving cell from those to the others."""
        self.version += 1
        cross = self.gain[slots]
        cell_id = self.cell_id[slots]
        served = (cell_id != NO_CELL).nonzero()[0]
        serving = np.zeros(len(slots))
        serving[served] = cross[served, cell_id[served]]
        cross[served, cell_id[served]] = 0.0
        self._serving_gain[slots], self.cross_gain[slots] = serving, cross

    def serving_gain(self, slots: Int[np.ndarray, " some"]) -> Float[np.ndarray, " some"]:
        """Return the gain to the serving cell; 0 without one."""
        return self._serving_gain[slots]

    def is_served(
        self, slots: Int[np.ndarray, " some"], *, now_s: float
    ) -> Bool[np.ndarray, " some"]:
        """Return which slots have a cell and are not in an interruption."""
        return (self.cell_id[slots] != NO_CELL) & (self.resume_at_s[slots] <= now_s)

    def _make_slots(self, count: int) -> None:
        self.add(count)
        self._free = list(range(self.num_slots - 1, self.num_slots - count - 1, -1))


def _ignore(client_ids: Int[np.ndarray, " client"], cell_ids: Int[np.ndarray, " client"]) -> None:
    """Do nothing: nobody listens."""
