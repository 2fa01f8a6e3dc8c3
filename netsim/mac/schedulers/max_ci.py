"""Maximum carrier to interference: each group to the transfer with the highest rate in it."""

import numpy as np
from jaxtyping import Float

from netsim.mac.schedulers.proportional_fair import TIE_RTOL
from netsim.mac.schedulers.view import CellView, split_ties


class MaxCI:
    """Maximise the cell's throughput now; clients at the edge may starve."""

    uses_average_rate = False
    is_exclusive = True

    def shares(self, view: CellView) -> Float[np.ndarray, "transfer group"]:
        """Give each group to the argmax of its rate, ties shared equally."""
        best = view.group_rate_bps.max(axis=0, keepdims=True)
        return split_ties(view.group_rate_bps >= best * (1 - TIE_RTOL))
