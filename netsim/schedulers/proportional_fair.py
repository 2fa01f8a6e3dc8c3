"""Proportional fair: each group to the transfer that is best relative to its own average."""

import numpy as np
from jaxtyping import Float

from netsim.schedulers.view import CellView, split_ties

TIE_RTOL = 1e-9
"""Ratios this close count as equal: two clients with the same channel share a group."""


class ProportionalFair:
    """Maximise the sum of the logarithms of the average rates.

    Per group, the highest ``group_rate / average_rate`` wins; ties share equally. The average is
    kept by the engine (exponential window).
    """

    def shares(self, view: CellView) -> Float[np.ndarray, "transfer group"]:
        """Give each group to the argmax of rate over average."""
        ratio = view.group_rate_bps / view.average_rate_bps[:, np.newaxis]
        best = ratio.max(axis=0, keepdims=True)
        return split_ties(ratio >= best * (1 - TIE_RTOL))
