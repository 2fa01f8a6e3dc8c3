"""Rates averaged over a fading process, for transfers that outlive many fades."""

import numpy as np
from jaxtyping import Float

from netsim.channel.fading import Fading
from netsim.interpolation import find_cell, hat_weights
from netsim.phy_abstraction.goodput import Adaptation, Contention, Reserve
from netsim.phy_abstraction.scheduled_fading import ScheduledFading
from netsim.units import floored_db

_SAMPLE_SPACING_CYCLES = 7.3
"""Doppler cycles between samples of one link: far apart, and not in step with its waves."""

MEAN_LOWEST_DB = -30.0
MEAN_HIGHEST_DB = 60.0
MEAN_STEP_DB = 0.5


def sample_gains(
    fading: Fading, *, offset_hz: Float[np.ndarray, " group"], num_draws: int = 16384
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


def sample_series(
    fading: Fading,
    *,
    doppler_hz: float,
    offset_hz: Float[np.ndarray, " group"],
    step_s: float,
    num_steps: int,
    num_links: int,
) -> Float[np.ndarray, "time group link"]:
    """Sample power gains of links at instants ``step_s`` apart; parameters as above."""
    gain = fading.power_gain(
        np.repeat(np.arange(num_links), num_steps),
        doppler_hz=np.full(num_links * num_steps, doppler_hz),
        at_s=np.tile(np.arange(num_steps) * step_s, num_links),
        offset_hz=offset_hz,
    )
    return np.moveaxis(gain.reshape(num_links, num_steps, len(offset_hz)), 0, 2)


class MeanOverFading:
    """The mean of another adaptation over the fades served: for transfers that outlive many.

    The rate is a function of the mean SINR and of the
    :class:`netsim.phy_abstraction.goodput.Contention`. Exact in the limit of transfers much longer
    than the coherence time, and as far as the fades served are.

    Parameters
    ----------
    adaptation
        Outcome at a given fade.
    served
        Effective power gains that were served: mean 1 for a law blind to them and flat fading,
        less where groups differ, more for one that serves peaks. Linear between its SINRs and
        numbers of contenders, held beyond.
    """

    def __init__(self, adaptation: Adaptation, *, served: ScheduledFading) -> None:
        mean_db = np.arange(MEAN_LOWEST_DB, MEAN_HIGHEST_DB + 1e-9, MEAN_STEP_DB)
        mean = 10.0 ** (mean_db[:, None] / 10)
        shape = (len(served.num_contenders), len(mean), len(served.fade))
        contenders = served.num_contenders[:, None, None]
        efficiency, transmissions = adaptation.outcome(
            mean * served.fade,
            np.broadcast_to(served.fade, shape),
            Contention(contenders, np.zeros(contenders.shape)),
        )
        near = hat_weights(mean_db, served.sinr_db)
        weight = np.einsum("ms,escl->ecml", near, served.weight)
        by_count = np.stack(
            [
                (weight * efficiency).sum(axis=3),
                (weight * transmissions).sum(axis=3),
                np.einsum("ms,esc->ecm", near, served.overlap),
            ]
        )
        every = hat_weights(np.arange(1.0, served.num_contenders[-1] + 1), served.num_contenders)
        tables = np.einsum("kc,tecm->etkm", every, by_count)
        self._tables, self._change = tables[0], tables[-1] - tables[0]
        self.depends_on_contention = len(served.num_contenders) > 1
        """Whether it matters among whom the scheduler chooses."""
        self.has_overlap = bool(served.overlap.max() > 1)
        """Whether contenders are ever on the air together."""

    def efficiency(
        self, sinr: Float[np.ndarray, "..."], contention: Contention | None = None
    ) -> Float[np.ndarray, "..."]:
        """Return goodput averaged over the fading, by mean SINR; 0 below the table."""
        return self._goodput(sinr, self._read(sinr, contention)[0])

    def outcome(
        self,
        sinr: Float[np.ndarray, "..."],
        fade: Float[np.ndarray, "..."],
        contention: Contention | None = None,
        reserve: Reserve | None = None,
    ) -> tuple[Float[np.ndarray, "..."], Float[np.ndarray, "..."]]:
        """Return goodput and transmissions averaged over the fading, see :class:`Adaptation`."""
        del fade, reserve
        efficiency, transmissions, _ = self._read(sinr, contention)
        return self._goodput(sinr, efficiency), transmissions

    def overlap(
        self, sinr: Float[np.ndarray, "..."], contention: Contention | None
    ) -> Float[np.ndarray, "..."]:
        """Return how many of the contenders are on the air at once, >= 1."""
        return self._read(sinr, contention)[2]

    def _read(
        self, sinr: Float[np.ndarray, "..."], contention: Contention | None
    ) -> Float[np.ndarray, "3 ..."]:
        _, num_rows, num_points = self._tables.shape
        row = (
            np.intp(0)
            if contention is None
            else np.minimum(contention.num_contenders, num_rows) - 1
        )
        low, part = find_cell((floored_db(sinr) - MEAN_LOWEST_DB) / MEAN_STEP_DB, num_points)
        near, far = self._tables[:, row, low], self._tables[:, row, low + 1]
        value = near + (far - near) * part
        if contention is not None and contention.limited.any():
            near, far = self._change[:, row, low], self._change[:, row, low + 1]
            value = value + contention.limited * (near + (far - near) * part)
        return value

    @staticmethod
    def _goodput(
        sinr: Float[np.ndarray, "..."], efficiency: Float[np.ndarray, "..."]
    ) -> Float[np.ndarray, "..."]:
        return np.where(floored_db(sinr) < MEAN_LOWEST_DB, 0.0, efficiency)
