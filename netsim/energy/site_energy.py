"""Power consumption of a site: the EARTH model, affine in the radiated power.

References
----------
Auer et al. 2011 (EARTH), Table II, kept in ``earth_sites.csv``:
``P_in = N_TRX (P_0 + Delta_p P_out)`` for 0 < P_out <= P_max per transceiver, ``N_TRX P_sleep``
asleep.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from netsim.config.radio import SiteClass
from netsim.problems import Problem
from netsim.standard_table import read_standard_table
from netsim.units import Scalar


@dataclass(frozen=True, kw_only=True)
class SitePower:
    """Power model of one site: a row of the EARTH table for its number of cells."""

    num_transceivers: int
    max_output_w: float
    """Largest radiated power of one transceiver [W]."""
    base_w: float
    """Power drawn by one active transceiver that radiates nothing [W]."""
    slope: float
    """Power drawn per radiated power."""
    sleep_w: float
    """Power drawn by one transceiver in sleep mode [W]."""
    sleep_after_s: float | None = None
    """Time without traffic after which a site enters sleep mode [s]; ``None``: never."""

    @property
    def max_radiated_w(self) -> float:
        """Largest power that the site can radiate [W]."""
        return self.num_transceivers * self.max_output_w

    @property
    def awake_w(self) -> float:
        """Power drawn by the active site when it radiates nothing [W]."""
        return self.num_transceivers * self.base_w

    @property
    def asleep_w(self) -> float:
        """Power drawn by the site in sleep mode [W]."""
        return self.num_transceivers * self.sleep_w

    def radiation_w(self, radiated_w: Scalar) -> Scalar:
        """Return the power drawn in addition to :attr:`awake_w` [W].

        The transceivers share the radiated power equally: ``N Delta_p (radiated / N)``.
        """
        return self.slope * radiated_w

    def quiet_energy_j(self, gap_s: Scalar) -> Scalar:
        """Return the energy [J] of a gap without traffic: active, then asleep."""
        if self.sleep_after_s is None:
            return self.awake_w * gap_s
        awake_s = np.minimum(gap_s, self.sleep_after_s)
        return self.awake_w * awake_s + self.asleep_w * (gap_s - awake_s)


@cache
def _table() -> dict[str, dict[str, float]]:
    return {
        row["site_class"]: {
            name: float(value) for name, value in row.items() if name != "site_class"
        }
        for row in read_standard_table(Path(__file__).with_name("earth_sites.csv"))
    }


def site_power(
    site_class: SiteClass, *, num_cells: int, sleep_after_s: float | None = None
) -> SitePower:
    """Return the power model of a site with a number of cells.

    The macro and RRH rows of the table are sites of three sectors, the others of one cell. Every
    row has two transceivers per cell, and so has every site here.

    Parameters
    ----------
    site_class
        Row of the table.
    num_cells
        Cells (sectors) of the site, at least 1.
    sleep_after_s
        Time without traffic before sleep mode [s], at least 0; ``None``: never.

    Raises
    ------
    ValueError
        If the class is not in the table, or a number is out of range.

    Examples
    --------
    >>> macro = site_power("macro", num_cells=3)
    >>> macro.awake_w + macro.radiation_w(macro.max_radiated_w)
    1344.0
    """
    if site_class not in _table():
        msg = f"site_class: must be one of {', '.join(_table())}, got {site_class!r}"
        raise ValueError(msg)
    if num_cells < 1:
        msg = f"num_cells: must be >= 1, got {num_cells}"
        raise ValueError(msg)
    if sleep_after_s is not None and sleep_after_s < 0:
        msg = f"sleep_after_s: must be >= 0, got {sleep_after_s}"
        raise ValueError(msg)
    row = _table()[site_class]
    return SitePower(
        num_transceivers=round(row["num_transceivers"] / row["num_cells"]) * num_cells,
        max_output_w=row["max_output_w"],
        base_w=row["base_w"],
        slope=row["slope"],
        sleep_w=row["sleep_w"],
        sleep_after_s=sleep_after_s,
    )


def most_cell_w(site_class: SiteClass, *, scale: float) -> float:
    """Return the largest power that a cell of a class radiates [W].

    Parameters
    ----------
    site_class
        Row of the table, whose sites have carriers of at most 20 MHz.
    scale
        Bandwidth over 20 MHz, at least 1. Wider carriers have amplifiers that are as much larger,
        and the same base power: our choice. 100 MHz in a macro cell then draw 1.2 kW at full load.
    """
    return scale * site_power(site_class, num_cells=1).max_radiated_w


def find_problems(
    site_class: SiteClass, *, cell_power_w: float, scale: float, path: tuple[str, ...]
) -> list[Problem]:
    """Return the broken rule, if any: a site must be able to radiate the power of its cells.

    Parameters
    ----------
    site_class
        Row of the table.
    cell_power_w
        Full power of one cell [W].
    scale
        As for :func:`most_cell_w`.
    path
        Key of the site class in the scenario.
    """
    limit_w = most_cell_w(site_class, scale=scale)
    if cell_power_w <= limit_w * (1 + 1e-6):
        return []
    rule = f"{site_class} radiates at most {limit_w:.4g} W a cell, got {cell_power_w:.4g} W"
    return [Problem(path, rule)]
