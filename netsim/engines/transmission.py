"""What served transfers send: the object that carries a grant from shares to bit rates.

Both engines fill it in from the shares that the schedulers gave, the power limit and the
interference, and then work out what is received: the flow engine on average over the time to the
next solve (:mod:`netsim.engines.flow_outcome`), the slot engine block by block
(:mod:`netsim.engines.block_exchange`).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from netsim.energy.ue_power import UePower
from netsim.engines.interference import InterferenceMoments
from netsim.engines.served_set import ServedSet
from netsim.mac.demand import Demand


@dataclass(slots=True, kw_only=True)  # freezing would triple the time that making one takes
class Transmission:
    """What the transfers of a served set send; the flow engine has a leading axis of instants."""

    served: ServedSet
    shares: Float[np.ndarray, "*instant transfer group"]
    """Share of each group in use, on average over time."""
    blocks: Float[np.ndarray, "*instant transfer"]
    """Resource blocks in use at once."""
    client_blocks: Float[np.ndarray, "*instant transfer"]
    """Those that its client uses at once for all its transfers: one transport block has the bits
    of all, and so its length."""
    sinr: Float[np.ndarray, "*instant transfer group"]
    """SINR in a block of each group, linear."""
    airtime_share: Float[np.ndarray, "*instant transfer"]
    """Part of its client's time on the air that a transfer has."""
    radiated_w: Float[np.ndarray, "*instant transfer"]
    """Power that the client radiates while it is on the air [W]; 0 in the downlink."""

    def airtime_w(
        self, ue_power: UePower, rate_bps: Float[np.ndarray, "*instant transfer"]
    ) -> Float[np.ndarray, "*instant transfer"]:
        """Return the power that clients draw while they are on the air [W].

        Parameters
        ----------
        ue_power
            Power model of the clients' radios.
        rate_bps
            Rate of each transfer while it is on the air [bit/s].
        """
        if self.served.is_uplink:
            return ue_power.transmit_w(self.radiated_w, rate_bps)
        return ue_power.receive_w(rate_bps)


@dataclass(slots=True, kw_only=True)  # freezing would triple the time that making one takes
class FlowTransmission(Transmission):
    """One that lasts until the next solve."""

    demand: Demand
    duration_s: Float[np.ndarray, " instant"]
    """Time from each instant to the next, the last to the next solve [s]."""
    activity: Float[np.ndarray, "instant transfer"]
    """Part of the time in which each is on the air."""
    fading: Float[np.ndarray, "instant transfer group"]
    """Power gain of the fading, mean 1."""
    interference: InterferenceMoments | None = None
    """What sites receive, where it varies; ``sinr`` is that at its geometric mean."""


@dataclass(slots=True, kw_only=True)  # freezing would triple the time that making one takes
class SlotTransmission(Transmission):
    """One of a single slot."""

    known_sinr: Float[np.ndarray, "transfer group"]
    """SINR in a block of each group as it was measured some slots ago, linear."""
    mean_sinr: Float[np.ndarray, " transfer"]
    """The same without fading, on average over the groups."""
