"""Booked intervals of constant power: as columns, and as they are added."""

from array import array
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entries:
    """Booked intervals as columns, in the order of booking."""

    owner_id: Int[np.ndarray, " entry"]
    activity: Int[np.ndarray, " entry"]
    """Index into the activities of the owner's kind."""
    started_at_s: Float[np.ndarray, " entry"]
    finished_at_s: Float[np.ndarray, " entry"]
    power_w: Float[np.ndarray, " entry"]

    def until(self, until_s: float) -> "Entries":
        """Cut everything off at an instant."""
        kept = self.started_at_s < until_s
        return Entries(
            owner_id=self.owner_id[kept],
            activity=self.activity[kept],
            started_at_s=self.started_at_s[kept],
            finished_at_s=np.minimum(self.finished_at_s[kept], until_s),
            power_w=self.power_w[kept],
        )

    @property
    def seconds(self) -> Float[np.ndarray, " entry"]:
        """Length of each interval."""
        return self.finished_at_s - self.started_at_s

    @property
    def energy_j(self) -> Float[np.ndarray, " entry"]:
        """Power times time of each."""
        return self.power_w * self.seconds

    def of(self, chosen: np.ndarray) -> "Entries":
        """Keep the entries marked True."""
        return Entries(
            owner_id=self.owner_id[chosen],
            activity=self.activity[chosen],
            started_at_s=self.started_at_s[chosen],
            finished_at_s=self.finished_at_s[chosen],
            power_w=self.power_w[chosen],
        )

    def last_of_each(self) -> Int[np.ndarray, " owner"]:
        """Return the rows of the entries that end last, one of each owner, by owner."""
        by_end = np.lexsort((self.finished_at_s, self.owner_id))
        owner_id = self.owner_id[by_end]
        return by_end[np.searchsorted(owner_id, np.unique(owner_id), side="right") - 1]


class EntryColumns:
    """Entries of one kind of owner as they are booked, in columns.

    Parameters
    ----------
    activities
        What its owners can do.
    """

    def __init__(self, activities: tuple[str, ...]) -> None:
        self._code = {name: code for code, name in enumerate(activities)}
        self._owner_id = array("q")
        self._activity = array("b")
        self._started_at_s = array("d")
        self._finished_at_s = array("d")
        self._power_w = array("d")
        self.latest_s = 0.0
        """End of the entry that ends last."""

    def __len__(self) -> int:
        return len(self._owner_id)

    def append(
        self,
        owner_id: int,
        activity: str,
        started_at_s: float,
        finished_at_s: float,
        power_w: float,
    ) -> bool:
        """Add an entry; tell whether there is one, as an empty interval leaves none."""
        if activity not in self._code:
            msg = f"activity: must be one of {', '.join(self._code)}, got {activity!r}"
            raise ValueError(msg)
        # Written so that NaN fails too.
        if not 0 <= started_at_s <= finished_at_s < np.inf:
            msg = f"interval: must be 0 <= start <= end, got {started_at_s} to {finished_at_s} s"
            raise ValueError(msg)
        if not 0 <= power_w < np.inf:
            msg = f"power_w: must be >= 0 and finite, got {power_w} for {activity} of {owner_id}"
            raise ValueError(msg)
        if finished_at_s == started_at_s:
            return False
        self._owner_id.append(owner_id)
        self._activity.append(self._code[activity])
        self._started_at_s.append(started_at_s)
        self._finished_at_s.append(finished_at_s)
        self._power_w.append(power_w)
        self.latest_s = max(self.latest_s, finished_at_s)
        return True

    def take_out(self, chosen: Bool[np.ndarray, " entry"]) -> Entries:
        """Remove the entries marked True and return them."""
        entries = self.entries()
        rest = entries.of(~chosen)
        self._owner_id = array("q", rest.owner_id.tobytes())
        self._activity = array("b", rest.activity.astype(np.int8).tobytes())
        self._started_at_s = array("d", rest.started_at_s.tobytes())
        self._finished_at_s = array("d", rest.finished_at_s.tobytes())
        self._power_w = array("d", rest.power_w.tobytes())
        return entries.of(chosen)

    def entries(self) -> Entries:
        """Return all entries, in the order of booking."""
        return Entries(
            owner_id=np.array(self._owner_id, dtype=np.int64),
            activity=np.array(self._activity, dtype=np.int64),
            started_at_s=np.array(self._started_at_s, dtype=np.float64),
            finished_at_s=np.array(self._finished_at_s, dtype=np.float64),
            power_w=np.array(self._power_w, dtype=np.float64),
        )
