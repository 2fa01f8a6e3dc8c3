"""The link of a client that stands still, as it is each time that the client connects."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

MOST_KNOWN = 20_000
"""Clients whose links are kept; beyond, all are forgotten."""


class StandingLink(NamedTuple):
    """What a first connection gives, where gains are constant and there is no fading."""

    cell_id: int
    """Serving cell, -1 for none."""
    serving_gain: float
    """Gain to that; 0 without one."""
    gain: Float[np.ndarray, " cell"]
    cross_gain: Float[np.ndarray, " cell"]
    """See :class:`netsim.rrc.links.Links`."""
    may_fail: bool
    """Whether the link is out of sync if all other cells transmit."""
