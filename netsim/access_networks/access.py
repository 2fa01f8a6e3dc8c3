"""What one client has in a network of given rates: rates, power and round trips over time."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from netsim.access_networks.step_function import StepFunction
from netsim.transport.transfers import Direction
from netsim.units import Scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """The access of one client: functions of simulated time [s]."""

    rate_bps: Mapping[Direction, StepFunction]
    """Rate while nobody else is served [bit/s]."""
    power_w: Mapping[Direction, StepFunction]
    """Power of the modem while it sends (uplink) or receives (downlink) [W]."""
    rtt_s: StepFunction
    """Round-trip time to the server [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectedTail:
    """A modem that stays connected for a fixed time after its last data."""

    connected_w: float
    """Power meanwhile [W]."""
    duration_s: float
    """How long [s]; nothing is counted after it."""

    def tail_s(self, gap_s: Scalar) -> Scalar:
        """Return the part of a gap without data in which the modem is connected [s]."""
        return np.minimum(gap_s, self.duration_s)

    def tail_energy_j(self, gap_s: Scalar) -> Scalar:
        """Return the energy of a gap without data [J]."""
        return self.connected_w * self.tail_s(gap_s)
