"""The uplink interference that MMSE combining leaves of the transmitters on the air.

Both engines treat it as the interference of maximum-ratio combining, in whose place it comes
(:mod:`netsim.phy.interference_rejection`): the slot engine has the transmitters of each slot, the
flow engine those that it draws.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from netsim.phy.interference_rejection import InterferenceRejection
from netsim.phy_abstraction.air_interface import AirInterface

NUM_AT_ONCE = 16_384
"""Received powers that are taken together: they stay in a processor's cache."""


class Suppressed(NamedTuple):
    """The transmitters that combining suppresses, in the flow engine."""

    rejection: InterferenceRejection
    block_w: Float[np.ndarray, "instant transfer"]
    """Power in a block that each uses [W], > 0."""

    def left_w(
        self,
        cross_gain: Float[np.ndarray, "transfer cell"],
        sent_w: Float[np.ndarray, " transfer"],
        shares: Float[np.ndarray, "transfer group"],
        *,
        instant: int,
    ) -> Float[np.ndarray, "cell group"]:
        """Return noise and interference that are left of transmitters who share the groups [W].

        Parameters
        ----------
        cross_gain
            Gain from every transmitter to every cell, 0 to its own.
        sent_w
            Mean power in a block of what each holds [W], at most ``block_w``.
        shares
            Of each group.
        instant
            Number of the instant.
        """
        block_w = self.block_w[instant]
        on_air = (sent_w / block_w)[:, None] * shares
        return _left_w(self.rejection, cross_gain, block_w, on_air)

    def left_of_drawn_w(
        self,
        cross_gain: Float[np.ndarray, "transfer cell"],
        sent_w: Float[np.ndarray, " transfer"],
        chosen: Int[np.ndarray, "group draw place"],
        *,
        instant: int,
    ) -> Float[np.ndarray, "draw cell group"]:
        """Return what is left of drawn transmitters, each of whom has a group to itself [W].

        Parameters
        ----------
        cross_gain, sent_w, instant
            As for :meth:`left_w`.
        chosen
            Transmitters; the number after the last one stands for nobody.
        """
        num_groups, num_draws, num_places = chosen.shape
        num_cells = cross_gain.shape[1]
        block_w = self.block_w[instant]
        received_w = np.vstack([block_w[:, None] * cross_gain, np.zeros((1, num_cells))])
        on_air = np.append(sent_w / block_w, 0.0)
        draws = chosen.reshape(-1, num_places)
        at_once = max(NUM_AT_ONCE // (num_places * num_cells), 1)
        left_w = [
            self.rejection.noise_and_interference_w(received_w[some], on_air[some])
            for some in np.split(draws, range(at_once, len(draws), at_once))
        ]
        return np.moveaxis(np.concatenate(left_w).reshape(num_groups, num_draws, num_cells), 0, 2)


def received_interference_w(
    air: AirInterface,
    cross_gain: Float[np.ndarray, "transfer cell"],
    block_w: Float[np.ndarray, " transfer"],
    shares: Float[np.ndarray, "transfer group"],
) -> Float[np.ndarray, "cell group"]:
    """Return the uplink interference of a slot in one block of each cell, with any combining [W].

    Parameters
    ----------
    air
        Constants of the band.
    cross_gain
        Gain from every transmitter to every cell, 0 to its own.
    block_w
        Power in a block of what each holds [W].
    shares
        Of each group that they hold in this slot.
    """
    rejection = air.interference_rejection
    if rejection is None:
        return air.uplink_interference_w(cross_gain, block_w[:, None] * shares)
    sends = shares.any(axis=1)
    on_air = (1.0 - air.uplink_busy_fraction) * shares[sends]
    return _left_w(rejection, cross_gain[sends], block_w[sends], on_air) - rejection.noise_w


def _left_w(
    rejection: InterferenceRejection,
    cross_gain: Float[np.ndarray, "transfer cell"],
    block_w: Float[np.ndarray, " transfer"],
    on_air: Float[np.ndarray, "transfer group"],
) -> Float[np.ndarray, "cell group"]:
    """Return noise and interference that are left by the part of each group that each uses [W]."""
    received_w = block_w[:, None] * cross_gain
    return rejection.noise_and_interference_w(received_w, on_air.T).T
