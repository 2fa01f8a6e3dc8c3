"""Power of a client's radio by the power states of TR 38.840, with a tail after its transfers.

The scale of TR 38.840 is relative (power units, PU; deep sleep is 1). ``watt_per_pu`` converts it
to watts; it is a setting of this simulator, not of the report.

References
----------
3GPP TR 38.840 clause 8.1 (slot-averaged states for FR1, 30 kHz, 100 MHz, 4 receive antennas;
values as cited in a thesis that transcribes them, the report itself was not opened).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Interval

from netsim.units import Scalar

DEEP_SLEEP_PU, DEEP_SLEEP_ENERGY_PU_S, DEEP_SLEEP_TRANSITION_S = 1.0, 0.450, 0.020
LIGHT_SLEEP_PU, LIGHT_SLEEP_ENERGY_PU_S, LIGHT_SLEEP_TRANSITION_S = 20.0, 0.100, 0.006
MICRO_SLEEP_PU = 45.0
PDCCH_PU, PDCCH_MINIMUM_PU = 100.0, 50.0
PDCCH_AND_PDSCH_PU = 300.0
TRANSMIT_AT_0_DBM_PU, TRANSMIT_AT_23_DBM_PU = 250.0, 700.0
MAX_0_DBM_W, MAX_23_DBM_W = 1e-3, 10 ** (2.3 - 3)
TRANSMIT_SLOPE_PU_PER_W = (TRANSMIT_AT_23_DBM_PU - TRANSMIT_AT_0_DBM_PU) / (
    MAX_23_DBM_W - MAX_0_DBM_W
)


@dataclass(frozen=True, kw_only=True)
class Tr38840Power:
    """Power of a radio in each of its states, and energy of its tail, in closed form.

    Reception power scales with the receive bandwidth by ``0.4 + 0.6 (X - 20) / 80`` (X in MHz,
    clipped to 20 and 100, beyond which the report has no value). Transmission power does not.

    Raises
    ------
    ValueError
        If the DRX on-time exceeds its period, or the connection is released before the inactivity
        timer ends.
    """

    bandwidth_hz: Annotated[float, Gt(0)]
    """Receive bandwidth [Hz]."""
    watt_per_pu: Annotated[float, Gt(0)] = 3e-3
    """Watts of one TR 38.840 power unit; 3 mW gives 2.1 W at 23 dBm (our choice: 2 to 5 mW fits
    phone modems that draw 0.7 to 2 W at 23 dBm)."""
    amplifier_efficiency: Annotated[float, Interval(gt=0, le=1)] | None = None
    """Radiated over drawn power of the amplifier: the slope of the transmit power. ``None`` is the
    slope of TR 38.840 between 0 and 23 dBm."""
    inactivity_s: Annotated[float, Ge(0)] = 0.1
    """Time after the last data in which every PDCCH is monitored (drx-InactivityTimer) [s]."""
    drx_cycle_s: Annotated[float, Gt(0)] = 0.32
    """Cycle of connected-mode DRX after that [s]."""
    drx_on_s: Annotated[float, Gt(0)] = 0.01
    """On-duration of each DRX cycle [s]."""
    release_s: Annotated[float, Ge(0)] = 10.0
    """Time from the last data to the release of the connection, the end of the tail [s]."""

    def __post_init__(self) -> None:
        """Check the rules between the timers."""
        if self.drx_on_s > self.drx_cycle_s:
            msg = f"drx_on_s: must be <= drx_cycle_s ({self.drx_cycle_s}), got {self.drx_on_s}"
            raise ValueError(msg)
        if self.release_s < self.inactivity_s:
            msg = f"release_s: must be >= inactivity_s ({self.inactivity_s}), got {self.release_s}"
            raise ValueError(msg)

    @cached_property
    def bandwidth_scale(self) -> float:
        """Factor on reception power for the receive bandwidth, 0.4 to 1."""
        bandwidth_mhz = min(max(self.bandwidth_hz / 1e6, 20.0), 100.0)
        return 0.4 + 0.6 * (bandwidth_mhz - 20.0) / 80.0

    def transmit_w(self, radiated_w: Scalar, rate_bps: Scalar) -> Scalar:
        """Return the power drawn while transmitting [W].

        Linear in radiated power through 250 PU at 0 dBm and 700 PU at 23 dBm, extended beyond these
        points (our choice). With ``amplifier_efficiency`` the line passes through the 0 dBm point
        with slope 1 / efficiency.

        Parameters
        ----------
        radiated_w
            Power at the antenna [W], >= 0; a scalar or any shape.
        rate_bps
            Without effect: a state has one power.
        """
        base_w = TRANSMIT_AT_0_DBM_PU * self.watt_per_pu
        if self.amplifier_efficiency is None:
            slope = TRANSMIT_SLOPE_PU_PER_W * self.watt_per_pu
        else:
            slope = 1.0 / self.amplifier_efficiency
        return base_w + slope * (radiated_w - MAX_0_DBM_W)

    def receive_w(self, rate_bps: Scalar) -> Scalar:
        """Return the power drawn while PDCCH and PDSCH are received [W], at whatever rate."""
        return PDCCH_AND_PDSCH_PU * self.bandwidth_scale * self.watt_per_pu + 0.0 * rate_bps

    @cached_property
    def listen_w(self) -> float:
        """Power drawn while only the PDCCH is monitored, as between grants of a transfer [W]."""
        return max(PDCCH_PU * self.bandwidth_scale, PDCCH_MINIMUM_PU) * self.watt_per_pu

    @cached_property
    def drx_w(self) -> float:
        """Mean power over one DRX cycle [W]: PDCCH in the on-duration, then the cheapest sleep.

        A sleep state draws its transition energy over its transition time and its power over the
        rest; one whose transition does not fit into the off-duration is not available.
        """
        pause_s = self.drx_cycle_s - self.drx_on_s
        options = [MICRO_SLEEP_PU * pause_s]
        for power, energy, transition_s in (
            (LIGHT_SLEEP_PU, LIGHT_SLEEP_ENERGY_PU_S, LIGHT_SLEEP_TRANSITION_S),
            (DEEP_SLEEP_PU, DEEP_SLEEP_ENERGY_PU_S, DEEP_SLEEP_TRANSITION_S),
        ):
            # In PU seconds: the report's 450 and 100 are PU milliseconds.
            if pause_s >= transition_s:
                options.append(energy + power * (pause_s - transition_s))
        awake_j = self.listen_w * self.drx_on_s
        return (awake_j + min(options) * self.watt_per_pu) / self.drx_cycle_s

    def tail_energy_j(self, gap_s: Scalar) -> Scalar:
        """Return the energy [J] of a gap without data: the tail.

        PDCCH power for ``inactivity_s``, mean DRX power until ``release_s``, nothing after it: idle
        mode is not caused by the federation.

        Parameters
        ----------
        gap_s
            Time since the end of the last data [s], >= 0; a scalar or any shape.
        """
        listening_s = np.minimum(gap_s, self.inactivity_s)
        drx_s = self.tail_s(gap_s) - listening_s
        return self.listen_w * listening_s + self.drx_w * drx_s

    def tail_s(self, gap_s: Scalar) -> Scalar:
        """Return the part of a gap without data in which the radio is connected [s]."""
        return np.minimum(gap_s, self.release_s)
