"""Open-loop uplink power control of the PUSCH."""

import numpy as np
from jaxtyping import Float

from netsim.array_like import ArrayLike
from netsim.phy.resource_grid import numerology
from netsim.units import dbm_to_w

MIN_POWER_DBM = -40.0
"""A UE never sends below this, TS 38.101-1 clause 6.3.1 (channel up to 20 MHz; recollected)."""


def pusch_power_w(
    path_loss_db: ArrayLike,
    num_resource_blocks: ArrayLike,
    *,
    p0_dbm: float,
    alpha: float,
    max_dbm: float,
    min_dbm: float = MIN_POWER_DBM,
    subcarrier_spacing_hz: float,
) -> Float[np.ndarray, "..."]:
    """Return the PUSCH power [W] of UEs: ``min(P_CMAX, P_0 + 10 log10(2^mu M) + alpha PL)``.

    Parameters
    ----------
    path_loss_db
        Coupling loss to the serving cell [dB]: antenna gains are part of it, as the UE derives
        it from received reference-signal power.
    num_resource_blocks
        Blocks granted to a UE, > 0; fractions stand for time sharing.
    p0_dbm
        Target power received in one block of 15 kHz subcarriers [dBm].
    alpha
        Share of the path loss that is compensated, in [0, 1]; a network can signal 0 and 0.4 to 1
        in steps of 0.1.
    max_dbm
        P_CMAX [dBm]; 23 for power class 3, 26 for class 2.
    min_dbm
        Smallest power of a transmission [dBm].
    subcarrier_spacing_hz
        Sets mu. The 2^mu term counts power per 15 kHz-equivalent block; LTE, and some NR
        simulators, omit it, which is 3 dB less at 30 kHz.

    Returns
    -------
    array
        Power over all blocks together [W], between ``min_dbm`` and P_CMAX. Delta_TF and closed-loop
        corrections are 0.

    References
    ----------
    3GPP TS 38.213, clause 7.1.1.

    Examples
    --------
    >>> from netsim.units import w_to_dbm
    >>> settings = {"p0_dbm": -80.0, "alpha": 0.8, "max_dbm": 23.0, "subcarrier_spacing_hz": 30e3}
    >>> w_to_dbm(pusch_power_w([80.0, 100.0, 120.0], 10, **settings)).round(2).tolist()
    [-2.99, 13.01, 23.0]
    """
    blocks = np.asarray(num_resource_blocks, dtype=float)
    if np.any(~(blocks > 0)):
        msg = f"num_resource_blocks: must be > 0, got minimum {np.min(blocks)}"
        raise ValueError(msg)
    if not 0 <= alpha <= 1:
        msg = f"alpha: must be within 0 and 1, got {alpha}"
        raise ValueError(msg)
    if max_dbm < min_dbm:
        msg = f"max_dbm: must be >= {min_dbm:g}, got {max_dbm}"
        raise ValueError(msg)
    wide_db = 10 * np.log10(2 ** numerology(subcarrier_spacing_hz) * blocks)
    target_dbm = p0_dbm + wide_db + alpha * np.asarray(path_loss_db, dtype=float)
    return np.asarray(dbm_to_w(np.clip(target_dbm, min_dbm, max_dbm)))
