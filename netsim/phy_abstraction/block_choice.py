"""The whole number of resource blocks in which a power-limited client carries most.

At its power limit a client with SINR S in a single block has ``S / b`` in each of b blocks. What it
carries in b blocks, sizes of transport blocks and their loss by length included, is a function of S
and b alone. It is tabulated once, and the best number of each band read from it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, Int

from netsim.phy.power_headroom import FULL_RTOL
from netsim.phy.power_reduction import PowerReduction
from netsim.phy_abstraction.goodput import Adaptation
from netsim.phy_abstraction.short_blocks import ShortBlocks
from netsim.units import floored_db

LOWEST_DB, HIGHEST_DB, STEP_DB = -25.0, 70.0, 0.05
"""SINRs in a single block at which bits are tabulated [dB]; the nearest one holds. Clients beyond
the highest use every block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CarriedBits:
    """What uplink blocks carry in a slot, over the elements of one, at a fade of 0 dB."""

    reduction: PowerReduction | None
    """Of clients at their power limit; ``None`` is none."""
    adaptation: Adaptation
    """Mean goodput of uplink link adaptation."""
    target_block_error: float
    """Share of first transmissions that fail."""
    lengths: ShortBlocks
    """Uplink transport blocks, and the loss of short ones."""

    def __call__(
        self, full_sinr: Float[np.ndarray, "..."], blocks: Float[np.ndarray, "..."]
    ) -> Float[np.ndarray, "..."]:
        """Return it by the SINR without power reduction and the number of resource blocks."""
        sinr = full_sinr if self.reduction is None else self.reduction.reached(full_sinr)
        sinr = self.lengths.equivalent_sinr(sinr, blocks)
        efficiency = self.adaptation.efficiency(sinr)
        # At the target error rate, nearly all second transmissions are received.
        sent = efficiency * (1.0 + self.target_block_error)
        return efficiency * self.lengths.sizes.ratio(sent, blocks) * blocks


class BlockChoice:
    """How many of the whole blocks that they may use power-limited clients do use.

    Parameters
    ----------
    bits
        Bits a client carries per slot, in any unit, by the SINR that the full power would have in
        each of its blocks and their number; does not fall with SINR.
    num_blocks
        Blocks of the band.
    """

    def __init__(
        self,
        bits: Callable[
            [Float[np.ndarray, "sinr blocks"], Float[np.ndarray, " blocks"]],
            Float[np.ndarray, "sinr blocks"],
        ],
        *,
        num_blocks: int,
    ) -> None:
        grid_db = np.arange(LOWEST_DB, HIGHEST_DB + STEP_DB / 2, STEP_DB)
        number = np.arange(1.0, num_blocks + 1)
        table = bits(10.0 ** (grid_db[:, None] / 10) / number, number)
        self._width = num_blocks + 1
        self._num_sinrs = len(grid_db)
        self._bits: Float[np.ndarray, " entry"] = np.pad(table, ((0, 0), (1, 0))).ravel()
        # The least number that carries as much as any up to it; of a band, that at its last block.
        earlier = np.maximum.accumulate(table, axis=1)
        is_better = np.ones(table.shape, dtype=bool)
        is_better[:, 1:] = table[:, 1:] > earlier[:, :-1] * (1 + FULL_RTOL)
        best = np.maximum.accumulate(np.where(is_better, number, 0.0), axis=1)
        self._best: Float[np.ndarray, " entry"] = np.pad(best, ((0, 0), (1, 0))).ravel()

    def used(
        self,
        blocks: Float[np.ndarray, "..."],
        *,
        at_full_density: Float[np.ndarray, "..."],
        whole_sinr: Float[np.ndarray, "..."],
    ) -> Float[np.ndarray, "..."]:
        """Return the whole number of blocks that carries most, or all that are granted.

        Where everybody uses all, that is the array ``blocks`` itself.

        Parameters
        ----------
        blocks
            Blocks granted, >= 0; a part of a block is one of them part of the time.
        at_full_density
            Blocks, not whole, in which the limit of power covers what power control asks for. In
            fewer of them the SINR is no higher.
        whole_sinr
            SINR that all of the power would have in a single block, linear.
        """
        most = np.minimum(np.ceil(blocks * (1 - FULL_RTOL)), self._width - 1.0)
        row = self._row(whole_sinr)
        best = self._best.take(row + most.astype(np.intp))
        covered = np.minimum(np.floor(at_full_density * (1 + FULL_RTOL)), most)
        may_take_next = (best <= covered) & (covered < most)
        best = np.maximum(best, covered)
        if np.count_nonzero(may_take_next):
            part = best / np.maximum(at_full_density, best)  # of the power, as density is limited
            bits = self._bits.take(self._row(whole_sinr * part) + best.astype(np.intp))
            more = np.minimum(best + 1.0, most)
            bits_of_more = self._bits.take(row + more.astype(np.intp))
            best = np.where(may_take_next & (bits_of_more > bits), more, best)
        is_fewer = best < blocks
        return np.where(is_fewer, best, blocks) if np.count_nonzero(is_fewer) else blocks

    def _row(self, whole_sinr: Float[np.ndarray, "..."]) -> Int[np.ndarray, "..."]:
        """Return where the entries of the grid point nearest to each SINR start."""
        place = floored_db(whole_sinr) * (1 / STEP_DB) + (0.5 - LOWEST_DB / STEP_DB)
        inside = np.minimum(np.maximum(place, 0.0), self._num_sinrs - 1.0)
        return inside.astype(np.intp) * self._width


@lru_cache(maxsize=16)
def block_choice(bits: CarriedBits, *, num_blocks: int) -> BlockChoice:
    """Return the choice in a band; runs of the same radio settings share the table."""
    return BlockChoice(bits, num_blocks=num_blocks)
