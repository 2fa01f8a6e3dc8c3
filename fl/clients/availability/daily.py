"""Windows that come back every day, at another time for each client and day."""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Le, Lt
from jaxtyping import Bool, Int

from fl.clients.availability.addressed import uniforms
from fl.clients.availability.model import ClientIds, Instants

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
MAX_DAYS = 10_000
"""Days for which a next window is searched."""


@dataclass(frozen=True, kw_only=True)
class DailyWindow:
    """A part of the day."""

    begin_h: Annotated[float, Ge(0), Lt(24)]
    """Local time of day at which it begins, on average [h]."""
    duration_h: Annotated[float, Gt(0), Lt(24)]
    """How long it lasts [h]."""
    spread_h: Annotated[float, Ge(0), Lt(12)] = 0.0
    """It begins earlier or later by up to this, uniformly, anew for each client and day [h]."""
    probability: Annotated[float, Gt(0), Le(1)] = 1.0
    """Of a client having it on a day."""


def window_fault(window: DailyWindow) -> str | None:
    """Return what is wrong with a window whose days might overlap."""
    longest_h = window.duration_h + 2 * window.spread_h
    if longest_h < 24:
        return None
    return (
        f"duration_h + 2 spread_h must be < 24: windows of two days would meet, got {longest_h:g}"
    )


class DailyWindows:
    """The windows of all clients.

    Parameters
    ----------
    window
        What they have in common.
    starts_at_h
        Local time of day at 0 s [h].
    key
        Of the draws, see :func:`fl.clients.availability.addressed.uniforms`.
    """

    def __init__(self, window: DailyWindow, *, starts_at_h: float, key: int) -> None:
        self._window = window
        self._starts_at_h = starts_at_h
        self._key = key

    def is_available(self, client_ids: ClientIds, *, at_s: float) -> Bool[np.ndarray, " client"]:
        """Return which are in a window: of the day, or of its neighbours."""
        day = self.day(at_s)
        is_in = np.zeros(len(client_ids), dtype=np.bool_)
        for each in (day - 1, day, day + 1):
            begin_s, end_s = self.windows(client_ids, each)
            is_in |= (begin_s <= at_s) & (at_s < end_s)
        return is_in

    def next_change_s(self, client_ids: ClientIds, *, after_s: float) -> Instants:
        """Return the first edge of a window after an instant; inf if none comes in 10,000 days."""
        first = self.day(after_s) - 1
        found_s = np.full(len(client_ids), np.inf)
        left: Int[np.ndarray, " left"] = np.arange(len(client_ids))
        for day in range(first, first + MAX_DAYS):
            for edges_s in self.windows(client_ids[left], day):
                is_later = edges_s > max(after_s, 0.0)
                later = left[is_later]
                found_s[later] = np.minimum(found_s[later], edges_s[is_later])
            # windows of two days do not meet, so no later day has an earlier edge
            left = left[~np.isfinite(found_s[left])]
            if not len(left):
                break
        return found_s

    def day(self, at_s: float) -> int:
        """Return the day of an instant, 0 for the first."""
        return int((at_s + self._starts_at_h * HOUR_S) // DAY_S)

    def windows(self, client_ids: ClientIds, day: int) -> tuple[Instants, Instants]:
        """Return begin and end of the windows of a day; inf where a client has none."""
        window = self._window
        begin_h = np.full(len(client_ids), 24.0 * day + window.begin_h - self._starts_at_h)
        if window.spread_h > 0:
            begin_h += window.spread_h * (2 * uniforms(self._key, client_ids, 2 * day) - 1)
        if window.probability < 1:
            is_there = uniforms(self._key, client_ids, 2 * day + 1) < window.probability
            begin_h = np.where(is_there, begin_h, np.inf)
        return begin_h * HOUR_S, (begin_h + window.duration_h) * HOUR_S
