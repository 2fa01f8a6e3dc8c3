"""Samples of a fading process, for transfers that outlive many fades."""

import numpy as np
from jaxtyping import Float

from netsim.fading import Fading

_SAMPLE_SPACING_CYCLES = 7.3
"""Doppler cycles between samples of one link: far apart, and not in step with its waves."""


def sample_gains(
    fading: Fading, *, offset_hz: Float[np.ndarray, " group"], num_draws: int = 1024
) -> Float[np.ndarray, "draw group"]:
    """Sample power gains of a fading process over links and instants.

    Parameters
    ----------
    fading
        The process; its seed decides the samples.
    offset_hz
        Centre of every resource-block group relative to the carrier [Hz].
    num_draws
        Number of samples, >= 1, over up to 64 links.
    """
    num_links = min(64, num_draws)
    links, doppler = np.arange(num_links), np.ones(num_links)
    parts = [
        fading.power_gain(
            links, doppler_hz=doppler, at_s=_SAMPLE_SPACING_CYCLES * k, offset_hz=offset_hz
        )
        for k in range(-(-num_draws // num_links))
    ]
    return np.concatenate(parts)[:num_draws]
