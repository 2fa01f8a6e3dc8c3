"""Reference: one cell's uplink slot by slot, users multiplexed in frequency in metric order.

Written without the schedulers and the sharing of :mod:`netsim.mac`. In each slot every group of
blocks goes to the user with the largest metric. A user keeps the blocks in which it can send at the
power that power control asks for and leaves the others to the next. Those that nobody can fill are
divided in proportion to what users hold, up to the number with which a user's power carries most
bits, found by trying all numbers.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

AVERAGE_S = 0.15
"""Time constant of the served rate [s]."""
Metric = Callable[[Float[np.ndarray, "user group"], Float[np.ndarray, "user 1"]], np.ndarray]
"""From the rates of groups at the power of an equal split and the average rates."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """Users at fixed places, and what their blocks carry."""

    sinr_per_w: Float[np.ndarray, " user"]
    """Mean SINR for each watt sent in one block."""
    density_w: Float[np.ndarray, " user"]
    """Power that power control asks for in one block [W]."""
    most_w: float
    """Limit of a user's power [W]."""
    num_blocks: int
    slot_s: float
    block_bps: Callable[[np.ndarray], np.ndarray]
    """Rate that is expected of one block, by SINR [bit/s]."""
    flat_sinr: Callable[[np.ndarray, np.ndarray], np.ndarray]
    """SINR of a flat channel with as many block errors, by SINR and number of blocks in groups."""
    rate_bps: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]
    """Rate that results, by SINR, number of blocks and fade [bit/s]."""

    def sinr(self, blocks: np.ndarray, fade: np.ndarray) -> np.ndarray:
        """Return the SINR in each of some blocks; the first axis is that of users."""
        power_w = np.minimum(self.density_w, (self.most_w / np.maximum(blocks, 1.0)).T).T
        return (power_w.T * self.sinr_per_w).T * fade

    def worthwhile(self, held: np.ndarray, fade: np.ndarray) -> np.ndarray:
        """Return the least number of blocks that carries most, of 1, 2, ... and all held."""
        number = np.minimum(np.arange(1.0, self.num_blocks + 1), held[:, None])
        bits = number * self.block_bps(self.sinr(number, fade[:, None]))
        best = bits >= bits.max(axis=1, keepdims=True) * (1 - 1e-9)
        return number[np.arange(len(held)), best.argmax(axis=1)]

    def grants(
        self, metric: Float[np.ndarray, "user group"], fade: Float[np.ndarray, "user group"]
    ) -> Float[np.ndarray, "user group"]:
        """Return the blocks of each group that users hold in a slot."""
        num_groups = metric.shape[1]
        filled = np.maximum(np.floor(self.most_w / self.density_w + 1e-9), 1.0)
        left = np.full(num_groups, self.num_blocks / num_groups)
        blocks, is_open = np.zeros_like(metric), np.isfinite(metric[:, 0])
        while is_open.any() and left.sum() > 1 - 1e-9:
            best = np.where(is_open[:, None], metric, -np.inf).argmax(axis=0)
            blocks[best, np.arange(num_groups)] += left
            held = blocks.sum(axis=1)
            kept = np.where(held > filled, filled / np.maximum(held, 1e-9), 1.0)
            left = ((1 - kept)[:, None] * blocks).sum(axis=0)
            blocks *= kept[:, None]
            is_open &= held <= filled
        for _ in range(len(metric)):
            left = self.num_blocks / num_groups - blocks.sum(axis=0)
            part = blocks * (~is_open)[:, None]
            if left.sum() < 1 - 1e-9 or not part.any():
                break
            in_group = part / np.maximum(part.sum(axis=0), 1e-12)
            in_band = part.sum(axis=1, keepdims=True) / part.sum()
            blocks = blocks + np.where(part.any(axis=0), in_group, in_band) * left
            held = np.maximum(blocks.sum(axis=1), 1e-9)
            wanted = self.worthwhile(held, (blocks * fade).sum(axis=1) / held)
            is_open |= wanted < held * (1 - 1e-9)
            blocks *= (wanted / held)[:, None]
        return blocks

    def finish_s(
        self, size_bits: float, metric: Metric, fades: Float[np.ndarray, "slot user group"]
    ) -> Float[np.ndarray, " user"]:
        """Return when users have sent transfers of a size that all start at 0 [s]."""
        left_bits = np.full(len(self.density_w), size_bits)
        average_bps, finish_s = np.zeros((2, len(left_bits)))
        for slot, fade in enumerate(fades):
            is_active = left_bits > 0
            if not is_active.any():
                break
            split = np.full(len(left_bits), self.num_blocks / is_active.sum())
            used = self.worthwhile(split, fade.mean(axis=1))
            group_bps = self.block_bps(self.sinr(used, 1.0)[:, None] * fade)
            group_bps = group_bps * (used / split)[:, None] * self.num_blocks / fade.shape[1]
            if slot == 0:
                average_bps = group_bps.sum(axis=1) / len(left_bits)
            values = metric(group_bps, np.maximum(average_bps, 1.0)[:, None])
            blocks = self.grants(np.where(is_active[:, None], values, -np.inf), fade)
            held = blocks.sum(axis=1)
            mean_fade = (blocks * fade).sum(axis=1) / np.maximum(held, 1e-9)
            flat = self.flat_sinr(self.sinr(held, 1.0)[:, None] * fade, blocks)
            rate_bps = self.rate_bps(flat, held, mean_fade) * (held > 0)
            left_bits = left_bits - rate_bps * self.slot_s
            average_bps += (rate_bps - average_bps) * self.slot_s / AVERAGE_S
            finish_s[is_active] = (slot + 1) * self.slot_s
        return finish_s
