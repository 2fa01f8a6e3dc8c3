"""The four propagation environments of TR 38.901 and the ranges of validity of their models."""

from dataclasses import dataclass
from typing import Literal, get_args

from netsim.problems import Problem

EnvironmentName = Literal["uma", "umi", "rma", "inh"]
"""Urban macro, urban micro street canyon, rural macro, indoor hotspot (office)."""

ENVIRONMENTS: tuple[EnvironmentName, ...] = get_args(EnvironmentName)


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelRange:
    """Range of validity of a path-loss model, and the default antenna heights."""

    carrier_hz: tuple[float, float]
    """Lowest and highest carrier [Hz]."""
    distance_2d_m: tuple[float, float]
    """Smallest and largest ground distance [m]; closer links are evaluated at the smallest."""
    bs_height_m: tuple[float, float]
    """Lowest and highest base-station antenna [m]."""
    ue_height_m: tuple[float, float]
    """Lowest and highest UE antenna [m]."""
    default_bs_height_m: float
    """Base-station antenna of the standard's scenario [m]."""
    default_ue_height_m: float
    """UE antenna of the standard's scenario [m]."""


MODEL_RANGES: dict[EnvironmentName, ModelRange] = {
    "uma": ModelRange(
        carrier_hz=(0.5e9, 100e9),
        distance_2d_m=(10.0, 5e3),
        bs_height_m=(15.0, 50.0),
        ue_height_m=(1.5, 22.5),
        default_bs_height_m=25.0,
        default_ue_height_m=1.5,
    ),
    "umi": ModelRange(
        carrier_hz=(0.5e9, 100e9),
        distance_2d_m=(10.0, 5e3),
        bs_height_m=(5.0, 15.0),
        ue_height_m=(1.5, 22.5),
        default_bs_height_m=10.0,
        default_ue_height_m=1.5,
    ),
    "rma": ModelRange(
        carrier_hz=(0.5e9, 7e9),
        distance_2d_m=(10.0, 10e3),
        bs_height_m=(10.0, 150.0),
        ue_height_m=(1.0, 10.0),
        default_bs_height_m=35.0,
        default_ue_height_m=1.5,
    ),
    "inh": ModelRange(
        carrier_hz=(0.5e9, 100e9),
        distance_2d_m=(1.0, 150.0),
        bs_height_m=(2.0, 6.0),
        ue_height_m=(0.5, 2.5),
        default_bs_height_m=3.0,
        default_ue_height_m=1.0,
    ),
}
"""Validity of each environment.

Carriers, distances, UE heights of UMa and UMi and the heights of RMa follow TR 38.901 Table
7.4.1-1 (RMa carriers up to 7 GHz; RMa NLOS distances up to 5 km). The table has a single base
station height for UMa (25 m) and UMi (10 m) and none for InH: the ranges are our choice, wide
enough for real sites and narrow enough to detect a wrong unit.
"""


def check_environment(environment: str) -> EnvironmentName:
    """Return the environment of this name.

    Raises
    ------
    ValueError
        If no environment has this name.
    """
    for known in ENVIRONMENTS:
        if environment == known:
            return known
    msg = f"environment: must be one of {', '.join(ENVIRONMENTS)}, got {environment!r}"
    raise ValueError(msg)


def check_carrier(environment: EnvironmentName, carrier_hz: float) -> None:
    """Raise an error if the carrier is outside the range of the environment's model.

    Raises
    ------
    ValueError
        With the range and the value.
    """
    rule = _broken_range(environment, "carrier_hz", carrier_hz)
    if rule is not None:
        msg = f"carrier_hz: {rule}"
        raise ValueError(msg)


def find_problems(
    environment: EnvironmentName,
    *,
    carrier_hz: float,
    bs_height_m: float,
    ue_height_m: float,
    path: tuple[str, ...] = (),
) -> list[Problem]:
    """Return every value outside the range of the environment's model.

    Parameters
    ----------
    environment
        Propagation environment.
    carrier_hz, bs_height_m, ue_height_m
        Values to check [Hz, m, m].
    path
        Section of the three keys in the scenario file, for example ``("world",)``.
    """
    values = {"carrier_hz": carrier_hz, "bs_height_m": bs_height_m, "ue_height_m": ue_height_m}
    rules = ((key, _broken_range(environment, key, value)) for key, value in values.items())
    return [Problem((*path, key), rule) for key, rule in rules if rule is not None]


def _broken_range(environment: EnvironmentName, key: str, value: float) -> str | None:
    low, high = getattr(MODEL_RANGES[environment], key)
    if low <= value <= high:
        return None
    return f"must be within {low:g} and {high:g} in environment {environment}, got {value:g}"
