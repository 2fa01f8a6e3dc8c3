"""Power of a client's radio as phones were measured: by throughput, with a tail.

``measured_phones.csv`` beside this file holds the profiles and where they come from. While a phone
sends or receives at a rate R it draws ``min(base + slope R, largest)``, in the rest of a transfer
it draws what a connected phone draws, after its last transfer that of the tail until the
connection is released. The logs give power against throughput, not against the power radiated: at
one rate a phone at the edge draws what one near the site does. R is the rate while the phone is on
the air. That a phone draws connected power between its grants is our choice: the phones were
measured alone, on the air all the time in FDD; only those of mmWave hold the pauses of TDD.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

import numpy as np

from netsim.config.ue_power import MeasuredPowerConfig, PhoneProfile
from netsim.problems import Problem
from netsim.standard_table import read_standard_table
from netsim.units import Scalar

_WITH_SCREEN = ("transmit_w", "transmit_max_w", "receive_w", "receive_max_w", "connected_w")
"""Columns that hold the screen where the logs of a profile do."""


@dataclass(frozen=True, kw_only=True)
class ThroughputPower:
    """Power of one direction: a straight line of throughput, up to a largest power."""

    base_w: float
    """Power at no throughput [W]."""
    j_per_bit: float
    """What each bit adds [J]."""
    max_w: float
    """Largest power [W]."""

    def at(self, rate_bps: Scalar) -> Scalar:
        """Return the power at a rate [bit/s] [W]."""
        return cast("Scalar", np.minimum(self.base_w + self.j_per_bit * rate_bps, self.max_w))


@dataclass(frozen=True, kw_only=True)
class MeasuredPower:
    """Power of a radio by direction and throughput, and of its tail."""

    sending: ThroughputPower
    receiving: ThroughputPower
    listen_w: float
    """Power in a transfer while the radio neither sends nor receives [W]."""
    tail_w: float
    """Power from the last transfer to the release of the connection [W]."""
    release_s: float
    """Time from the last transfer to the release of the connection [s]."""

    def transmit_w(self, radiated_w: Scalar, rate_bps: Scalar) -> Scalar:
        """Return the power drawn while sending at a rate [W]; what is radiated is without effect.

        Parameters
        ----------
        radiated_w
            Power at the antenna [W].
        rate_bps
            Rate while it sends [bit/s].
        """
        return self.sending.at(rate_bps) + 0.0 * radiated_w

    def receive_w(self, rate_bps: Scalar) -> Scalar:
        """Return the power drawn while receiving at a rate [bit/s] [W]."""
        return self.receiving.at(rate_bps)

    def tail_energy_j(self, gap_s: Scalar) -> Scalar:
        """Return the energy [J] of a gap without transfers [s]."""
        return self.tail_w * self.tail_s(gap_s)

    def tail_s(self, gap_s: Scalar) -> Scalar:
        """Return the part of a gap without transfers in which the radio is connected [s]."""
        return cast("Scalar", np.minimum(gap_s, self.release_s))


@cache
def _table() -> dict[str, dict[str, str]]:
    rows = read_standard_table(Path(__file__).with_name("measured_phones.csv"))
    return {row["profile"]: row for row in rows}


def has_screen(profile: PhoneProfile) -> bool:
    """Return whether the powers of a profile hold screen and idle phone."""
    return _table()[profile]["has_screen"] == "yes"


def values(config: MeasuredPowerConfig) -> dict[str, float]:
    """Return the values of a phone by the names of the settings: those set, else the profile's."""
    screen_w = config.screen_w or 0.0
    found = {}
    for name, text in _table()[config.profile].items():
        if name in ("profile", "has_screen"):
            continue
        own = getattr(config, name)
        of_profile = float(text) - (screen_w if name in _WITH_SCREEN else 0.0)
        found[name] = of_profile if own is None else own
    return found


def measured_power(config: MeasuredPowerConfig) -> MeasuredPower:
    """Return the power model of settings that :func:`find_problems` finds nothing wrong with."""
    value = values(config)
    sending, receiving = (
        ThroughputPower(
            base_w=value[f"{name}_w"],
            j_per_bit=value[f"{name}_j_per_bit"],
            max_w=value[f"{name}_max_w"],
        )
        for name in ("transmit", "receive")
    )
    return MeasuredPower(
        sending=sending,
        receiving=receiving,
        listen_w=value["connected_w"],
        tail_w=value["tail_w"],
        release_s=value["tail_s"],
    )


def find_problems(config: MeasuredPowerConfig, path: tuple[str, ...]) -> list[Problem]:
    """Return the broken rules of a phone.

    Parameters
    ----------
    config
        Settings of the phone, each within its own bounds.
    path
        Key of the section in the scenario.
    """
    return [Problem((*path, name), rule) for name, rule in _find_faults(config)]


def _find_faults(config: MeasuredPowerConfig) -> Iterator[tuple[str, str]]:
    profile, screen_w = config.profile, config.screen_w
    if screen_w is None and has_screen(profile):
        yield (
            "screen_w",
            f"must be given with profile {profile}, whose powers hold the screen and the idle "
            "phone (2.2 to 2.5 W is likely, 0 leaves them in)",
        )
    if screen_w is not None and not has_screen(profile):
        yield "screen_w", f"has no effect with profile {profile}: its powers hold no screen"
    value = values(config)
    for name in ("connected_w", "transmit_w", "receive_w"):
        if value[name] < 0:
            yield (
                "screen_w",
                f"must be <= {float(_table()[profile][name]):g} W, {name} of profile {profile}, "
                f"got {screen_w:g}",
            )
            break
    for direction in ("transmit", "receive"):
        largest, base = f"{direction}_max_w", f"{direction}_w"
        if value[largest] < value[base]:
            yield largest, f"must be >= {base} {value[base]:g}, got {value[largest]:g}"
