"""Small-scale fading as a pure function of time.

A link's channel is a sum of plane waves drawn once from the stream (seed, FADING, link). Its gain
at an instant needs no history: instants can be evaluated in any order, and all variants of a study
have the same channel.
"""

from abc import ABC, abstractmethod

import numpy as np
from jaxtyping import Complex, Float, Int

from netsim.array_like import ArrayLike
from netsim.streams import Purpose, stream
from netsim.units import db_to_linear

LOS_DOPPLER_FRACTION = 0.7
"""Doppler of the direct path over the maximum Doppler, TR 38.901 clause 7.7.2 (recollected)."""

MAX_CACHED_COEFFICIENTS = 50_000_000
"""Most wave coefficients in memory (400 MB); beyond it all are dropped and drawn again."""

_CHUNK_ELEMENTS = 2_000_000
"""Waves evaluated at once: 16 MB of doubles."""


class Fading(ABC):
    """A fading process: subclasses define the complex response, this class the power gain."""

    @abstractmethod
    def branch_responses(
        self,
        link_id: Int[np.ndarray, " link"],
        *,
        doppler_hz: Float[np.ndarray, " link"],
        at_s: ArrayLike,
        offset_hz: Float[np.ndarray, " group"],
        num_branches: int,
    ) -> Complex[np.ndarray, "branch link #group"]:
        """Return the complex gain per group, or one for all groups, with mean power 1.

        Branches are the channels of antennas that fade independently. The first one does not depend
        on the number of branches. Other parameters are those of :meth:`power_gain`.

        Raises
        ------
        ValueError
            If the process has fewer branches.
        """

    def power_gain(
        self,
        link_id: Int[np.ndarray, " link"],
        *,
        doppler_hz: Float[np.ndarray, " link"],
        at_s: ArrayLike,
        offset_hz: Float[np.ndarray, " group"],
    ) -> Float[np.ndarray, "link group"]:
        """Return power gains of the first branch, with mean 1.

        Parameters
        ----------
        link_id
            Ids of the links, each >= 0; they select the realisation.
        doppler_hz
            Maximum Doppler frequency of each link [Hz], >= 0; 0 freezes the channel. A change of
            it makes the gain discontinuous.
        at_s
            Simulated time [s], one value for all links or one per link.
        offset_hz
            Centre frequency of each resource-block group relative to the carrier [Hz].
        """
        gain = self.branch_responses(
            link_id, doppler_hz=doppler_hz, at_s=at_s, offset_hz=offset_hz, num_branches=1
        )[0]
        power = gain.real**2 + gain.imag**2
        return np.array(np.broadcast_to(power, (len(link_id), len(offset_hz))))


