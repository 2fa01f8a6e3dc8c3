"""What a client's radio draws: the power states of TR 38.840, the tail after a transfer.

The scale of TR 38.840 is relative (power units, PU; deep sleep is 1); ``watt_per_pu`` makes it
absolute and is a setting of ours, not of the report.

References
----------
3GPP TR 38.840 clause 8.1 (slot-averaged states for FR1, 30 kHz, 100 MHz, 4 receive antennas;
values as cited in a thesis that transcribes them, the report itself was not opened).
"""

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from annotated_types import Ge, Gt, Interval
from jaxtyping import Bool, Float, Int

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
TRANSMIT_BASE_PU = TRANSMIT_AT_0_DBM_PU - TRANSMIT_SLOPE_PU_PER_W * MAX_0_DBM_W
"""Power units of a transmission that radiates nothing, by the same straight line."""


@dataclass(frozen=True, kw_only=True)
class UePower:
    """Drawn power of a radio in its states, and energy of its tail; all in closed form.

    Reception scales with the open bandwidth by ``0.4 + 0.6 (X - 20) / 80`` (X in MHz, held at 20
    below and 100 above, where the report gives no value). Transmission does not.

    Raises
    ------
    ValueError
        If the DRX on-time exceeds its period, or the connection is released before the inactivity
        timer ends.
    """

    bandwidth_hz: Annotated[float, Gt(0)]
    """Bandwidth that the receiver has open [Hz]."""
    watt_per_pu: Annotated[float, Gt(0)] = 3e-3
    """Watts of one TR 38.840 power unit; 3 mW gives 2.1 W at 23 dBm (our choice: 2 to 5 mW fits
    phone modems that draw 0.7 to 2 W at 23 dBm)."""
    amplifier_efficiency: Annotated[float, Interval(gt=0, le=1)] | None = None
    """Radiated over drawn power of the amplifier: the slope of the transmit power. Left out, the
    slope is that of TR 38.840 between 0 and 23 dBm."""
    inactivity_s: Annotated[float, Ge(0)] = 0.1
    """After the last data the radio listens to every PDCCH this long (drx-InactivityTimer) [s]."""
    drx_cycle_s: Annotated[float, Gt(0)] = 0.32
    """Period of connected-mode DRX after that [s]."""
    drx_on_s: Annotated[float, Gt(0)] = 0.01
    """Time awake in each DRX period [s]."""
    release_s: Annotated[float, Ge(0)] = 10.0
    """From the last data to the release of the connection, the end of the tail [s]."""

    def __post_init__(self) -> None:
        """Check the rules between the timers."""
        if self.drx_on_s > self.drx_cycle_s:
            msg = f"drx_on_s: must be <= drx_cycle_s ({self.drx_cycle_s}), got {self.drx_on_s}"
            raise ValueError(msg)
        if self.release_s < self.inactivity_s:
            msg = f"release_s: must be >= inactivity_s ({self.inactivity_s}), got {self.release_s}"
            raise ValueError(msg)

    @property
    def bandwidth_scale(self) -> float:
        """Factor on reception power for the open bandwidth, 0.4 to 1."""
        bandwidth_mhz = min(max(self.bandwidth_hz / 1e6, 20.0), 100.0)
        return 0.4 + 0.6 * (bandwidth_mhz - 20.0) / 80.0

    def transmit_w(self, radiated_w: Scalar) -> Scalar:
        """Give the power drawn while transmitting.

        Linear in radiated milliwatts through 250 PU at 0 dBm and 700 PU at 23 dBm, the same line
        beyond these points (our choice). With ``amplifier_efficiency`` the line passes through the
        0 dBm point with slope 1 / efficiency.

        Parameters
        ----------
        radiated_w
            Power at the antenna [W], >= 0; a scalar or any shape.
        """
        base_w = TRANSMIT_AT_0_DBM_PU * self.watt_per_pu
        if self.amplifier_efficiency is None:
            slope = TRANSMIT_SLOPE_PU_PER_W * self.watt_per_pu
        else:
            slope = 1.0 / self.amplifier_efficiency
        return base_w + slope * (radiated_w - MAX_0_DBM_W)

    @property
    def receive_w(self) -> float:
        """Power drawn while control and data are received."""
        return PDCCH_AND_PDSCH_PU * self.bandwidth_scale * self.watt_per_pu

    @property
    def listen_w(self) -> float:
        """Power drawn while only the control channel is watched, as when waiting for a turn."""
        return max(PDCCH_PU * self.bandwidth_scale, PDCCH_MINIMUM_PU) * self.watt_per_pu

    @property
    def drx_w(self) -> float:
        """Mean power over one DRX period: awake on the control channel, then the cheapest sleep.

        A sleep state costs its transition energy over its transition time and its power over the
        rest; one whose transition does not fit into the pause is not open.
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
        """Energy from the end of the last data until ``gap_s`` later without any.

        Listening for ``inactivity_s``, mean DRX power until ``release_s``, nothing after: the
        standby of a released radio is not caused by the federation.

        Parameters
        ----------
        gap_s
            Time since the last data [s], >= 0; a scalar or any shape.
        """
        listening_s = np.minimum(gap_s, self.inactivity_s)
        drx_s = self.tail_s(gap_s) - listening_s
        return self.listen_w * listening_s + self.drx_w * drx_s

    def tail_s(self, gap_s: Scalar) -> Scalar:
        """Part of a gap without data during which the radio is still connected [s]."""
        return np.minimum(gap_s, self.release_s)


def one_state_at_a_time(
    client: Int[np.ndarray, " transfer"],
    fraction: Float[np.ndarray, " transfer"],
    power_w: Float[np.ndarray, " transfer"],
    *,
    is_uplink: Bool[np.ndarray, " transfer"],
) -> Float[np.ndarray, " transfer"]:
    """Give the share of time that each transfer's client spends on it, in one state at a time.

    A client that sends and receives at once is in the state that draws more (sending, if they draw
    the same): the power of a state stands for the whole radio (our reading: the report's model is
    one state a slot, for TDD). The turns of the two directions are independent, so the state that
    gives way keeps the part of its time in which the other is off.

    Parameters
    ----------
    client
        Whose transfer; any numbers.
    fraction
        Share of time on air; those of one client and direction sum to at most 1.
    power_w
        Power drawn then [W].
    is_uplink
        Whether it is sent or received.

    Returns
    -------
    Float[np.ndarray, " transfer"]
        Shares, not above ``fraction``; those of a client sum to at most 1.

    Examples
    --------
    >>> one_state_at_a_time(
    ...     np.array([7, 7]),
    ...     np.array([0.5, 0.8]),
    ...     np.array([2.0, 1.0]),
    ...     is_uplink=np.array([True, False]),
    ... )
    array([0.5, 0.4])
    """
    _, place = np.unique(client, return_inverse=True)
    direction = is_uplink.astype(np.intp)
    busy = np.zeros((2, len(client)))
    np.add.at(busy, (direction, place), fraction)
    drawn_w = np.zeros((2, len(client)))
    np.maximum.at(drawn_w, (direction, place), np.where(fraction > 0, power_w, 0.0))
    own_w, other_w = drawn_w[direction, place], drawn_w[1 - direction, place]
    gives_way = np.where(is_uplink, own_w < other_w, own_w <= other_w)
    other_busy = np.minimum(busy[1 - direction, place], 1.0)
    return np.where(gives_way, fraction * (1.0 - other_busy), fraction)
