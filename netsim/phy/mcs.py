"""Modulation and coding schemes (MCS) of NR."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from netsim.standard_table import read_standard_table

McsTableNumber = Literal[1, 2]


@dataclass(frozen=True, kw_only=True, slots=True, eq=False)
class McsTable:
    """One MCS table as arrays over the index; read-only."""

    modulation_order: Int[np.ndarray, " mcs"]
    """Bits per symbol: 2, 4, 6 or 8."""
    code_rate: Float[np.ndarray, " mcs"]
    """Information bits per coded bit, in (0, 1)."""
    spectral_efficiency: Float[np.ndarray, " mcs"]
    """Information bits per resource element and layer: modulation order x code rate."""
    eesm_beta: Float[np.ndarray, " mcs"]
    """Parameter of the exponential effective SINR mapping."""

    def __len__(self) -> int:
        return len(self.code_rate)


@cache
def mcs_table(number: McsTableNumber) -> McsTable:
    """Return an MCS table of TS 38.214: 1 ends at 64QAM, 2 at 256QAM.

    Raises
    ------
    ValueError
        If there is no table of this number.

    References
    ----------
    3GPP TS 38.214, Tables 5.1.3.1-1 and 5.1.3.1-2.

    Examples
    --------
    >>> float(mcs_table(1).spectral_efficiency[28].round(4))
    5.5547
    """
    all_rows = read_standard_table(Path(__file__).with_name("mcs.csv"))
    rows = [row for row in all_rows if row["table"] == str(number)]
    if not rows:
        msg = f"mcs_table: must be 1 or 2, got {number}"
        raise ValueError(msg)
    order = np.array([int(row["modulation_order"]) for row in rows])
    rate = np.array([float(row["code_rate_x1024"]) for row in rows]) / 1024
    beta = np.array([float(row["eesm_beta"]) for row in rows])
    table = McsTable(
        modulation_order=order,
        code_rate=rate,
        spectral_efficiency=order * rate,
        eesm_beta=beta,
    )
    for column in (order, rate, table.spectral_efficiency, beta):
        column.setflags(write=False)  # the table is shared by every caller
    return table
