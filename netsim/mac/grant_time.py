"""How long data waits for its first grant: scheduling request, buffer status report, alignment."""

import math

from netsim.config.access import GrantConfig
from netsim.units import Scalar

SLOT_SLACK = 1e-6
"""Part of a slot after its start in which an instant still counts as the start: rounding."""


def uplink_grant_s(config: GrantConfig, uniform: Scalar) -> Scalar:
    """Return the time from data at a client to the grant that it is sent with [s].

    The client waits for the next opportunity to request, gets a grant for its buffer status report
    and then one for its data. Also a client that is already sending waits so (our choice).

    Parameters
    ----------
    config
        The section.
    uniform
        Part of the period of requests that is left, in [0, 1).
    """
    return uniform * config.request_period_s + (config.first_grant_s + config.second_grant_s)


def next_slot_s(at_s: float, slot_s: float) -> float:
    """Return the start of the first slot that begins at or after an instant [s]."""
    return math.ceil(at_s / slot_s - SLOT_SLACK) * slot_s
