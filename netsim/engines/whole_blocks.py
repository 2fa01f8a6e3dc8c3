"""From shares of a band to whole resource blocks, slot by slot."""

import numpy as np
from jaxtyping import Float

from netsim.mac.bearer_cells import BearerCells
from netsim.phy.effective_sinr import mean_over_groups

GOLDEN_RATIO = (5**0.5 - 1) / 2


def whole_blocks(
    shares: Float[np.ndarray, "bearer group"],
    *,
    cells: BearerCells,
    num_blocks: int,
    slot: int,
) -> tuple[Float[np.ndarray, "bearer group"], Float[np.ndarray, " bearer"]]:
    """Return shares and blocks of the bearers, rounded to whole blocks.

    The band of a cell is cut at the running sum of the shares plus an offset that differs from slot
    to slot, so that on average every bearer gets exactly its share.

    Parameters
    ----------
    shares
        Of each group.
    cells
        Cells of the bearers.
    num_blocks
        In the band of a cell.
    slot
        Number of the slot.
    """
    wanted = mean_over_groups(shares) * num_blocks
    total = np.cumsum(wanted)
    start = total - wanted
    before = start[cells.start][cells.cell]
    offset = (slot * GOLDEN_RATIO) % 1.0 + 1e-9
    blocks = np.floor(total - before + offset) - np.floor(start - before + offset)
    scale = np.divide(blocks, wanted, out=np.zeros_like(wanted), where=wanted > 0)
    return np.minimum(shares * scale[:, None], 1.0), blocks
