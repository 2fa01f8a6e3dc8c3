"""Maximum carrier to interference: each group to the transfer with the highest rate in it."""

import numpy as np
from jaxtyping import Float

from netsim.mac.schedulers.metric import serve_largest
from netsim.mac.schedulers.view import CellView


class MaxCI:
    """Maximise the cell's throughput now; clients at the edge may starve."""

    uses_average_rate = False
    is_exclusive = True

    def shares(self, view: CellView) -> Float[np.ndarray, "transfer group"]:
        """Return each group as the share of the transfer with the highest rate in it."""
        return serve_largest(view.group_rate_bps)
