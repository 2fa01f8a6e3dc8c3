"""Rules of ``radio.access:`` that need other settings."""

from collections.abc import Iterator

from netsim.channel.pathloss import LIGHT_SPEED_3GPP_MPS
from netsim.config import RadioConfig
from netsim.problems import Problem
from netsim.rrc import connection

_PATH = ("radio", "access")


def find_problems(radio: RadioConfig, *, diameter_m: float | None) -> Iterator[Problem]:
    """Find broken rules.

    Parameters
    ----------
    radio
        The section as it stands in the scenario.
    diameter_m
        Largest distance within the service area [m]; ``None`` where the layout itself is wrong.
    """
    access = radio.access
    if access is None:
        return
    yield from connection.find_problems(access, radio.ue_power, _PATH)
    if access.rtt_s is None:
        if access.session is not None:
            yield Problem((*_PATH, "session"), "needs rtt_s; null switches it off, too")
        return
    if diameter_m is None:
        return
    least_s = 2.0 * diameter_m / LIGHT_SPEED_3GPP_MPS
    if access.rtt_s < least_s:
        yield Problem(
            (*_PATH, "rtt_s"),
            f"must be >= {least_s:.3g} s, light's way across the area of {diameter_m:.4g} m and "
            f"back, got {access.rtt_s:g}",
        )
