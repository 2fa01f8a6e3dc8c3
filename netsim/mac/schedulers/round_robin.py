"""Round robin: equal shares of every resource block, whatever the channel."""

import numpy as np
from jaxtyping import Float

from netsim.mac.schedulers.view import CellView


class RoundRobin:
    """Equal shares of every group: at flow level, egalitarian processor sharing."""

    uses_rates = False
    uses_transfers = False

    def shares(self, view: CellView) -> Float[np.ndarray, "transfer group"]:
        """Return 1/K everywhere."""
        return np.full(view.group_rate_bps.shape, 1.0 / len(view.client_id))
