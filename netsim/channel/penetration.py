"""Loss into buildings and cars, TR 38.901 clause 7.4.3."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from netsim.config.environment import EnvironmentName
from netsim.problems import Problem
from netsim.units import db_to_linear, linear_to_db

BuildingModel = Literal["low", "high", "legacy"]
"""Low-loss walls, high-loss walls (coated glass), or the same loss at all carriers below 6 GHz."""
BuildingMix = BuildingModel | Literal["mixed"]
"""One model for all, or high loss for some clients and low loss for the others."""

BUILDING_SPREAD_DB: dict[BuildingModel, float] = {"low": 4.4, "high": 6.5, "legacy": 0.0}
"""Standard deviation of the building loss [dB]."""

LEGACY_WALL_LOSS_DB: dict[EnvironmentName, float] = {"uma": 20.0, "umi": 20.0, "rma": 10.0}
"""UMa and UMi after TR 38.901 Table 7.4.3-3; RMa after channel model A of ITU-R M.2412, which was
not read itself: a public simulator of the IMT-2020 evaluation has 10 dB, and the companies' rural
results agree with it (docs/validation.md)."""

LEGACY_HIGHEST_CARRIER_HZ = 6e9
INDOOR_LOSS_DB_PER_M = 0.5

CarWindows = Literal["plain", "metallised"]

CAR_LOSS_MEAN_DB: dict[CarWindows, float] = {"plain": 9.0, "metallised": 20.0}
CAR_LOSS_SPREAD_DB = 5.0


def wall_loss_db(model: BuildingModel, *, environment: EnvironmentName, carrier_hz: float) -> float:
    """Return the loss of the outer wall [dB].

    Parameters
    ----------
    model
        Building model.
    environment
        Propagation environment; only the legacy model depends on it (lower loss in RMa).
    carrier_hz
        Carrier [Hz]; the legacy model does not depend on it.

    Raises
    ------
    ValueError
        If the environment has no legacy model (InH).

    References
    ----------
    3GPP TR 38.901, Tables 7.4.3-1 to 7.4.3-3.

    Examples
    --------
    >>> round(wall_loss_db("low", environment="uma", carrier_hz=3.5e9), 3)
    12.698
    """
    if model == "legacy":
        if environment not in LEGACY_WALL_LOSS_DB:
            msg = f"environment: must be uma, umi or rma for legacy walls, got {environment!r}"
            raise ValueError(msg)
        return LEGACY_WALL_LOSS_DB[environment]
    carrier_ghz = carrier_hz / 1e9
    concrete = db_to_linear(-(5 + 4 * carrier_ghz))
    if model == "low":
        passed = 0.3 * db_to_linear(-(2 + 0.2 * carrier_ghz)) + 0.7 * concrete
    else:
        passed = 0.7 * db_to_linear(-(23 + 0.3 * carrier_ghz)) + 0.3 * concrete
    return 5 - linear_to_db(passed)


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class BuildingEntry:
    """Indoor distance and penetration loss of UEs in buildings."""

    indoor_distance_m: Float[np.ndarray, "..."]
    """Indoor part of the ground distance [m]."""
    loss_db: Float[np.ndarray, "..."]
    """Sum of outer wall loss, indoor loss and normal deviation [dB]."""


def draw_building_entry(
    rng: np.random.Generator,
    shape: int | tuple[int, ...],
    *,
    environment: EnvironmentName,
    model: BuildingModel,
    carrier_hz: float,
) -> BuildingEntry:
    """Draw indoor distances and penetration losses.

    Parameters
    ----------
    rng
        Generator addressed by UE. The low and high models have one value per UE, common to all its
        links; the legacy model one per link: its shape needs a site axis.
    shape
        Shape of the result.
    environment
        Depth of buildings: at most 10 m in RMa, 25 m elsewhere.
    model
        Building model.
    carrier_hz
        Carrier [Hz].

    Notes
    -----
    Low and high: the smaller of two uniform distances (mean a third of the depth). Legacy: one
    uniform distance.

    References
    ----------
    3GPP TR 38.901, clause 7.4.3.1; legacy in RMa: see :data:`LEGACY_WALL_LOSS_DB`.
    """
    depth_m = 10.0 if environment == "rma" else 25.0
    one_m = rng.uniform(0.0, depth_m, shape)
    other_m = rng.uniform(0.0, depth_m, shape)
    normal = rng.standard_normal(shape)
    distance_m = one_m if model == "legacy" else np.minimum(one_m, other_m)
    loss_db = (
        wall_loss_db(model, environment=environment, carrier_hz=carrier_hz)
        + INDOOR_LOSS_DB_PER_M * distance_m
        + BUILDING_SPREAD_DB[model] * normal
    )
    return BuildingEntry(indoor_distance_m=np.asarray(distance_m), loss_db=np.asarray(loss_db))


def drawn_model(
    rng: np.random.Generator, mix: BuildingMix, *, high_loss_fraction: float
) -> BuildingModel:
    """Draw the walls of a client's building where they are mixed; no number is drawn otherwise.

    Parameters
    ----------
    rng
        Generator addressed by UE: all its links lead through the same walls.
    mix
        One model, or ``mixed``.
    high_loss_fraction
        Share of clients behind walls of high loss. TR 38.901 clause 7.4.3.1 leaves it open.
    """
    if mix != "mixed":
        return mix
    return "high" if rng.random() < high_loss_fraction else "low"


def draw_car_loss_db(
    rng: np.random.Generator, shape: int | tuple[int, ...], *, windows: CarWindows = "plain"
) -> Float[np.ndarray, "..."]:
    """Draw the loss into cars [dB]: normal with mean 9 (metallised windows: 20), deviation 5.

    As in the standard the distribution is not truncated: 3.6 % of plain cars have a loss below 0.

    References
    ----------
    3GPP TR 38.901, clause 7.4.3.2.
    """
    return np.asarray(CAR_LOSS_MEAN_DB[windows] + CAR_LOSS_SPREAD_DB * rng.standard_normal(shape))


def find_problems(
    model: BuildingMix,
    *,
    environment: EnvironmentName,
    carrier_hz: float,
    path: tuple[str, ...] = (),
) -> list[Problem]:
    """Return the rules that a building model breaks; ``path`` is the key of the model."""
    problems = []
    if environment == "inh":
        problems.append(Problem(path, f"has no effect in environment inh, got {model}"))
    if environment == "rma" and model in ("high", "mixed"):
        problems.append(Problem(path, f"must be low or legacy in environment rma, got {model}"))
    if model == "legacy" and carrier_hz >= LEGACY_HIGHEST_CARRIER_HZ:
        problems.append(
            Problem(path, f"must be low or high from 6e9 Hz on, got legacy at {carrier_hz:g} Hz")
        )
    return problems
