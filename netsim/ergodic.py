"""Rate of a transfer that outlives many fades: goodput averaged over the fading, by mean SINR."""

import numpy as np
from jaxtyping import Float

from netsim.fading import Fading
from netsim.link_adaptation import RateTable

GRID_LOWEST_DB = -30.0
GRID_HIGHEST_DB = 50.0
GRID_STEP_DB = 0.5

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


class ErgodicRate:
    """Mean goodput over the fading, as a function of the mean SINR.

    Exact in the limit of transfers much longer than the coherence time, with link adaptation that
    follows the fading.

    Parameters
    ----------
    table
        Goodput at a known SINR.
    gains
        Power gains (draw, group) with mean 1, for example of :func:`sample_gains`. They are
        scaled to mean 1 exactly, so that sampling does not shift the SINR.

    References
    ----------
    The average of the rate over the fading distribution; the tabulated form is ours.
    """

    def __init__(self, table: RateTable, *, gains: Float[np.ndarray, "draw group"]) -> None:
        if gains.ndim != 2 or not gains.mean() > 0:
            msg = f"gains: must be (draw, group) with a mean > 0, got shape {gains.shape}"
            raise ValueError(msg)
        num_points = round((GRID_HIGHEST_DB - GRID_LOWEST_DB) / GRID_STEP_DB) + 1
        self.grid_db = GRID_LOWEST_DB + GRID_STEP_DB * np.arange(num_points)
        scaled = gains / gains.mean()
        is_flat = bool(np.all(scaled == scaled[:, :1]))
        self._efficiency = np.array(
            [
                table.spectral_efficiency(scaled[:, 0] * mean).mean()
                if is_flat
                else table.selective_spectral_efficiency(scaled * mean).mean()
                for mean in 10.0 ** (self.grid_db / 10)
            ]
        )

    def spectral_efficiency(
        self, mean_sinr_linear: Float[np.ndarray, "*link"]
    ) -> Float[np.ndarray, "*link"]:
        """Give mean goodput in bits per resource element; linear in dB between grid points."""
        mean_db = 10.0 * np.log10(np.maximum(mean_sinr_linear, np.finfo(float).tiny))
        return np.interp(mean_db, self.grid_db, self._efficiency, left=0.0)
