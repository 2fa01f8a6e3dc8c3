"""What the only transfer of a direction gets, worked out once for each link where it cannot change.

So it is where nothing moves, fades or interferes, no backhaul limits rates, and the scheduler goes
by the number of transfers alone: what a lone transfer gets then follows from its cell, its gain to
that and the direction. A client that stands still meets the same each time that it is alone.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from netsim.engines.engine import Models
from netsim.engines.site_meter import Radiation
from netsim.rrc.links import Links
from netsim.transport.active_transfers import ActiveTransfers

MOST_LINKS = 50_000
"""Links whose services are kept; beyond, all are forgotten."""


@dataclass(slots=True, kw_only=True)
class LoneService:
    """What one transfer gets without others."""

    values: tuple[float, ...]
    """See :meth:`ActiveTransfers.service_values`; the first six follow by name."""
    load: Float[np.ndarray, "cell group"] | None
    """Share of its power that each cell radiates; ``None`` in the uplink."""
    rate_bps: float
    blocks: float
    sinr_db: float
    airtime_fraction: float
    airtime_w: float
    retransmission_rate_hz: float
    radiation: Radiation | None = None
    """What sites do meanwhile, once that is known."""


class LoneServices:
    """Services of lone transfers by link.

    Parameters
    ----------
    models
        Decide whether the service of a link can change.
    active, links
        Transfers on the air, and the links of their clients.
    is_limited
        Whether the backhaul limits rates.
    """

    def __init__(
        self, models: Models, active: ActiveTransfers, links: Links, *, is_limited: bool
    ) -> None:
        self._active = active
        self._links = links
        channel, air = models.channel, models.air
        is_varying = channel.is_varying or channel.is_fading or air.is_interfering
        self._is_constant = not (
            is_varying or is_limited or air.interference_variability is not None
        ) and (not models.sharing.uses_transfers)
        self.never_change = self._is_constant and not models.outages.may_fail
        """Whether what a link gives never changes: no site fails either."""
        self._known: dict[tuple[int, int, float], LoneService] = {}

    def known(self, rows: Int[np.ndarray, " transfer"]) -> LoneService | None:
        """Return what the transfers that are served get, if it is one whose link is known."""
        if not self._is_constant or len(rows) != 1:
            return None
        return self._known.get(self._link(rows))

    def learn(
        self,
        rows: Int[np.ndarray, " transfer"],
        load: Float[np.ndarray, "cell group"] | None = None,
    ) -> None:
        """Keep what the transfers that are served have got, if it is one and nothing changes it."""
        if not self._is_constant or len(rows) != 1:
            return
        if len(self._known) >= MOST_LINKS:
            self._known.clear()
        values = self._active.service_values(int(rows[0]))
        rate_bps, blocks, sinr_db, fraction, airtime_w, retransmission_rate_hz, _ = values
        self._known[self._link(rows)] = LoneService(
            values=values,
            load=load,
            rate_bps=rate_bps,
            blocks=blocks,
            sinr_db=sinr_db,
            airtime_fraction=fraction,
            airtime_w=airtime_w,
            retransmission_rate_hz=retransmission_rate_hz,
        )

    def of_link(self, direction: int, cell_id: int, serving_gain: float) -> LoneService | None:
        """Return what a lone transfer gets on a link, if that is known."""
        return self._known.get((direction, cell_id, serving_gain))

    def _link(self, rows: Int[np.ndarray, " transfer"]) -> tuple[int, int, float]:
        record = self._active.records[rows[0]]
        slot = record["slot"]
        gain = self._links.serving_gain(slot)
        return int(record["direction"]), int(self._links.cell_id[slot]), float(gain)
