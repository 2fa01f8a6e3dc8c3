"""Tails of the clients' radios, worked out from booked intervals."""

from typing import Protocol

import numpy as np
from jaxtyping import Float, Int

from netsim.energy.busy_time import gaps_s
from netsim.energy.entries import Entries
from netsim.units import Scalar

Tails = tuple[Int[np.ndarray, " gap"], Float[np.ndarray, " gap"], Float[np.ndarray, " gap"]]
"""Owner, connected time [s] and energy [J] of the tail in every gap."""


class RadioTail(Protocol):
    """What a client's radio draws in a gap between its transfers."""

    def tail_energy_j(self, gap_s: Scalar) -> Scalar:
        """Return the energy of a gap [J]."""

    def tail_s(self, gap_s: Scalar) -> Scalar:
        """Return the part of a gap in which the radio is connected [s]."""


def tails(radio: Entries, model: RadioTail, *, until_s: float) -> Tails:
    """Return the tails after radio activities up to an instant.

    Parameters
    ----------
    radio
        Activities of radios; none may end after ``until_s``.
    model
        What a tail draws.
    until_s
        The instant [s].
    """
    owner_id, gap_s = gaps_s(radio.owner_id, radio.started_at_s, radio.finished_at_s, until_s)
    return owner_id, model.tail_s(gap_s), model.tail_energy_j(gap_s)


def tails_between(radio: Entries, model: RadioTail) -> Tails:
    """Return the tails that the next activity of the same radio has ended."""
    owner_id, gap_s = gaps_s(radio.owner_id, radio.started_at_s, radio.finished_at_s, np.inf)
    is_between = np.isfinite(gap_s)
    gap_s = gap_s[is_between]
    return owner_id[is_between], model.tail_s(gap_s), model.tail_energy_j(gap_s)
