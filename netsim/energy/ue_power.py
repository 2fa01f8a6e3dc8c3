"""What engines and the ledger ask of the power model of a client's radio.

A radio sends, receives, or listens, one at a time; after its transfers comes a tail. How much each
draws is told by one of two models: power states of TR 38.840
(:mod:`netsim.energy.tr38840_power`), or phones that were measured
(:mod:`netsim.energy.measured_power`).
"""

from typing import Protocol

import numpy as np
from jaxtyping import Bool, Float, Int

from netsim.units import Scalar


class UePower(Protocol):
    """Power model of the radio of every client."""

    def transmit_w(self, radiated_w: Scalar, rate_bps: Scalar) -> Scalar:
        """Return the power drawn while the radio sends [W].

        Parameters
        ----------
        radiated_w
            Power at the antenna [W], >= 0.
        rate_bps
            Rate while it sends [bit/s], >= 0; with the same shape.
        """

    def receive_w(self, rate_bps: Scalar) -> Scalar:
        """Return the power drawn while it receives at a rate [bit/s] [W]."""

    @property
    def listen_w(self) -> float:
        """Power drawn during a transfer while it neither sends nor receives [W]."""

    def tail_energy_j(self, gap_s: Scalar) -> Scalar:
        """Return the energy [J] of a gap without transfers [s]: the tail, cut by the next one."""

    def tail_s(self, gap_s: Scalar) -> Scalar:
        """Return the part of such a gap in which the radio is connected [s]."""


FASTEST_BPS = 1e15
"""A rate beyond that of any link [bit/s]."""

TAIL_BEGIN_S = 1e-3
"""Begin of a tail, where it draws most [s]."""


def most_power_w(power: UePower, *, max_radiated_w: float) -> float:
    """Return what a radio draws at most, sending, receiving, listening or in its tail [W].

    Parameters
    ----------
    power
        Its model.
    max_radiated_w
        Largest power at the antenna [W].
    """
    drawn_w = (
        power.transmit_w(max_radiated_w, FASTEST_BPS),
        power.receive_w(FASTEST_BPS),
        power.listen_w,
        power.tail_energy_j(TAIL_BEGIN_S) / TAIL_BEGIN_S,
    )
    return max(float(each) for each in drawn_w)


def one_state_at_a_time(
    client: Int[np.ndarray, " transfer"],
    fraction: Float[np.ndarray, " transfer"],
    power_w: Float[np.ndarray, " transfer"],
    *,
    is_uplink: Bool[np.ndarray, " transfer"],
) -> Float[np.ndarray, " transfer"]:
    """Return the share of time in which each transfer sets the power state of its client.

    A client that sends and receives at once is in the state that draws more (sending if they are
    equal), as the power of a state is that of the whole radio (our reading of TR 38.840, whose
    model has one state per slot, for TDD; our choice for measured phones, of which no measurement
    of both at once was found). The grants of the two directions are independent, so the state
    of lower power keeps the part of its time in which the other direction is off.

    Parameters
    ----------
    client
        Client of each transfer.
    fraction
        Airtime fraction of each transfer; those of one client and direction sum to at most 1.
    power_w
        Power drawn during that airtime [W].
    is_uplink
        Whether the transfer is uplink.

    Returns
    -------
    Float[np.ndarray, " transfer"]
        Shares of time, at most ``fraction``; those of a client sum to at most 1.

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
    is_lower = np.where(is_uplink, own_w < other_w, own_w <= other_w)
    other_busy = np.minimum(busy[1 - direction, place], 1.0)
    return np.where(is_lower, fraction * (1.0 - other_busy), fraction)
