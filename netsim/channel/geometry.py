"""Geometry: the wideband downlink SINR from large-scale gains, all cells transmitting."""

import numpy as np
from jaxtyping import Float


def wideband_sinr(
    received_w: Float[np.ndarray, "point cell"], *, noise_w: float, is_interfering: bool = True
) -> Float[np.ndarray, " point"]:
    """Return the linear SINR of the strongest cell at each point.

    Parameters
    ----------
    received_w
        Power received from every cell at full power [W], without fast fading.
    noise_w
        Noise over the same bandwidth [W], > 0.
    is_interfering
        Whether the other cells interfere; if not, the result is the SNR.

    Examples
    --------
    >>> wideband_sinr(np.array([[8.0, 1.0, 2.0]]), noise_w=1.0).tolist()
    [2.0]
    """
    best_w = received_w.max(axis=1)
    others_w = received_w.sum(axis=1) - best_w if is_interfering else np.zeros(len(best_w))
    return best_w / (others_w + noise_w)
