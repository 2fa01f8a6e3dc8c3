"""Maximum carrier to interference: each group to the transfer with the highest rate in it."""

import numpy as np
from jaxtyping import Float

from netsim.mac.schedulers.metric import serve_largest
from netsim.mac.schedulers.view import CellView


class MaxCI:
    """Maximise the cell's throughput now; clients at the edge may starve.

    In the uplink a grant stays within the power headroom of a client.
    """

    uses_average_rate = False
    is_exclusive = True
    grants_within_headroom = True

    def shares(self, view: CellView) -> Float[np.ndarray, "transfer group"]:
        """Return each group as the share of the transfer with the highest rate in it."""
        return serve_largest(view.group_rate_bps)
