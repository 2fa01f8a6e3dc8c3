"""The lead of clients: by how much their fades are measured better than they are met."""

import numpy as np
from jaxtyping import Float

from netsim.engines.sub_ticks import time_weights
from netsim.engines.transmission import FlowTransmission
from netsim.phy.effective_sinr import mean_over_groups
from netsim.phy_abstraction.air_interface import AirInterface
from netsim.phy_abstraction.served_fades import usual_db
from netsim.rrc.links import Links
from netsim.transport.active_transfers import TINY
from netsim.units import floored_db

MOST_PERSISTENCE = 0.99
"""Above this part of a measured fade that is left when a block is sent, there is no lead: clients
who walk (3 km/h at 3.5 GHz, 1 ms: 0.998)."""


class Leads:
    """Finds the lead in transmissions, see :mod:`netsim.phy_abstraction.served_fades`.

    Parameters
    ----------
    air
        Constants of the band.
    links
        Fading of the clients at the instants of a tick.
    is_followed
        Whether the scheduled users change with the fading.
    """

    def __init__(self, air: AirInterface, links: Links, *, is_followed: bool) -> None:
        self._air, self._links = air, links
        self._has_lead = is_followed and air.fade_persistence <= MOST_PERSISTENCE

    def of(self, sent: FlowTransmission) -> Float[np.ndarray, " transfer"] | None:
        """Return the mean lead of each transfer over its time on the air [dB].

        What is usual is the mean over the whole tick, so a client served at all of it has none.
        ``None``: there is none at all; nor in broadcasts, whose MCS is that of the weakest member.
        """
        served = sent.served
        if not self._has_lead or served.has_groups:
            return None
        air, links = self._air, self._links
        of_tick = links.uplink_fading if served.is_uplink else links.downlink_fading
        fading = of_tick.take(served.slots, axis=0).swapaxes(0, 1)
        unfaded = mean_over_groups(sent.sinr) / mean_over_groups(sent.fading)
        held_db = floored_db(air.effective_sinr(sent.sinr, sent.shares) / unfaded)
        weight = time_weights(sent.duration_s)[:, None] * sent.activity * (sent.blocks > 0)
        total = weight.sum(axis=0)
        weight = np.divide(weight, total, out=np.zeros_like(weight), where=total > 0)
        mean_sinr = (weight * unfaded).sum(axis=0)
        group_db = whole_db = mean_over_groups(floored_db(fading)).mean(axis=0)
        if fading.shape[-1] > 1:
            whole = air.effective_sinr(mean_sinr[:, None] * fading)
            whole_db = floored_db(whole / np.maximum(mean_sinr, TINY)).mean(axis=0)
        above_db = held_db - usual_db(whole_db, group_db, sent.shares)
        return (1.0 - air.fade_persistence) * (weight * above_db).sum(axis=0)
