"""What transfers ask of the schedulers: who contends, and what a share is worth to whom."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float, Int

from netsim.mac.bearer_cells import BearerCells
from netsim.phy.effective_sinr import mean_over_groups, mean_over_held
from netsim.phy_abstraction.air_interface import AirInterface

MIN_REACH = 0.2
"""A broadcast member counts as reached when its efficiency is at least this share of MCS 0's:
repeating a block up to four times still gets through. Weaker ones do not hold the others back."""


@dataclass(slots=True, kw_only=True)  # freezing would triple the time that making one takes
class Demand:
    """Transfers of one direction that want blocks now, sorted by cell, then by bearer.

    ``instant`` runs over those until the next solve at which fading is told apart, ``transfer``
    over transfers, ``bearer`` over what a scheduler sees: a transfer of its own, or the members of
    one broadcast in one cell, who share their blocks.
    """

    air: AirInterface
    direction: int
    """Index into ``DIRECTIONS``."""
    is_uplink: bool
    cell_id: Int[np.ndarray, " transfer"]
    density_w: Float[np.ndarray, "*instant transfer"]
    """What one block takes up of the power limit under open-loop control [W]; uplink only."""
    sinr_per_w: Float[np.ndarray, "instant transfer group"]
    """SINR for each watt sent in one block, at the interference of the last solve."""
    first: Int[np.ndarray, " bearer"]
    """Index of the first transfer of each bearer."""
    bearer: Int[np.ndarray, " transfer"]
    """Bearer of each transfer."""
    contenders: Int[np.ndarray, " transfer"]
    """Bearers in the cell of each transfer."""
    cells: BearerCells
    client_id: Int[np.ndarray, " bearer"]
    remaining_bits: Float[np.ndarray, " bearer"]
    requested_at_s: Float[np.ndarray, " bearer"]
    deadline_at_s: Float[np.ndarray, " bearer"]
    average_rate_bps: Float[np.ndarray, " bearer"]
    """NaN for a bearer that was never scheduled."""
    backhaul_limit_bps: Float[np.ndarray, " bearer"] | None = None
    """Rate that the backhaul allows, inf where it does not limit; averages are capped at it."""

    @property
    def num_blocks(self) -> int:
        """Blocks of the direction in each cell: those that background traffic leaves."""
        return self.air.uplink_blocks if self.is_uplink else self.air.downlink_blocks

    @property
    def has_groups(self) -> bool:
        """Whether some bearer serves several transfers."""
        return len(self.first) < len(self.bearer)

    def at(self, instant: int) -> "Demand":
        """Return the demand at one instant."""
        return replace(
            self,
            density_w=self._density_w(instant),
            sinr_per_w=self.sinr_per_w[instant : instant + 1],
        )

    def _density_w(self, instant: int) -> Float[np.ndarray, " transfer"]:
        return self.density_w if self.density_w.ndim == 1 else self.density_w[instant]

    def block_power_w(
        self, transfers: slice, blocks: Float[np.ndarray, "... some"]
    ) -> Float[np.ndarray, "... some"]:
        """Return the power radiated in one block of transfers that hold these many blocks [W]."""
        if self.is_uplink:
            return self.air.uplink_power.radiated_w(
                self.air.uplink_power.block_power_w(self.density_w[..., transfers], blocks),
                mean_over_groups(self.sinr_per_w[:, transfers]),
            )
        return np.broadcast_to(self.air.cell_block_w[self.cell_id[transfers]], blocks.shape)

    def used_blocks(
        self, transfers: slice, blocks: Float[np.ndarray, " some"]
    ) -> Float[np.ndarray, "... some"]:
        """Return how many of the blocks that they hold some transfers use, at each instant.

        Without an instant axis where all use all.
        """
        density_w = self.density_w[..., transfers]
        if not (self.is_uplink and self.air.uplink_power.is_limited(density_w, blocks)):
            return blocks
        return self.air.uplink_power.used_blocks(
            blocks,
            density_w=density_w,
            sinr_per_w=mean_over_groups(self.sinr_per_w[:, transfers]),
        )

    @property
    def is_limited(self) -> bool:
        """Whether the whole band takes some client to its limit of power."""
        if not self.is_uplink:
            return False
        return self.air.uplink_power.is_limited(self.density_w, np.array(float(self.num_blocks)))

    def headroom_fraction(self, *, bearers: slice) -> Float[np.ndarray, "instant some"]:
        """Return the part of the band that the power headroom of uplink bearers covers."""
        blocks = (
            self.air.uplink_power.headroom_blocks(self.density_w[..., bearers]) / self.num_blocks
        )
        return np.broadcast_to(blocks, (len(self.sinr_per_w), blocks.shape[-1]))

    def used_fraction(
        self,
        held: Float[np.ndarray, " row"],
        shares: Float[np.ndarray, "row group"],
        *,
        bearers: slice | Int[np.ndarray, " row"],
        instants: slice | Int[np.ndarray, " row"],
    ) -> Float[np.ndarray, " row"]:
        """Return the part of the band that raises the rates of uplink bearers, of what they hold.

        A bearer that uses less than it holds uses whole blocks. A row is a bearer at an instant;
        those of one instant after those of the one before.

        Parameters
        ----------
        held
            Part of the band that the client of each holds.
        shares
            Of each group that each bearer holds; only where they are matters.
        bearers, instants
            Which ones; of each row where both are arrays.
        """
        if not self.is_uplink:
            return held
        sinr_per_w = self.sinr_per_w[instants, bearers]
        blocks = (held * self.num_blocks).reshape(sinr_per_w.shape[:-1])
        density_w = self.density_w
        used = self.air.uplink_power.used_whole_blocks(
            blocks,
            density_w=density_w[bearers] if density_w.ndim == 1 else density_w[instants, bearers],
            sinr_per_w=mean_over_held(sinr_per_w, shares.reshape(sinr_per_w.shape)),
        )
        if used is blocks:
            return held
        return np.where(used < blocks, used / self.num_blocks, held.reshape(used.shape)).ravel()

    def transfer_rate_bps(
        self, transfers: slice, fraction: Float[np.ndarray, " some"]
    ) -> Float[np.ndarray, "instant some"]:
        """Return the rate of some transfers at a fraction of every group [bit/s]."""
        blocks = self.used_blocks(transfers, fraction * self.num_blocks)
        power_w = self.block_power_w(transfers, blocks)
        sinr = self.air.effective_sinr(power_w[..., None] * self.sinr_per_w[:, transfers])
        return self.air.rate_bps(sinr, blocks, is_uplink=self.is_uplink)

    def weakest(
        self,
        bearers: slice,
        rate: Float[np.ndarray, "instant some ..."],
        is_reached: Bool[np.ndarray, "instant some"],
    ) -> Float[np.ndarray, "instant bearer ..."]:
        """Return the rate of bearers: the least of their transfers that are reached."""
        if not self.has_groups:
            return rate
        start = self.first[bearers] - self.first[bearers.start]
        shape = is_reached.shape + (1,) * (rate.ndim - 2)
        counted = np.where(is_reached.reshape(shape), rate, np.inf)
        least = np.minimum.reduceat(counted, start, axis=1)
        return np.where(np.isfinite(least), least, 0.0)

    def is_reached(self) -> Bool[np.ndarray, "instant transfer"]:
        """Return which transfers get anything through with the whole band."""
        if not self.has_groups:
            return np.ones(self.sinr_per_w.shape[:2], dtype=bool)
        whole = np.full(len(self.bearer), float(self.num_blocks))
        power_w = self.block_power_w(slice(None), whole)
        sinr = self.air.effective_sinr(power_w[..., None] * self.sinr_per_w)
        rates = self.air.rates
        return rates.spectral_efficiency(sinr) >= MIN_REACH * rates.mcs.spectral_efficiency[0]

    def group_rate_bps(self) -> Float[np.ndarray, "instant transfer group"]:
        """Return the rate of each transfer alone in each group at the power of an equal split."""
        split = self.num_blocks / self.contenders
        used = self.used_blocks(slice(None), split)
        power_w = self.block_power_w(slice(None), used)
        sinr = power_w[..., None] * self.sinr_per_w
        return self.air.rate_bps(
            sinr,
            self.num_blocks / self.air.num_groups * (used / split)[..., None],
            is_uplink=self.is_uplink,
        )
