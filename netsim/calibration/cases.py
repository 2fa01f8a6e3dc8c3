"""Calibration cases, and the percentiles that companies reported for them."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from netsim.channel.penetration import BuildingModel
from netsim.config.environment import EnvironmentName, check_environment
from netsim.standard_table import read_standard_table

HERE = Path(__file__).parent

Quantity = Literal["coupling_gain", "geometry"]
QUANTITIES: tuple[Quantity, ...] = ("coupling_gain", "geometry")


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """One configuration: 19 sites x 3 sectors with wrap-around, UEs uniform in the area."""

    name: str
    title: str
    environment: EnvironmentName
    carrier_hz: float
    isd_m: float
    """Distance between sites [m]."""
    bs_height_m: float
    tilt_deg: float
    """Zenith angle of the antenna column [deg]."""
    tx_power_dbm: float
    """Power of a cell over the bandwidth [dBm]."""
    bandwidth_hz: float
    """Bandwidth of the noise [Hz]."""
    noise_figure_db: float
    indoor_fraction: float
    car_fraction: float
    building: BuildingModel


@dataclass(frozen=True, kw_only=True, slots=True)
class Target:
    """The companies' results at one percentile."""

    quantity: Quantity
    percentile: float
    mean_db: float
    min_db: float | None
    """Smallest result of a company; ``None`` where it is not known."""
    max_db: float | None
    """Largest result of a company; ``None`` where it is not known."""
    num_companies: int


@cache
def cases() -> dict[str, Case]:
    """Return the calibration cases by name, in the order of the table."""
    return {row["case"]: _case(row) for row in read_standard_table(HERE / "cases.csv")}


@cache
def targets(case: str) -> tuple[Target, ...]:
    """Return the companies' percentiles of a case.

    Raises
    ------
    ValueError
        If there is no such case.
    """
    if case not in cases():
        msg = f"case: must be one of {', '.join(cases())}, got {case!r}"
        raise ValueError(msg)
    rows = read_standard_table(HERE / "targets.csv")
    return tuple(_target(row) for row in rows if row["case"] == case)


def _case(row: dict[str, str]) -> Case:
    building: BuildingModel = "legacy" if row["building"] == "legacy" else "low"
    return Case(
        name=row["case"],
        title=row["title"],
        environment=check_environment(row["environment"]),
        building=building,
        carrier_hz=float(row["carrier_hz"]),
        isd_m=float(row["isd_m"]),
        bs_height_m=float(row["bs_height_m"]),
        tilt_deg=float(row["tilt_deg"]),
        tx_power_dbm=float(row["tx_power_dbm"]),
        bandwidth_hz=float(row["bandwidth_hz"]),
        noise_figure_db=float(row["noise_figure_db"]),
        indoor_fraction=float(row["indoor_fraction"]),
        car_fraction=float(row["car_fraction"]),
    )


def _target(row: dict[str, str]) -> Target:
    quantity: Quantity = "geometry" if row["quantity"] == "geometry" else "coupling_gain"
    return Target(
        quantity=quantity,
        percentile=float(row["percentile"]),
        mean_db=float(row["mean_db"]),
        min_db=float(row["min_db"]) if row["min_db"] else None,
        max_db=float(row["max_db"]) if row["max_db"] else None,
        num_companies=int(row["num_companies"]),
    )