class WaveBank:
    """Angles and phases of the waves of links, by (link, tap, wave), drawn on demand.

    Parameters
    ----------
    seed
        Root seed of the run.
    num_taps
        Independently fading taps of a link, >= 1.
    num_waves
        Waves of a tap, >= 16: with fewer the gain is not Rayleigh distributed.
    num_branches
        Antennas that fade independently, >= 1.

    Notes
    -----
    Angles of arrival are uniform, one in each of ``num_waves`` equal sectors: a single link has the
    Jakes correlation closely, the ensemble of links exactly. All waves have the same power, so the
    time average of each link is 1. E|h|^4 is 2 - 1/N.

    All branches of a link receive the same waves, each with phases of its own. Phases of the first
    branch come from the stream of the link, those of the others from (seed, FADING, link, 1), in
    the order of the branches.
    """

    def __init__(self, seed: int, *, num_taps: int, num_waves: int, num_branches: int = 1) -> None:
        if num_waves < 16:
            msg = f"num_waves: must be >= 16, got {num_waves}"
            raise ValueError(msg)
        self._seed = seed
        self._shape = (num_taps, num_waves)
        self._num_branches = num_branches
        self._row_of: dict[int, int] = {}
        self._cosine = np.empty((0, *self._shape))
        self._phase_cycles = np.empty((0, *self._shape))
        self._turn = np.empty((0, num_branches - 1, *self._shape), dtype=np.complex64)
        self._direct_rad = np.empty(0)

    def complex_gains(
        self,
        link_id: Int[np.ndarray, " link"],
        *,
        doppler_hz: Float[np.ndarray, " link"],
        at_s: ArrayLike,
        num_branches: int,
    ) -> Complex[np.ndarray, "branch link tap"]:
        """Return the unit-power Rayleigh gain of every tap."""
        if num_branches > self._num_branches:
            msg = f"num_branches: must be <= {self._num_branches}, got {num_branches}"
            raise ValueError(msg)
        rows = self._rows(link_id)
        doppler_cycles = doppler_hz * np.asarray(at_s, dtype=float)
        num_taps, num_waves = self._shape
        gain = np.empty((num_branches, len(rows), num_taps), dtype=complex)
        step = max(1, _CHUNK_ELEMENTS // (num_taps * num_waves * num_branches))
        for first in range(0, len(rows), step):
            part = slice(first, first + step)
            cycles = doppler_cycles[part, None, None] * self._cosine[rows[part]]
            cycles += self._phase_cycles[rows[part]]
            # Whole cycles are removed in double precision; single precision then has an error of
            # 1e-6 and is much faster.
            cycles -= np.rint(cycles)
            angle_rad = cycles.astype(np.float32)
            angle_rad *= np.float32(2 * np.pi)
            real, imaginary = np.cos(angle_rad), np.sin(angle_rad)
            gain[0, part].real = real.sum(axis=-1)
            gain[0, part].imag = imaginary.sum(axis=-1)
            if num_branches > 1:
                turn = self._turn[rows[part], : num_branches - 1]
                gain[1:, part] = np.einsum("ltw,lbtw->blt", real + 1j * imaginary, turn)
        return gain / np.sqrt(num_waves)

    def direct_gain(
        self,
        link_id: Int[np.ndarray, " link"],
        *,
        doppler_hz: Float[np.ndarray, " link"],
        at_s: ArrayLike,
    ) -> Complex[np.ndarray, " link"]:
        """Return the unit-power gain of the direct path, a rotating phasor."""
        rows = self._rows(link_id)
        phase_rad = 2 * np.pi * LOS_DOPPLER_FRACTION * doppler_hz * np.asarray(at_s, dtype=float)
        return np.exp(1j * (phase_rad + self._direct_rad[rows]))

    def _rows(self, link_id: Int[np.ndarray, " link"]) -> Int[np.ndarray, " link"]:
        wanted = link_id.tolist()
        rows = list(map(self._row_of.get, wanted))
        if None in rows:
            missing = [link for link in dict.fromkeys(wanted) if link not in self._row_of]
            self._draw(missing, keep=dict.fromkeys(wanted))
            rows = list(map(self._row_of.get, wanted))
        return np.array(rows, dtype=np.intp)

    def _draw(self, missing: list[int], *, keep: dict[int, None]) -> None:
        """Draw the waves of links; if there are too many, drop those that are not requested now."""
        per_link = (1 + self._num_branches) * self._shape[0] * self._shape[1]
        if per_link * (len(self._row_of) + len(missing)) > MAX_CACHED_COEFFICIENTS:
            self._row_of = {}
            missing = list(keep)
        used = len(self._row_of)
        self._reserve(used + len(missing), used=used)
        for row, link in enumerate(missing, start=used):
            rng = stream(self._seed, Purpose.FADING, link)
            sector = np.arange(self._shape[1]) + rng.random(self._shape)
            self._cosine[row] = np.cos(2 * np.pi * sector / self._shape[1])
            self._phase_cycles[row] = rng.random(self._shape)
            self._direct_rad[row] = rng.uniform(0.0, 2 * np.pi)
            if self._num_branches > 1:
                others = stream(self._seed, Purpose.FADING, link, 1)
                cycles = others.random(self._turn.shape[1:], dtype=np.float32)
                self._turn[row] = np.exp(np.complex64(2j * np.pi) * cycles)
            self._row_of[link] = row

    def _reserve(self, num_rows: int, *, used: int) -> None:
        """Grow the arrays to this many rows; doubling keeps the cost per row constant."""
        if num_rows <= len(self._direct_rad):
            return
        capacity = max(num_rows, 2 * used)
        for name in ("_cosine", "_phase_cycles", "_turn", "_direct_rad"):
            column = getattr(self, name)
            grown = np.empty((capacity, *column.shape[1:]), dtype=column.dtype)
            grown[:used] = column[:used]
            setattr(self, name, grown)


class NoFading(Fading):
    """A channel with constant gain 1."""

    def branch_responses(
        self,
        link_id: Int[np.ndarray, " link"],
        *,
        doppler_hz: Float[np.ndarray, " link"],
        at_s: ArrayLike,
        offset_hz: Float[np.ndarray, " group"],
        num_branches: int,
    ) -> Complex[np.ndarray, "branch link #group"]:
        """Return 1 for every link and branch."""
        return np.ones((num_branches, len(link_id), 1), dtype=complex)


class FlatFading(Fading):
    """Frequency-flat fading: subclasses define one complex gain per link and branch."""

    @abstractmethod
    def complex_gains(
        self,
        link_id: Int[np.ndarray, " link"],
        *,
        doppler_hz: Float[np.ndarray, " link"],
        at_s: ArrayLike,
        num_branches: int = 1,
    ) -> Complex[np.ndarray, "branch link"]:
        """Return complex gains, mean power 1; parameters of :meth:`Fading.branch_responses`."""

    def branch_responses(
        self,
        link_id: Int[np.ndarray, " link"],
        *,
        doppler_hz: Float[np.ndarray, " link"],
        at_s: ArrayLike,
        offset_hz: Float[np.ndarray, " group"],
        num_branches: int,
    ) -> Complex[np.ndarray, "branch link #group"]:
        """Return the complex gains, one for all groups."""
        return self.complex_gains(
            link_id, doppler_hz=doppler_hz, at_s=at_s, num_branches=num_branches
        )[..., None]


class Rayleigh(FlatFading):
    """Flat fading without a direct path.

    Parameters
    ----------
    seed
        Root seed of the run.
    num_waves
        Waves of a link, >= 16.
    num_branches
        Antennas that fade independently, >= 1.
    """

    def __init__(self, seed: int, *, num_waves: int = 32, num_branches: int = 1) -> None:
        self._bank = WaveBank(seed, num_taps=1, num_waves=num_waves, num_branches=num_branches)

    def complex_gains(
        self,
        link_id: Int[np.ndarray, " link"],
        *,
        doppler_hz: Float[np.ndarray, " link"],
        at_s: ArrayLike,
        num_branches: int = 1,
    ) -> Complex[np.ndarray, "branch link"]:
        """Return the complex gains, mean power 1."""
        return self._bank.complex_gains(
            link_id, doppler_hz=doppler_hz, at_s=at_s, num_branches=num_branches
        )[..., 0]


class Rician(FlatFading):
    """Flat fading with a direct path ``K`` times as strong as the scattered ones.

    Parameters
    ----------
    seed
        Root seed of the run.
    k_factor_db
        Power of the direct path over that of all others [dB].
    num_waves
        Scattered waves of a link, >= 16.
    num_branches
        Antennas whose scattered waves fade independently, >= 1; the direct path is the same at all.
    """

    def __init__(
        self, seed: int, *, k_factor_db: float, num_waves: int = 32, num_branches: int = 1
    ) -> None:
        self._bank = WaveBank(seed, num_taps=1, num_waves=num_waves, num_branches=num_branches)
        ratio = db_to_linear(k_factor_db)
        self._direct = np.sqrt(ratio / (ratio + 1))
        self._scattered = np.sqrt(1 / (ratio + 1))

    def complex_gains(
        self,
        link_id: Int[np.ndarray, " link"],
        *,
        doppler_hz: Float[np.ndarray, " link"],
        at_s: ArrayLike,
        num_branches: int = 1,
    ) -> Complex[np.ndarray, "branch link"]:
        """Return the complex gains, mean power 1."""
        waves = self._bank.complex_gains(
            link_id, doppler_hz=doppler_hz, at_s=at_s, num_branches=num_branches
        )[..., 0]
        direct = self._bank.direct_gain(link_id, doppler_hz=doppler_hz, at_s=at_s)
        return self._direct * direct + self._scattered * waves
