"""From gains and shares to powers, interference, SINR and rates, without any clock.

Axes: ``transfer`` (of one direction), ``cell``, ``group`` (resource-block groups of equal width
that together are the carrier). A share is the fraction of a group's blocks, of those that
background traffic leaves, that a transfer holds in every slot. A transmitter divides its power
equally over its blocks. Blocks of different cells collide at random: a transmitter that holds a
share of a group interferes with every block of it, on average, with that share of its power per
block.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from netsim.config.radio import UplinkPowerConfig
from netsim.phy.effective_sinr import effective_sinr_linear
from netsim.phy.interference_rejection import InterferenceRejection
from netsim.phy.link_adaptation import RateTable
from netsim.phy.power_reduction import PowerReduction
from netsim.phy.resource_grid import resource_element_rate_hz
from netsim.phy_abstraction.goodput import Adaptation
from netsim.phy_abstraction.interference_variability import InterferenceVariability
from netsim.phy_abstraction.served_fades import at_margin
from netsim.phy_abstraction.short_blocks import ShortBlocks, short_blocks
from netsim.phy_abstraction.uplink_power import UplinkPower


@dataclass(frozen=True, kw_only=True)
class AirInterface:
    """Constants of the carrier, and the functions of gains and shares that follow from them."""

    carrier_hz: float
    num_blocks: int
    """Blocks of the carrier."""
    uplink_blocks: int
    """Blocks that background traffic leaves to the transfers of a cell, uplink, at least 1."""
    downlink_blocks: int
    """The same, downlink."""
    num_groups: int
    subcarrier_spacing_hz: float
    uplink_overhead_fraction: float
    """Share of resource elements without data, in uplink slots."""
    downlink_overhead_fraction: float
    uplink_fraction: float
    """Share of the slots that are uplink; 1 with FDD."""
    downlink_fraction: float
    """Share of the slots that are downlink; 1 with FDD."""
    power_control: UplinkPowerConfig
    """Open-loop power control of the uplink."""
    power_reduction: PowerReduction | None
    """Of clients at their power limit; ``None`` is none."""
    site_array_gain: float
    """Mean SINR of a site's combined receive antennas over that of one of them."""
    site_noise_w: float
    """Noise and background interference in one block at a site [W]."""
    ue_noise_w: float
    """Noise in one block at a client [W]."""
    site_block_w: float
    """Power of a cell without power of its own in one block [W]."""
    cell_power_ratio: Float[np.ndarray, " cell"]
    """Power of each cell over that; 1 where a cell has no power of its own."""
    downlink_busy_fraction: float
    """Share of its blocks in which every cell transmits background traffic."""
    uplink_busy_fraction: float
    """Share of its blocks in which every cell receives background traffic."""
    interference_rejection: InterferenceRejection | None
    """MMSE combining at the sites; ``None`` is maximum-ratio combining."""
    is_interfering: bool
    """Whether cells interfere with each other: there are several, and they may."""
    rates: RateTable
    """MCS and goodput at a known SINR."""
    uplink_adaptation: Adaptation
    """Mean goodput of link adaptation over the fading of combined antennas."""
    downlink_adaptation: Adaptation
    """The same, over the fading of one antenna."""
    fade_persistence: float
    """Part of the deviation of a measured fade from its mean that is left when a block is sent,
    where an outer loop corrects measurements; else 1."""
    interference_variability: InterferenceVariability | None
    """Loss by variability of uplink interference; ``None`` without uplink interference."""

    @cached_property
    def uplink_element_rate_hz(self) -> float:
        """Data-carrying resource elements of one block per second, uplink."""
        return self.uplink_fraction * self._element_rate_hz(self.uplink_overhead_fraction)

    @cached_property
    def downlink_element_rate_hz(self) -> float:
        """Data-carrying resource elements of one block per second, downlink."""
        return self.downlink_fraction * self._element_rate_hz(self.downlink_overhead_fraction)

    @cached_property
    def uplink_lengths(self) -> ShortBlocks:
        """Transport blocks of the uplink, and the loss of short ones."""
        return self._lengths(self.uplink_overhead_fraction)

    @cached_property
    def downlink_lengths(self) -> ShortBlocks:
        """Transport blocks of the downlink, and the loss of short ones."""
        return self._lengths(self.downlink_overhead_fraction)

    def _lengths(self, overhead_fraction: float) -> ShortBlocks:
        return short_blocks(
            self.rates, num_blocks=self.num_blocks, overhead_fraction=overhead_fraction
        )

    @cached_property
    def uplink_power(self) -> UplinkPower:
        """Power of clients."""
        return UplinkPower(
            config=self.power_control,
            reduction=self.power_reduction,
            num_blocks=self.uplink_blocks,
            subcarrier_spacing_hz=self.subcarrier_spacing_hz,
            target_block_error=self.rates.target_block_error,
            adaptation=self.uplink_adaptation,
            lengths=self.uplink_lengths,
        )

    def _element_rate_hz(self, overhead_fraction: float) -> float:
        return resource_element_rate_hz(
            1.0, self.subcarrier_spacing_hz, overhead_fraction=overhead_fraction
        )

    @cached_property
    def cell_block_w(self) -> Float[np.ndarray, " cell"]:
        """Power of each cell in one block [W]."""
        return self.site_block_w * self.cell_power_ratio

    @cached_property
    def _is_of_one_power(self) -> bool:
        return bool((self.cell_power_ratio == 1.0).all())

    def at_one_power(
        self, gain: Float[np.ndarray, "*client cell"]
    ) -> Float[np.ndarray, "*client cell"]:
        """Return gains from each cell as if all had one power: times its power over that."""
        return gain if self._is_of_one_power else gain * self.cell_power_ratio

    @property
    def is_full_duplex(self) -> bool:
        """Whether uplink and downlink are sent at the same time (FDD)."""
        return self.uplink_fraction + self.downlink_fraction > 1

    def uplink_interference_w(
        self,
        cross_gain: Float[np.ndarray, "transfer cell"],
        sent_w: Float[np.ndarray, "transfer group"],
    ) -> Float[np.ndarray, "cell group"]:
        """Return the mean uplink interference in one block of each cell [W].

        Parameters
        ----------
        cross_gain
            Gain from every client to every cell, 0 to its own.
        sent_w
            Power per block times share of the blocks left by background traffic in the group,
            averaged over time [W].
        """
        if not self.is_interfering:
            return np.zeros((cross_gain.shape[1], self.num_groups))
        return (1.0 - self.uplink_busy_fraction) * (cross_gain.T @ sent_w)

    def downlink_interference_w(
        self,
        cross_gain: Float[np.ndarray, "transfer cell"],
        radiated: Float[np.ndarray, "cell group"],
    ) -> Float[np.ndarray, "transfer group"]:
        """Return the downlink interference in one block at each receiver [W].

        Parameters
        ----------
        cross_gain
            Gain from every cell to every receiver, 0 from its own and from cells that are down.
        radiated
            Share of each group in which a cell transmits, background included, in [0, 1].
        """
        if not self.is_interfering:
            return np.zeros((cross_gain.shape[0], self.num_groups))
        return self.site_block_w * (cross_gain @ (self.cell_power_ratio[:, None] * radiated))

    def effective_sinr(
        self,
        sinr: Float[np.ndarray, "*transfer group"],
        weight: Float[np.ndarray, "*transfer group"] | None = None,
    ) -> Float[np.ndarray, "*transfer"]:
        """Return the effective SINR over the groups held.

        EESM with the beta of the MCS in use: first the MCS for the SINR of the mean capacity, then
        the one for the effective SINR that results (our simplification of trying all MCS).

        Parameters
        ----------
        sinr
            Linear SINR of every group.
        weight
            Shares held; ``None``, or all zero for a transfer, gives all groups equal weights.
        """
        return flat_sinr(self.rates, sinr, weight)

    def rate_bps(
        self,
        effective_sinr: Float[np.ndarray, "*#transfer"],
        blocks: Float[np.ndarray, "*#transfer"],
        *,
        is_uplink: bool,
    ) -> Float[np.ndarray, "*#transfer"]:
        """Return the rate [bit/s] that schedulers assume for a number of blocks at a SINR.

        Parameters
        ----------
        effective_sinr
            Effective SINR, linear.
        blocks
            Blocks held, >= 0.
        is_uplink
            Whether the direction is uplink.
        """
        adaptation = self.uplink_adaptation if is_uplink else self.downlink_adaptation
        rate_hz = self.uplink_element_rate_hz if is_uplink else self.downlink_element_rate_hz
        return adaptation.efficiency(effective_sinr) * blocks * rate_hz

    def initial_margin_db(
        self, mean_sinr: Float[np.ndarray, "*transfer"], *, is_uplink: bool
    ) -> Float[np.ndarray, "*transfer"]:
        """Return the margin at which cells start the outer loop of clients unknown to them [dB].

        The mean in the steady state, by mean SINR without fading.

        Notes
        -----
        That cells start there, and know it by SINR, is our choice: it stands for what a network has
        learnt of its clients.
        """
        adaptation = self.uplink_adaptation if is_uplink else self.downlink_adaptation
        return adaptation.settled_margin_db(mean_sinr)

    def outcome(
        self,
        effective_sinr: Float[np.ndarray, "*transfer"],
        blocks: Float[np.ndarray, "*transfer"],
        *,
        fade: Float[np.ndarray, "*transfer"],
        is_uplink: bool,
        client_blocks: Float[np.ndarray, "*transfer"] | None = None,
        lead_db: Float[np.ndarray, " transfer"] | None = None,
    ) -> tuple[Float[np.ndarray, "*transfer"], Float[np.ndarray, "*transfer"]]:
        """Return the rate [bit/s] that results, and the number of transmissions of each block.

        Parameters
        ----------
        effective_sinr, blocks
            As for :meth:`rate_bps`.
        fade
            Power gain of the fading in the SINR.
        is_uplink
            Whether the direction is uplink.
        client_blocks
            Blocks that the client of each holds at once for all its transfers; by default
            ``blocks``.
        lead_db
            By how much fades are measured better than they are met, on average [dB], see
            :mod:`netsim.phy_abstraction.served_fades`; ``None`` is not at all.

        Notes
        -----
        Rates include the quantisation of transport block sizes and their loss by length, which
        schedulers ignore.
        """
        adaptation = self.uplink_adaptation if is_uplink else self.downlink_adaptation
        lengths = self.uplink_lengths if is_uplink else self.downlink_lengths
        sinr = lengths.equivalent_sinr(
            effective_sinr, blocks if client_blocks is None else client_blocks
        )
        if lead_db is not None:
            sinr, fade = at_margin(sinr, fade, margin_db=lead_db, persistence=self.fade_persistence)
        efficiency, transmissions = adaptation.outcome(sinr, fade)
        rate_hz = self.uplink_element_rate_hz if is_uplink else self.downlink_element_rate_hz
        # Spectral efficiency of each transmission; blocks that are never decoded are neglected.
        ratio = lengths.sizes.ratio(efficiency * transmissions, blocks)
        return efficiency * ratio * blocks * rate_hz, transmissions


def flat_sinr(
    rates: RateTable,
    sinr: Float[np.ndarray, "*transfer group"],
    weight: Float[np.ndarray, "*transfer group"] | None = None,
) -> Float[np.ndarray, "*transfer"]:
    """Return :meth:`AirInterface.effective_sinr` with the MCS of a rate table."""
    if sinr.shape[-1] == 1:
        return sinr[..., 0]
    if weight is not None:
        weight = np.where(weight.sum(axis=-1, keepdims=True) > 0, weight, 1.0)
        capacity = (weight * np.log2(1 + sinr)).sum(axis=-1) / weight.sum(axis=-1)
    else:
        capacity = np.log2(1 + sinr).mean(axis=-1)
    flat = np.exp2(capacity) - 1
    for _ in range(2):
        beta = rates.mcs.eesm_beta[rates.mcs_index(flat)]
        flat = effective_sinr_linear(sinr, beta=beta, weight=weight)
    return flat
