"""Margin of clients that are served at fades measured better than those that they then meet.

The outer loop subtracts one margin from all measurements of a client, such that first transmissions
meet the target BLER on average. The tables of :mod:`netsim.phy_abstraction.goodput` and
:mod:`netsim.phy_abstraction.retransmission_correction` are those of clients served at all fades. A
scheduler that follows fades chooses clients and groups of blocks by measurements that are too good
by their choice: of what the measured fades are above the mean, only a part is left when a block is
sent. The loop takes the rest, the *lead*, into its margin, and chooses a slower MCS for the same
channel. At 120 km/h (3.5 GHz, measurements 1 ms old, six clients under proportional fair, TDL-A)
nothing is left of the measured fade, and the lead is 0.7 dB: 3 % of the rate.
"""

import numpy as np
from jaxtyping import Float

LEAST_MEAN = 0.1
"""Mean SINR never falls below this part of itself in :func:`at_margin`."""


def at_margin(
    sinr: Float[np.ndarray, "..."],
    fade: Float[np.ndarray, "..."],
    *,
    margin_db: Float[np.ndarray, "..."],
    persistence: float,
) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
    """Return SINR and fade of a client without further margin that has the same outcome.

    One for which the MCS is chosen at a SINR that is lower by the margin, and that then meets the
    same SINR on average.

    Parameters
    ----------
    sinr, fade
        As measured, linear: effective SINR and the power gain of the fading in it, mean 1.
    margin_db
        Margin beside that of a client served at all fades [dB]; broadcasts.
    persistence
        Part of the deviation of a fade from 1 that is left when a block is sent, in [0, 1).

    Examples
    --------
    >>> sinr, fade = at_margin(
    ...     np.array([20.0]), np.array([2.0]), margin_db=np.array([3.0103]), persistence=0.0
    ... )
    >>> sinr.round(3).tolist(), fade.round(3).tolist()
    ([10.0], [1.0])
    """
    lower = 10.0 ** (-0.1 * margin_db)
    # mean SINR over its own: what is met, (1 - p) + p fade, stays the same
    mean = 1.0 + persistence / (1.0 - persistence) * fade * (1.0 - lower)
    return sinr * lower, fade * lower / np.maximum(mean, LEAST_MEAN)


def usual_db(
    whole_db: Float[np.ndarray, "*transfer"],
    group_db: Float[np.ndarray, "*transfer"],
    shares: Float[np.ndarray, "*transfer group"],
) -> Float[np.ndarray, "*transfer"]:
    """Return the mean effective fade of blocks on as many groups as are held, unchosen [dB].

    A group fades more than the mean of several, and less is lost where they differ. Both go with
    the variance of a mean over groups of equal correlation, linear in one over their number.

    Parameters
    ----------
    whole_db
        Mean effective fade of blocks over all groups [dB].
    group_db
        That of blocks in one group [dB].
    shares
        Held of each group.
    """
    num_groups = shares.shape[-1]
    if num_groups == 1:
        return group_db
    total = shares.sum(axis=-1)
    num_held = np.divide(
        total**2, (shares**2).sum(axis=-1), out=np.ones_like(total), where=total > 0
    )
    return group_db + (whole_db - group_db) * (1.0 - 1.0 / num_held) / (1.0 - 1.0 / num_groups)
