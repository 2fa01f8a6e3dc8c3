"""Present while a device charges and has Wi-Fi, as phones that train only then."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Lt
from jaxtyping import Bool

from fl.clients.availability.daily import MAX_DAYS, DailyWindow, DailyWindows
from fl.clients.availability.model import ClientIds, Instants


@dataclass(frozen=True, kw_only=True)
class ChargingWifiAvailability:
    """Present in the overlap of two daily windows: on the charger, and at home on Wi-Fi."""

    charging: DailyWindow = field(
        default_factory=lambda: DailyWindow(begin_h=22, duration_h=8, spread_h=2)
    )
    """When the device is plugged in (default: our choice)."""
    wifi: DailyWindow = field(
        default_factory=lambda: DailyWindow(begin_h=18, duration_h=14, spread_h=1)
    )
    """When it has Wi-Fi (default: our choice)."""
    starts_at_h: Annotated[float, Ge(0), Lt(24)] = 0.0
    """Local time of day when the simulation starts [h]."""
    kind: Literal["charging_wifi"] = "charging_wifi"


def overlaps(first: DailyWindow, second: DailyWindow) -> bool:
    """Whether two windows overlap on a day on which both begin at their mean time."""
    later_h = (second.begin_h - first.begin_h) % 24
    return later_h < first.duration_h or 24 - later_h < second.duration_h


class Both:
    """Clients that are in windows of both kinds.

    Parameters
    ----------
    first, second
        The windows.
    """

    def __init__(self, first: DailyWindows, second: DailyWindows) -> None:
        self._parts = (first, second)

    def is_available(self, client_ids: ClientIds, *, at_s: float) -> Bool[np.ndarray, " client"]:
        """Return which are in both."""
        first, second = self._parts
        there: Bool[np.ndarray, " client"] = first.is_available(
            client_ids, at_s=at_s
        ) & second.is_available(client_ids, at_s=at_s)
        return there

    def next_change_s(self, client_ids: ClientIds, *, after_s: float) -> Instants:
        """Return the first change of either that changes both together."""
        return np.array([self._next_s(np.array([each]), after_s) for each in client_ids.tolist()])

    def _next_s(self, client_id: ClientIds, after_s: float) -> float:
        before = self.is_available(client_id, at_s=after_s)[0]
        at_s = after_s
        for _ in range(4 * MAX_DAYS):
            at_s = min(float(p.next_change_s(client_id, after_s=at_s)[0]) for p in self._parts)
            if at_s == np.inf or self.is_available(client_id, at_s=at_s)[0] != before:
                return at_s
        return float(np.inf)
