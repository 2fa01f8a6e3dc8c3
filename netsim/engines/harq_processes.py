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
    entry: Int[np.ndarray, " sender"]
    """Its process: row times ``NUM_PROCESSES``, plus number."""
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

    def has_nothing_to_send(
        self, rows: slice | Int[np.ndarray, " some"], *, slot: int
    ) -> Bool[np.ndarray, " some"]:
        """Return which transfers have neither new bits nor a retransmission that is due."""
        is_idle = self.unsent_bits[rows] <= 0
        if np.count_nonzero(is_idle):
            is_idle &= self._due[rows].min(axis=1) > slot
        return is_idle

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
        due = self._due.take(rows, axis=0)
        due_first = due.argmin(axis=1)
        is_retransmission = due.min(axis=1) <= slot
        is_free = self._count.take(rows, axis=0) == 0
        free = is_free.argmax(axis=1)
        can_start = is_free.max(axis=1) & (self.unsent_bits[rows] > 0) & ~is_retransmission
        if allowed_bits is not None:
            can_start &= allowed_bits > 0
            size_bits = np.minimum(size_bits, allowed_bits)
        sends = np.flatnonzero(is_retransmission | can_start)
        rows, is_retransmission = rows[sends], is_retransmission[sends]
        process = np.where(is_retransmission, due_first[sends], free[sends])
        new = ~is_retransmission
        entry = rows * NUM_PROCESSES + process
        started, started_at, granted = rows[new], entry[new], sends[new]
        bits = np.minimum(size_bits[granted], self.unsent_bits[started])
        self.unsent_bits[started] -= bits
        bits_of, mcs_of = self._bits.reshape(-1), self._mcs.reshape(-1)
        bits_of[started_at], mcs_of[started_at] = bits, mcs[granted]
        self._blocks.reshape(-1)[started_at] = blocks[granted]
        self._needed_sinr.reshape(-1)[started_at] = needed_sinr[granted]
        self._sinr.reshape(-1)[started_at] = 0.0
        self._count.reshape(-1)[entry] += 1
        return Attempt(
            place=sends,
            rows=rows,
            entry=entry,
            is_retransmission=is_retransmission,
            mcs=mcs_of.take(entry),
            bits=bits_of.take(entry),
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
        entry, sinr_of = attempt.entry, self._sinr.reshape(-1)
        # A retransmission on fewer blocks carries that much less of the block's energy.
        gathered = sinr_of.take(entry) + sinr * blocks / self._blocks.take(entry)
        sinr_of[entry] = gathered
        return gathered / self._needed_sinr.take(entry)

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
        rows, entry = attempt.rows, attempt.entry
        count_of, due_of = self._count.reshape(-1), self._due.reshape(-1)
        is_received = self._uniform(rows) >= error
        gives_up = ~is_received & ((count_of.take(entry) >= MAX_TRANSMISSIONS) | ~may_retransmit)
        ends = is_received | gives_up
        ended = entry[ends]
        due_of[entry] = slot + ROUND_TRIP_SLOTS
        count_of[ended], due_of[ended] = 0, NEVER
        self.unsent_bits[rows[gives_up]] += attempt.bits[gives_up]
        return np.where(is_received, attempt.bits, 0.0)

    def _uniform(self, rows: Int[np.ndarray, " some"]) -> Float[np.ndarray, " some"]:
        empty = rows[self._cursor[rows] == _DRAWS]
        for row in empty.tolist():
            self._draws[row] = self._rng[row].random(_DRAWS)
            self._cursor[row] = 0
        cursor = self._cursor[rows]
        self._cursor[rows] = cursor + 1
        return self._draws.take(rows * _DRAWS + cursor)
