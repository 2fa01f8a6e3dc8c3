"""Hybrid ARQ processes of many transfers at once: what is in flight, and what has arrived.

One row a transfer, one column a process. A block in error is due again after the round trip; copies
add up in SINR (chase combining). After the last attempt its bits go back to the queue.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int

from netsim.phy.harq import MAX_TRANSMISSIONS, ROUND_TRIP_SLOTS
from netsim.streams import Purpose, stream

NUM_PROCESSES = 16

NEVER = np.iinfo(np.int64).max
_DRAWS = 512


class Attempt(NamedTuple):
    """What some transfers send in one slot."""

    place: Int[np.ndarray, " sender"]
    """Where each sender stands among those granted."""
    rows: Int[np.ndarray, " sender"]
    process: Int[np.ndarray, " sender"]
    is_repeat: Bool[np.ndarray, " sender"]
    mcs: Int[np.ndarray, " sender"]
    bits: Float[np.ndarray, " sender"]
    """Size of the block [bit]."""


class HarqProcesses:
    """State of the HARQ processes, rows aligned with those of the active transfers.

    Parameters
    ----------
    seed
        Root seed; the errors of a transfer come from the stream (seed, BLOCK_ERROR, transfer).
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._rng: list[np.random.Generator] = []
        self._draws = np.empty((0, _DRAWS))
        self._cursor = np.empty(0, dtype=np.intp)
        self.unsent_bits = np.empty(0)
        """Bits that are in no process."""
        shape = (0, NUM_PROCESSES)
        self._bits = np.empty(shape)
        self._mcs = np.empty(shape, dtype=np.intp)
        self._blocks = np.empty(shape)
        self._sinr = np.empty(shape)
        self._count = np.empty(shape, dtype=np.int64)
        self._due = np.empty(shape, dtype=np.int64)

    def __len__(self) -> int:
        return len(self.unsent_bits)

    def append(self, transfer_id: int, size_bits: float) -> None:
        """Add a row for a transfer of which nothing has been sent."""
        self._rng.append(stream(self._seed, Purpose.BLOCK_ERROR, transfer_id))
        self._draws = np.concatenate([self._draws, np.zeros((1, _DRAWS))])
        self._cursor = np.append(self._cursor, _DRAWS)
        self.unsent_bits = np.append(self.unsent_bits, size_bits)
        for name in ("_bits", "_mcs", "_blocks", "_sinr", "_count"):
            column = getattr(self, name)
            setattr(
                self, name, np.concatenate([column, np.zeros((1, NUM_PROCESSES), column.dtype)])
            )
        self._due = np.concatenate([self._due, np.full((1, NUM_PROCESSES), NEVER)])

    def remove(self, is_gone: Bool[np.ndarray, " transfer"]) -> None:
        """Drop rows."""
        kept = ~is_gone
        self._rng = [rng for rng, keep in zip(self._rng, kept, strict=True) if keep]
        for name in (
            "_draws",
            "_cursor",
            "unsent_bits",
            "_bits",
            "_mcs",
            "_blocks",
            "_sinr",
            "_count",
            "_due",
        ):
            setattr(self, name, getattr(self, name)[kept])

    def attempt(
        self,
        rows: Int[np.ndarray, " granted"],
        *,
        slot: int,
        blocks: Float[np.ndarray, " granted"],
        mcs: Int[np.ndarray, " granted"],
        size_bits: Float[np.ndarray, " granted"],
        allowed_bits: Float[np.ndarray, " granted"] | None = None,
    ) -> Attempt:
        """Decide what each granted transfer sends: a repetition that is due, else new bits.

        Parameters
        ----------
        rows
            Transfers with blocks in this slot.
        slot
            Number of the slot.
        blocks, mcs, size_bits
            Holding, MCS and transport-block size for new bits.
        allowed_bits
            New bits that each may send, 0 for none; ``None`` is no limit.
        """
        due = self._due[rows]
        repeat = due.argmin(axis=1)
        is_repeat = due[np.arange(len(rows)), repeat] <= slot
        is_free = self._count[rows] == 0
        free = is_free.argmax(axis=1)
        can_start = is_free.any(axis=1) & (self.unsent_bits[rows] > 0) & ~is_repeat
        if allowed_bits is not None:
            can_start &= allowed_bits > 0
            size_bits = np.minimum(size_bits, allowed_bits)
        sends = np.flatnonzero(is_repeat | can_start)
        rows, is_repeat = rows[sends], is_repeat[sends]
        process = np.where(is_repeat, repeat[sends], free[sends])
        new = ~is_repeat
        started, started_at = rows[new], process[new]
        bits = np.minimum(size_bits[sends][new], self.unsent_bits[started])
        self.unsent_bits[started] -= bits
        self._bits[started, started_at] = bits
        self._mcs[started, started_at] = mcs[sends][new]
        self._blocks[started, started_at] = blocks[sends][new]
        self._sinr[started, started_at] = 0.0
        self._count[rows, process] += 1
        return Attempt(
            place=sends,
            rows=rows,
            process=process,
            is_repeat=is_repeat,
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
        """Add what is received now to earlier copies; give the SINR of all together.

        Parameters
        ----------
        attempt
            What was sent.
        blocks
            Holding in this slot.
        sinr
            Effective SINR that the transmission has met.
        """
        rows, process = attempt.rows, attempt.process
        # A repetition on fewer blocks carries that much less of the block's energy.
        self._sinr[rows, process] += sinr * blocks / self._blocks[rows, process]
        return self._sinr[rows, process]

    def settle(
        self,
        attempt: Attempt,
        *,
        slot: int,
        error: Float[np.ndarray, " sender"],
        may_repeat: Bool[np.ndarray, " sender"],
    ) -> Float[np.ndarray, " sender"]:
        """Draw which blocks are received; give the bits that arrived with each.

        Parameters
        ----------
        attempt
            What was sent.
        slot
            Number of the slot.
        error
            Probability that each block is in error.
        may_repeat
            False for broadcasts: a block in error goes back to the queue at once.
        """
        rows, process = attempt.rows, attempt.process
        is_received = self._uniform(rows) >= error
        gives_up = ~is_received & ((self._count[rows, process] >= MAX_TRANSMISSIONS) | ~may_repeat)
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
