"""Proportional fair: each group to the transfer that is best relative to its own average."""

import numpy as np
from jaxtyping import Float

from netsim.mac.schedulers.view import CellView, same_in_every_group, split_ties

TIE_RTOL = 1e-9
"""Ratios this close count as equal: two clients with the same channel share a group."""


class ProportionalFair:
    """Maximise the sum of the logarithms of the average rates.

    Per group, the highest ``group_rate / average_rate`` wins; ties share equally. The average is
    kept by the engine (exponential window).
    """

    is_exclusive = True

    def shares(self, view: CellView) -> Float[np.ndarray, "transfer group"]:
        """Give each group to the argmax of rate over average."""
        ratio = view.group_rate_bps / view.average_rate_bps[:, np.newaxis]
        best = ratio.max(axis=0, keepdims=True)
        return split_ties(ratio >= best * (1 - TIE_RTOL))

    def steady_state_shares(
        self, view: CellView
    ) -> tuple[Float[np.ndarray, "transfer group"], Float[np.ndarray, " transfer"]] | None:
        """Give turns with the whole band where no group is better for some than for others.

        With ``t_k`` the part of the time in which transfer k has the band, its average is ``t_k``
        times its rate with the whole band, and the law holds all ratios of ``group_rate`` to it
        equal: ``t_k`` is in proportion to the rate compared over the rate had. Equal turns, unless
        senders at the limit of power have less of the whole band than is compared. Transfers
        without any rate take no turn, unless all are without. ``None`` where groups differ between
        transfers.
        """
        rate = view.group_rate_bps
        total = rate.sum(axis=1)
        if rate.shape[1] > 1:
            profile = rate.sum(axis=0) / max(total.sum(), np.finfo(float).tiny)
            if not np.allclose(rate, total[:, np.newaxis] * profile, rtol=TIE_RTOL, atol=0.0):
                return None
        alone = view.rate_bps(np.ones(len(total)))
        takes_part = (total > 0) & (alone > 0)
        if not takes_part.any():
            takes_part[:] = True
            turn = np.full(len(total), 1.0 / len(total))
        else:
            turn = np.divide(total, alone, out=np.zeros_like(total), where=takes_part)
            turn /= turn.sum()
        return same_in_every_group(turn, view), np.where(takes_part, turn, 1.0)
