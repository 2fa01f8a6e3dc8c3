"""Services of the channel ticks to come, worked out in one call where only the fading changes them.

So it is where nothing interferes, no backhaul limits rates, and the scheduler goes by the number of
transfers alone. What the transfers of a direction get at an instant then follows from who they are,
their gains and their fading, which :class:`netsim.rrc.link_tracker.LinkTracker` knows for some
ticks ahead. A call for several ticks takes little longer than one for a single tick. What was
worked out holds until a transfer comes or goes, or a gain changes.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from netsim.engines.engine import Models
from netsim.engines.flow_outcome import InstantService, over_time
from netsim.engines.served_set import ServedSet
from netsim.engines.transmission import FlowTransmission
from netsim.rrc.link_tracker import LinkTracker, Stretch
from netsim.rrc.links import Links
from netsim.transport.active_transfers import Service

MOST_AT_ONCE = 600
"""Transfers times instants that are worked out in one call; more take longer than they may save."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What the transfers of a direction get at the instants of some ticks."""

    served: ServedSet
    links_version: int
    stretch: Stretch
    first_tick: int
    at_instants: InstantService


class InstantsAhead(NamedTuple):
    """Fading of the transfers of a direction at the instants of this tick and of later ones."""

    fading: Float[np.ndarray, "instant transfer group"]
    duration_s: Float[np.ndarray, " instant"]
    """Time from each instant to the next [s]."""


class ServicesAhead:
    """Keeps the services of the ticks to come, of each direction.

    Parameters
    ----------
    models
        Decide whether anything but the fading can change a service.
    links, tracker
        Gains and fading of the clients.
    is_limited
        Whether the backhaul limits rates.
    """

    def __init__(
        self, models: Models, links: Links, tracker: LinkTracker, *, is_limited: bool
    ) -> None:
        self._links = links
        self._tracker = tracker
        air = models.air
        is_disturbed = air.is_interfering or air.interference_variability is not None
        self.is_possible = models.channel.is_fading and not (
            is_disturbed or is_limited or models.sharing.uses_transfers
        )
        """Whether there are such services at all."""
        self._known: dict[int, _Known] = {}

    def take(self, served: ServedSet, now_s: float) -> Service | None:
        """Return what transfers get until the next tick, if it was worked out before."""
        known = self._known.get(served.direction)
        if (
            known is None
            or known.served is not served
            or known.links_version != self._links.version
            or known.stretch is not self._tracker.stretch
        ):
            return None
        first, duration_s = self._tracker.instants(now_s)
        num_instants = first + len(duration_s)
        end = (self._tracker.tick - known.first_tick + 1) * num_instants
        if end > len(known.at_instants.rate_bps):
            return None
        chosen = slice(end - len(duration_s), end)
        found = InstantService(*(each[chosen] for each in known.at_instants))
        return over_time(found, duration_s, rows=served.index)

    def instants(self, served: ServedSet, now_s: float) -> InstantsAhead | None:
        """Return the instants to work out now; ``None``: only those up to the next tick."""
        if not self.is_possible:
            return None
        first, duration_s = self._tracker.instants(now_s)
        most_ticks = MOST_AT_ONCE // (len(served.slots) * len(duration_s))
        if first > 0 or most_ticks < 2:
            return None
        fading = self._tracker.fading_ahead(
            served.slots, is_uplink=served.is_uplink, most_ticks=most_ticks
        )
        if fading is None:
            return None
        num_ticks = fading.shape[1] // len(duration_s)
        return InstantsAhead(fading.swapaxes(0, 1), np.tile(duration_s, num_ticks))

    def over_time(self, sent: FlowTransmission, found: InstantService, now_s: float) -> Service:
        """Return what transfers get until the next tick, and keep what they get after it.

        Parameters
        ----------
        sent
            What they send at the instants that were worked out.
        found
            What they get at these.
        now_s
            Simulated time.
        """
        if self.is_possible and len(sent.duration_s) > len(self._tracker.instants(now_s)[1]):
            self._known[sent.served.direction] = _Known(
                served=sent.served,
                links_version=self._links.version,
                stretch=self._tracker.stretch,
                first_tick=self._tracker.tick,
                at_instants=found,
            )
            service = self.take(sent.served, now_s)
            if service is not None:
                return service
        return over_time(found, sent.duration_s, rows=sent.served.index)
