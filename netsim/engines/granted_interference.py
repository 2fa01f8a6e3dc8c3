"""The uplink interference that follows from what schedulers grant, in the flow engine."""

import numpy as np
from jaxtyping import Float

from netsim.engines.interference import InterferenceMoments
from netsim.engines.served_set import ServedSet
from netsim.engines.sub_ticks import time_weights
from netsim.engines.suppressed_interference import Suppressed
from netsim.mac.sharing import Grant
from netsim.phy_abstraction.air_interface import AirInterface


def granted_interference(
    air: AirInterface,
    served: ServedSet,
    grant: Grant,
    sent_w: Float[np.ndarray, "instant transfer"],
    *,
    block_w: Float[np.ndarray, "instant transfer"],
    duration_s: Float[np.ndarray, " instant"],
    is_time_shared: bool,
) -> InterferenceMoments:
    """Return the moments of noise and interference that sites receive.

    Parameters
    ----------
    air
        Constants of the band.
    served
        Who sends.
    grant
        Their shares.
    sent_w
        Mean power in a granted block [W]; some of the blocks may stay empty.
    block_w
        Power in one that does not [W].
    duration_s
        Time from each instant to the next [s].
    is_time_shared
        Whether shares are parts of the time, see :class:`netsim.mac.sharing.Sharing`.
    """
    sent_w = (1.0 - air.uplink_busy_fraction) * sent_w
    rejection = air.interference_rejection
    suppressed = None if rejection is None else Suppressed(rejection, block_w)
    if not is_time_shared:
        return InterferenceMoments.from_frequency_shared(
            served.cross_gain,
            sent_w,
            grant.shares,
            weight=time_weights(duration_s),
            noise_w=air.site_noise_w,
            suppressed=suppressed,
        )
    return InterferenceMoments.from_time_shared(
        served.cross_gain,
        sent_w,
        grant.shares,
        activity=grant.activity,
        weight=time_weights(duration_s),
        first_of_cell=served.first_of_cell,
        leaves_groups=grant.in_cells_of(served.first_of_cell),
        noise_w=air.site_noise_w,
        suppressed=suppressed,
    )
