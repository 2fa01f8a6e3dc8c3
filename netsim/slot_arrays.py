"""Arrays with one row for each slot, which grow and shrink together."""

import numpy as np
from jaxtyping import Bool, Int

from netsim.array_like import ArrayLike


class SlotArrays:
    """Arrays of equal length with one row for each slot; a subclass annotates its columns.

    Parameters
    ----------
    new_row
        By name of an attribute: the value of a new row. Its shape and type are those of every row.

    Examples
    --------
    >>> queue = SlotArrays(bits=0.0, due=np.array([7, 7]))
    >>> queue.add(2)
    >>> queue.due.tolist()
    [[7, 7], [7, 7]]
    >>> queue.keep(np.array([True, False]))
    >>> queue.bits.tolist()
    [0.0]
    """

    def __init__(self, **new_row: ArrayLike) -> None:
        self.num_slots = 0
        self._new_row = {name: np.asarray(value) for name, value in new_row.items()}
        for name, value in self._new_row.items():
            setattr(self, name, np.empty((0, *value.shape), dtype=value.dtype))

    def add(self, count: int = 1) -> None:
        """Append new rows."""
        self.num_slots += count
        for name, value in self._new_row.items():
            # As bytes: records with many fields are copied field by field, twenty times as slow.
            content = bytearray(getattr(self, name).tobytes() + value.tobytes() * count)
            shape = (self.num_slots, *value.shape)
            setattr(self, name, np.ndarray(shape, dtype=value.dtype, buffer=content))

    def keep(self, is_kept: Bool[np.ndarray, " slot"]) -> None:
        """Drop all other rows."""
        for name, value in self._new_row.items():
            rows = getattr(self, name)
            if value.dtype.names is not None:  # records: as bytes, as above
                rows = rows.view(np.dtype((np.void, value.dtype.itemsize)))
            setattr(self, name, rows.compress(is_kept, axis=0).view(value.dtype))
        self.num_slots = int(np.count_nonzero(is_kept))

    def renew(self, slots: Int[np.ndarray, " some"] | int) -> None:
        """Set these rows to new ones; slots that never were are made."""
        last = slots if isinstance(slots, int) else int(slots.max(initial=-1))
        missing = last + 1 - self.num_slots
        if missing > 0:
            self.add(missing)
        for name, value in self._new_row.items():
            getattr(self, name)[slots] = value
