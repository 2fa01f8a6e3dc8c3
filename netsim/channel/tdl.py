"""Frequency-selective fading: the tapped-delay-line channels TDL-A to TDL-E of TR 38.901."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Complex, Float, Int

from netsim.array_like import ArrayLike
from netsim.channel.fading import Fading, WaveBank
from netsim.standard_table import read_standard_table
from netsim.units import db_to_linear

ProfileName = Literal["A", "B", "C", "D", "E"]
"""A, B and C have no direct path; D has K = 13.3 dB, E has K = 22 dB."""

PROFILES: tuple[ProfileName, ...] = get_args(ProfileName)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class PowerDelayProfile:
    """Taps of a profile; read-only."""

    normalized_delay: Float[np.ndarray, " tap"]
    """Delay over the RMS delay spread."""
    power: Float[np.ndarray, " tap"]
    """Mean power, normalised to sum 1."""
    is_direct: Bool[np.ndarray, " tap"]
    """Whether a tap is the direct path, which does not fade."""


@cache
def power_delay_profile(name: ProfileName) -> PowerDelayProfile:
    """Return the power delay profile of a TDL channel of TR 38.901.

    Raises
    ------
    ValueError
        If there is no profile of this name.

    References
    ----------
    3GPP TR 38.901, Tables 7.7.2-1 to 7.7.2-5.
    """
    table = read_standard_table(Path(__file__).with_name("tdl.csv"))
    rows = [row for row in table if row["profile"] == name]
    if not rows:
        msg = f"profile: must be one of {', '.join(PROFILES)}, got {name!r}"
        raise ValueError(msg)
    power = db_to_linear(np.array([float(row["power_db"]) for row in rows]))
    profile = PowerDelayProfile(
        normalized_delay=np.array([float(row["normalized_delay"]) for row in rows]),
        power=power / power.sum(),
        is_direct=np.array([row["is_direct"] == "1" for row in rows]),
    )
    for column in (profile.normalized_delay, profile.power, profile.is_direct):
        column.setflags(write=False)  # the profile is shared by every caller
    return profile


class TappedDelayLine(Fading):
    """Fading that differs between resource-block groups and follows the Jakes spectrum in time.

    Parameters
    ----------
    seed
        Root seed of the run; a link's waves come from the stream (seed, FADING, link).
    profile
        A to E.
    delay_spread_s
        RMS delay spread [s], >= 0: 10e-9 very short, 100e-9 nominal, 1000e-9 very long.
    num_waves
        Waves of a tap, >= 16.
    num_branches
        Antennas whose taps fade independently, >= 1; a direct path is the same at all.

    References
    ----------
    3GPP TR 38.901, clauses 7.7.2 and 7.7.3.
    """

    def __init__(
        self,
        seed: int,
        *,
        profile: ProfileName,
        delay_spread_s: float,
        num_waves: int = 16,
        num_branches: int = 1,
    ) -> None:
        if not (np.isfinite(delay_spread_s) and delay_spread_s >= 0):
            msg = f"delay_spread_s: must be finite and >= 0, got {delay_spread_s}"
            raise ValueError(msg)
        taps = power_delay_profile(profile)
        self._is_direct = taps.is_direct
        self._amplitude = np.sqrt(taps.power)
        self.delay_s = taps.normalized_delay * delay_spread_s
        """Delay of every tap [s]."""
        self._bank = WaveBank(
            seed,
            num_taps=int((~taps.is_direct).sum()),
            num_waves=num_waves,
            num_branches=num_branches,
        )

    def tap_gains(
        self,
        link_id: Int[np.ndarray, " link"],
        *,
        doppler_hz: Float[np.ndarray, " link"],
        at_s: ArrayLike,
        num_branches: int = 1,
    ) -> Complex[np.ndarray, "branch link tap"]:
        """Return the complex gain of every tap; mean powers sum to 1."""
        gain = np.empty((num_branches, len(link_id), len(self._amplitude)), dtype=complex)
        gain[..., ~self._is_direct] = self._bank.complex_gains(
            link_id, doppler_hz=doppler_hz, at_s=at_s, num_branches=num_branches
        )
        if self._is_direct.any():
            direct = self._bank.direct_gain(link_id, doppler_hz=doppler_hz, at_s=at_s)
            gain[..., self._is_direct] = direct[:, None]
        return gain * self._amplitude

    def branch_responses(
        self,
        link_id: Int[np.ndarray, " link"],
        *,
        doppler_hz: Float[np.ndarray, " link"],
        at_s: ArrayLike,
        offset_hz: Float[np.ndarray, " group"],
        num_branches: int,
    ) -> Complex[np.ndarray, "branch link #group"]:
        """Return the frequency response ``H(f)`` at the group centres."""
        taps = self.tap_gains(link_id, doppler_hz=doppler_hz, at_s=at_s, num_branches=num_branches)
        return taps @ np.exp(-2j * np.pi * self.delay_s[:, None] * offset_hz)
