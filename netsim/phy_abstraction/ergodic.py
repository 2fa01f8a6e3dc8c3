"""Ergodic rates: the mean over a fading process, for transfers that last many coherence times.

Exact in the limit of transfers much longer than the coherence time, under schedulers whose grants
do not depend on the fading. Others are refused (:mod:`netsim.checks.effect`): the fades at which
they serve a user depend on the other users.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float

from netsim.channel.receive_antennas import PowerGain
from netsim.interpolation import RegularTable, hat_weights
from netsim.phy_abstraction.goodput import Adaptation
from netsim.phy_abstraction.table_cache import Kept, computed
from netsim.units import floored_db

_SAMPLE_SPACING_CYCLES = 7.3
"""Doppler cycles between samples of a link: uncorrelated, and no multiple of a wave's period."""

MEAN_LOWEST_DB, MEAN_HIGHEST_DB, MEAN_STEP_DB = -30.0, 60.0, 0.5

SINR_DB = np.arange(-5.0, 25.1, 5.0)
"""Mean SINRs at which the distribution of effective fades is computed: it depends on the MCS."""

FADE_DB = np.arange(-36.0, 15.01, 0.25)
"""Bins of the distribution of effective fades."""

Flatten = Callable[[Float[np.ndarray, "draw group"]], Float[np.ndarray, " draw"]]
"""Effective SINR of a block over all groups, from the SINR of each group."""


def sample_gains(
    fading: PowerGain, *, offset_hz: Float[np.ndarray, " group"], num_draws: int = 16384
) -> Float[np.ndarray, "draw group"]:
    """Return samples of the power gain of a fading process over links and instants.

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


class MeanOverFading:
    """Mean outcome of link adaptation over a fading process, by mean SINR.

    Parameters
    ----------
    adaptation
        Outcome at a given fade.
    gain
        Samples of the power gain; scaled to mean 1.
    flatten
        See :data:`Flatten`.
    kept
        Where the table is kept.
    """

    def __init__(
        self,
        adaptation: Adaptation,
        *,
        gain: Float[np.ndarray, "draw group"],
        flatten: Flatten,
        kept: Kept = computed,
    ) -> None:
        self._table = RegularTable(
            kept("mean_over_fading", lambda: _means(adaptation, gain / gain.mean(), flatten)),
            lowest=(MEAN_LOWEST_DB,),
            step=(MEAN_STEP_DB,),
        )

    def efficiency(self, sinr: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Return the goodput averaged over the fading, by mean SINR; 0 below the table."""
        return self.outcome(sinr, np.ones(1))[0]

    def outcome(
        self, sinr: Float[np.ndarray, "..."], fade: Float[np.ndarray, "..."]
    ) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
        """Return goodput and transmissions averaged over the fading, by mean SINR."""
        del fade
        sinr_db = floored_db(sinr)
        efficiency, transmissions = self._table(sinr_db)
        return np.where(sinr_db < MEAN_LOWEST_DB, 0.0, efficiency), transmissions

    def settled_margin_db(self, mean_sinr: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Return 0: fades are averaged out."""
        return np.zeros_like(mean_sinr)


def _means(
    adaptation: Adaptation, gain: Float[np.ndarray, "draw group"], flatten: Flatten
) -> Float[np.ndarray, "2 mean"]:
    """Return the means of goodput and transmissions by mean SINR."""
    distribution = [_histogram(flatten(each * gain) / each) for each in 10.0 ** (SINR_DB / 10)]
    mean_db = np.arange(MEAN_LOWEST_DB, MEAN_HIGHEST_DB + 1e-9, MEAN_STEP_DB)
    weight = hat_weights(mean_db, SINR_DB) @ np.array(distribution)
    fade = 10.0 ** (FADE_DB / 10)
    efficiency, transmissions = adaptation.outcome(
        10.0 ** (mean_db[:, None] / 10) * fade, np.broadcast_to(fade, weight.shape)
    )
    return np.stack([(weight * each).sum(axis=1) for each in (efficiency, transmissions)])


def _histogram(fade: Float[np.ndarray, " draw"]) -> Float[np.ndarray, " bin"]:
    """Return the share of samples in each bin of :data:`FADE_DB`."""
    step_db = FADE_DB[1] - FADE_DB[0]
    place = np.clip(np.rint((floored_db(fade) - FADE_DB[0]) / step_db), 0, len(FADE_DB) - 1)
    return np.bincount(place.astype(np.intp), minlength=len(FADE_DB)) / len(fade)
