"""Uplink power of clients: open-loop control, its limit, and how many of their blocks they use.

Powers are those in one block. What a block takes up of the power limit is more than what is
radiated in it where the modulation needs a power reduction.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from netsim.config.radio import UplinkPowerConfig
from netsim.phy.power_control import MIN_POWER_DBM, pusch_power_w
from netsim.phy.power_headroom import FULL_RTOL, BestBitsPerWatt
from netsim.phy.power_reduction import PowerReduction
from netsim.phy_abstraction.block_choice import BlockChoice, CarriedBits, block_choice
from netsim.phy_abstraction.goodput import Adaptation
from netsim.phy_abstraction.short_blocks import ShortBlocks
from netsim.units import dbm_to_w


@dataclass(frozen=True, kw_only=True)
class UplinkPower:
    """Power of clients by gain, SINR and blocks held."""

    config: UplinkPowerConfig
    reduction: PowerReduction | None
    """Of clients at their power limit; ``None`` is none."""
    num_blocks: int
    """Blocks that a cell may grant."""
    subcarrier_spacing_hz: float
    target_block_error: float
    """Share of first transmissions that fail."""
    adaptation: Adaptation
    """Mean goodput of uplink link adaptation."""
    lengths: ShortBlocks
    """Uplink transport blocks, and the loss of short ones."""

    def density_w(self, gain: Float[np.ndarray, "*transfer"]) -> Float[np.ndarray, "*transfer"]:
        """Return the power per block [W] of open-loop power control, without the power limit.

        Parameters
        ----------
        gain
            Coupling gain to the serving cell without fast fading; 0 out of coverage.

        Notes
        -----
        :func:`netsim.phy.power_control.pusch_power_w` is linear in watts: blocks times ``2^mu P_0``
        times path loss to the power alpha, then clipped. This is the unclipped power of one block.
        """
        with np.errstate(divide="ignore"):
            return self._density_at_0_db_w * gain**-self.config.alpha

    @cached_property
    def _density_at_0_db_w(self) -> float:
        power = pusch_power_w(
            0.0, 1.0, p0_dbm=self.config.p0_dbm, alpha=self.config.alpha,
            max_dbm=np.inf, min_dbm=-np.inf, subcarrier_spacing_hz=self.subcarrier_spacing_hz,
        )  # fmt: skip
        return float(power)

    def full_density_w(
        self,
        density_w: Float[np.ndarray, "*#transfer"],
        sinr_per_w: Float[np.ndarray, "*#transfer"],
    ) -> Float[np.ndarray, "*#transfer"]:
        """Return what one block takes up of the power limit [W], under open-loop power control.

        More than what is radiated, by the power reduction of the modulation. The methods below take
        it as ``density_w``.

        Parameters
        ----------
        density_w
            From :meth:`density_w`.
        sinr_per_w
            SINR per watt transmitted in one block.
        """
        if self.reduction is None:
            return density_w
        at_most_w = np.minimum(density_w, self._power_limits_w[1])
        return density_w * self.reduction.factor(at_most_w * sinr_per_w)

    def radiated_w(
        self,
        block_w: Float[np.ndarray, "*#transfer"],
        sinr_per_w: Float[np.ndarray, "*#transfer"],
    ) -> Float[np.ndarray, "*#transfer"]:
        """Return the power radiated in one block [W].

        Parameters
        ----------
        block_w
            What it takes up of the power limit [W], from :meth:`block_power_w`.
        sinr_per_w
            SINR per watt transmitted in one block.
        """
        if self.reduction is None:
            return block_w
        return block_w * self.reduction.radiated_part(block_w * sinr_per_w)

    @cached_property
    def _power_limits_w(self) -> tuple[float, float]:
        return dbm_to_w(MIN_POWER_DBM), dbm_to_w(self.config.max_dbm)

    def block_power_w(
        self, density_w: Float[np.ndarray, "*transfer"], blocks: Float[np.ndarray, "*transfer"]
    ) -> Float[np.ndarray, "*transfer"]:
        """Return the uplink power in one block [W] of clients by their number of blocks.

        What they take up of the power limit; :meth:`radiated_w` is less. Less than one block stands
        for one block part of the time, at the power of one block.

        Parameters
        ----------
        density_w
            From :meth:`full_density_w`.
        blocks
            Blocks held, >= 0.
        """
        at_once = np.maximum(blocks, 1.0)
        least_w, most_w = self._power_limits_w
        return np.minimum(np.maximum(density_w * at_once, least_w), most_w) / at_once

    def is_limited(
        self, density_w: Float[np.ndarray, "*transfer"], blocks: Float[np.ndarray, "*transfer"]
    ) -> bool:
        """Return whether one of the clients is at its power limit with these blocks."""
        return bool((density_w * blocks).max(initial=0.0) > self._power_limits_w[1])

    def headroom_blocks(
        self, density_w: Float[np.ndarray, "*transfer"]
    ) -> Float[np.ndarray, "*transfer"]:
        """Return the whole number of blocks that the power headroom of clients covers, >= 1.

        In more blocks a client sends with less power each than open-loop power control asks for.
        The band where the limit of power covers it.
        """
        with np.errstate(divide="ignore"):
            covered = np.floor(self._power_limits_w[1] / density_w * (1 + FULL_RTOL))
        return np.clip(covered, 1.0, self.num_blocks)

    def _efficiency(self, full_sinr: Float[np.ndarray, "..."]) -> Float[np.ndarray, "..."]:
        """Return the uplink goodput that is assumed, by the SINR without power reduction."""
        if self.reduction is not None:
            full_sinr = self.reduction.reached(full_sinr)
        return self.adaptation.efficiency(full_sinr)

    @cached_property
    def _best_bits_per_watt(self) -> BestBitsPerWatt:
        return BestBitsPerWatt(self._efficiency)

    def used_blocks(
        self,
        blocks: Float[np.ndarray, "*transfer"],
        *,
        density_w: Float[np.ndarray, "*transfer"],
        sinr_per_w: Float[np.ndarray, "*transfer"],
    ) -> Float[np.ndarray, "*transfer"]:
        """Return the number of granted uplink blocks that each client uses.

        See :mod:`netsim.phy.power_headroom`.

        Parameters
        ----------
        blocks
            Blocks granted, >= 0; at least one is used of a grant of one or more.
        density_w
            From :meth:`full_density_w`.
        sinr_per_w
            SINR per watt transmitted in one block.
        """
        most_w = self._power_limits_w[1]
        if not self.is_limited(density_w, blocks):
            return blocks  # the power per block does not depend on the number of blocks
        sinr = self.block_power_w(density_w, blocks) * sinr_per_w
        highest = np.minimum(density_w, most_w) * sinr_per_w
        best = np.minimum(self._best_bits_per_watt.sinr(sinr), highest)
        share = np.divide(sinr, best, out=np.ones_like(sinr), where=best > sinr)
        return np.maximum(blocks * share, np.minimum(blocks, 1.0))

    def used_whole_blocks(
        self,
        blocks: Float[np.ndarray, "*transfer"],
        *,
        density_w: Float[np.ndarray, "*transfer"],
        sinr_per_w: Float[np.ndarray, "*transfer"],
    ) -> Float[np.ndarray, "*transfer"]:
        """Return the whole number of blocks that clients use of grants that they do not use up.

        Parameters are those of :meth:`used_blocks`. Unlike there, sizes of transport blocks and
        their loss by length count.
        """
        if not self.is_limited(density_w, blocks):
            return blocks
        most_w = self._power_limits_w[1]
        return self._block_choice.used(
            blocks, at_full_density=most_w / density_w, whole_sinr=most_w * sinr_per_w
        )

    @cached_property
    def _block_choice(self) -> BlockChoice:
        bits = CarriedBits(
            reduction=self.reduction,
            adaptation=self.adaptation,
            target_block_error=self.target_block_error,
            lengths=self.lengths,
        )
        return block_choice(bits, num_blocks=self.num_blocks)
