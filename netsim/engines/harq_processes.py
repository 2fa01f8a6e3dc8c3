"""Hybrid ARQ processes of many transfers at once.

One row a transfer, one column a process. A block in error is retransmitted after the round trip;
the SINRs of its transmissions add up (chase combining). After the last transmission in error its
bits return to the queue.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from netsim.phy.harq import MAX_TRANSMISSIONS, ROUND_TRIP_SLOTS
from netsim.slot_arrays import SlotArrays
from netsim.streams import Purpose, stream

NUM_PROCESSES = 16

NEVER = np.iinfo(np.int64).max
_DRAWS = 512


class Attempt(NamedTuple):
    """The transport blocks that some transfers send in one slot."""

    place: Int[np.ndarray, " sender"]
    """Index of each sender among those granted."""
    rows: Int[np.ndarray, " sender"]
    process: Int[np.ndarray, " sender"]
    is_retransmission: Bool[np.ndarray, " sender"]
    mcs: Int[np.ndarray, " sender"]
    bits: Float[np.ndarray, " sender"]
    """Size of the block [bit]."""


class HarqProcesses(SlotArrays):
    """State of the HARQ processes, rows aligned with those of the active transfers.

    Parameters
    ----------
    seed
        Root seed; the errors of a transfer come from the stream (seed, BLOCK_ERROR, transfer).
    """

    unsent_bits: Float[np.ndarray, " transfer"]
    """Bits that are in no process."""
    _draws: Float[np.ndarray, "transfer draw"]
    _cursor: Int[np.ndarray, " transfer"]
    _bits: Float[np.ndarray, "transfer process"]
    _mcs: Int[np.ndarray, "transfer process"]
    _blocks: Float[np.ndarray, "transfer process"]
    _needed_sinr: Float[np.ndarray, "transfer process"]
    _sinr: Float[np.ndarray, "transfer process"]
    _count: Int[np.ndarray, "transfer process"]
    """Transmissions so far, 0 for a free process."""
    _due: Int[np.ndarray, "transfer process"]
    """Slot from which a retransmission may be sent."""

    def __init__(self, seed: int) -> None:
        zero = np.zeros(NUM_PROCESSES)
        super().__init__(
            unsent_bits=0.0,
            _draws=np.zeros(_DRAWS),
            _cursor=_DRAWS,
            _bits=zero,
            _mcs=zero.astype(np.intp),
            _blocks=zero,
            _needed_sinr=zero,
            _sinr=zero,
            _count=zero.astype(np.int64),
            _due=np.full(NUM_PROCESSES, NEVER),
        )
        self._seed = seed
        self._rng: list[np.random.Generator] = []

    def __len__(self) -> int:
        return self.num_slots

    def append(self, transfer_id: int, size_bits: float) -> None:
        """Add a row for a transfer of which nothing has been sent."""
        self._rng.append(stream(self._seed, Purpose.BLOCK_ERROR, transfer_id))
        self.add()
        self.unsent_bits[-1] = size_bits

    def keep(self, is_kept: Bool[np.ndarray, " transfer"]) -> None:
        """Drop all other rows."""
        self._rng = [rng for rng, keeps in zip(self._rng, is_kept, strict=True) if keeps]
        super().keep(is_kept)

    def attempt(
        self,
        rows: Int[np.ndarray, " granted"],
        *,
        slot: int,
        blocks: Float[np.ndarray, " granted"],
        mcs: Int[np.ndarray, " granted"],
        size_bits: Float[np.ndarray, " granted"],
        needed_sinr: Float[np.ndarray, " granted"],
        allowed_bits: Float[np.ndarray, " granted"] | None = None,
    ) -> Attempt:
        """Return what each granted transfer sends: a retransmission that is due, else new bits.

        Parameters
        ----------
        rows
            Transfers with blocks in this slot.
        slot
            Number of the slot.
        blocks, mcs, size_bits
            Blocks held, MCS and transport-block size for new bits.
        needed_sinr
            SINR that a block of this size needs over that of a long one with the same MCS.
        allowed_bits
            New bits that each may send, 0 for none; ``None`` is no limit.
        """
        due = self._due[rows]
        due_first = due.argmin(axis=1)
        row = np.arange(len(rows))
        is_retransmission = due[row, due_first] <= slot
        is_free = self._count[rows] == 0
        free = is_free.argmax(axis=1)
        can_start = is_free[row, free] & (self.unsent_bits[rows] > 0) & ~is_retransmission
        if allowed_bits is not None:
            can_start &= allowed_bits > 0
            size_bits = np.minimum(size_bits, allowed_bits)
        sends = np.flatnonzero(is_retransmission | can_start)
        rows, is_retransmission = rows[sends], is_retransmission[sends]
        process = np.where(is_retransmission, due_first[sends], free[sends])
        new = ~is_retransmission
        started, started_at, granted = rows[new], process[new], sends[new]
        bits = np.minimum(size_bits[granted], self.unsent_bits[started])
        self.unsent_bits[started] -= bits
        self._bits[started, started_at] = bits
        self._mcs[started, started_at] = mcs[granted]
        self._blocks[started, started_at] = blocks[granted]
        self._needed_sinr[started, started_at] = needed_sinr[granted]
        self._sinr[started, started_at] = 0.0
        self._count[rows, process] += 1
        return Attempt(
            place=sends,
            rows=rows,
            process=process,
            is_retransmission=is_retransmission,
            mcs=self._mcs[rows, process],
            bits=self._bits[rows, process],
        )

    def combine(
        self,
        attempt: Attempt,
        *,
        blocks: Float[np.ndarray, " sender"],
        sinr: Float[np.ndarray, " sender"],
    ) -> Float[np.ndarray, " sender"]:
        """Add the SINR received now to that of earlier transmissions.

        Parameters
        ----------
        attempt
            The blocks sent.
        blocks
            Blocks held in this slot.
        sinr
            Effective SINR of the transmission.

        Returns
        -------
        array
            The SINR at which long blocks have the error rate that blocks of this size have now.
        """
        rows, process = attempt.rows, attempt.process
        # A retransmission on fewer blocks carries that much less of the block's energy.
        self._sinr[rows, process] += sinr * blocks / self._blocks[rows, process]
        return self._sinr[rows, process] / self._needed_sinr[rows, process]

    def settle(
        self,
        attempt: Attempt,
        *,
        slot: int,
        error: Float[np.ndarray, " sender"],
        may_retransmit: Bool[np.ndarray, " sender"],
    ) -> Float[np.ndarray, " sender"]:
        """Draw which blocks are received; return the bits received with each.

        Parameters
        ----------
        attempt
            The blocks sent.
        slot
            Number of the slot.
        error
            Probability that each block is in error.
        may_retransmit
            False for broadcasts: the bits of a block in error return to the queue at once.
        """
        rows, process = attempt.rows, attempt.process
        is_received = self._uniform(rows) >= error
        gives_up = ~is_received & (
            (self._count[rows, process] >= MAX_TRANSMISSIONS) | ~may_retransmit
        )
        self._due[rows, process] = slot + ROUND_TRIP_SLOTS
        ends = is_received | gives_up
        self._count[rows[ends], process[ends]] = 0
        self._due[rows[ends], process[ends]] = NEVER
        self.unsent_bits[rows[gives_up]] += attempt.bits[gives_up]
        return np.where(is_received, attempt.bits, 0.0)

    def _uniform(self, rows: Int[np.ndarray, " some"]) -> Float[np.ndarray, " some"]:
        empty = rows[self._cursor[rows] == _DRAWS]
        for row in empty.tolist():
            self._draws[row] = self._rng[row].random(_DRAWS)
            self._cursor[row] = 0
        drawn = self._draws[rows, self._cursor[rows]]
        self._cursor[rows] += 1
        return drawn
