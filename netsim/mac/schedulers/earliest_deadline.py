"""Earliest deadline first: the whole band to the transfer that is due next."""

import numpy as np
from jaxtyping import Float

from netsim.mac.schedulers.view import CellView, same_in_every_group


class EarliestDeadline:
    """Serve in the order of deadlines; among equal ones in the order of request.

    Without deadlines (all inf) this is first come, first served. Transfers that are equal in both
    share equally.
    """

    uses_rates = False
    is_exclusive = True

    def shares(self, view: CellView) -> Float[np.ndarray, "transfer group"]:
        """Return all groups for the transfer with the earliest deadline."""
        due = view.deadline_at_s == view.deadline_at_s.min()
        first = due & (view.requested_at_s == view.requested_at_s[due].min())
        return same_in_every_group(first / first.sum(), view)
