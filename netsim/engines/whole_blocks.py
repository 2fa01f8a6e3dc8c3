"""From shares of a band to whole resource blocks, slot by slot."""

import numpy as np
from jaxtyping import Float, Int

GOLDEN_RATIO = (5**0.5 - 1) / 2


def whole_blocks(
    shares: Float[np.ndarray, "bearer group"],
    *,
    cell_start: Int[np.ndarray, " cell"],
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
    cell_start
        First bearer of each cell.
    num_blocks
        In the band of a cell.
    slot
        Number of the slot.
    """
    wanted = shares.mean(axis=1) * num_blocks
    total = np.cumsum(wanted)
    sizes = np.diff(cell_start, append=len(shares))
    before = (total - wanted)[cell_start].repeat(sizes)
    offset = (slot * GOLDEN_RATIO) % 1.0 + 1e-9
    upper = np.floor(total - before + offset)
    lower = np.floor(total - wanted - before + offset)
    blocks = upper - lower
    scale = np.divide(blocks, wanted, out=np.zeros_like(wanted), where=wanted > 0)
    return np.minimum(shares * scale[:, None], 1.0), blocks
