"""From a scenario's settings to the air interface: constants and tables of link adaptation."""

from functools import lru_cache, partial

import numpy as np

from netsim.channel.channel import Channel, make_fading
from netsim.channel.doppler import jakes_correlation
from netsim.channel.receive_antennas import CombinedFading, Combining, maximum_ratio
from netsim.config import standard
from netsim.config.radio import (
    Fading,
    LinkAdaptation,
    MaxPowerReduction,
    NoFading,
    OuterLoopAdaptation,
    RadioConfig,
    TddDuplex,
)
from netsim.config.world import WorldConfig
from netsim.frequency_range import frequency_range
from netsim.phy.interference_rejection import InterferenceRejection
from netsim.phy.link_adaptation import RateTable
from netsim.phy.mcs import McsTableNumber
from netsim.phy.noise import noise_power_w
from netsim.phy.outer_loop import OuterLoop
from netsim.phy.power_reduction import PowerReduction
from netsim.phy.resource_grid import (
    block_bandwidth_hz,
    blocks_left,
    num_resource_blocks,
    slot_duration_s,
)
from netsim.phy_abstraction.air_interface import AirInterface, flat_sinr
from netsim.phy_abstraction.ergodic import MeanOverFading, sample_gains
from netsim.phy_abstraction.goodput import Adaptation, DelayedKnowledge, KnownChannel
from netsim.phy_abstraction.harq_simulation import FadingTraces, sample_fading_traces
from netsim.phy_abstraction.interference_variability import InterferenceVariability
from netsim.phy_abstraction.retransmission_correction import RetransmissionCorrection
from netsim.phy_abstraction.table_cache import KeptTables
from netsim.units import db_to_linear, dbm_to_w
from netsim.world.cell_values import cell_powers_dbm
from netsim.world.layout import Layout


def make_air_interface(
    world: WorldConfig, radio: RadioConfig, *, layout: Layout, channel: Channel
) -> AirInterface:
    """Return the air interface of a scenario, with the resource-block groups of the channel."""
    spacing_hz = radio.subcarrier_spacing_hz
    blocks = num_resource_blocks(
        radio.bandwidth_hz, spacing_hz, band=frequency_range(world.carrier_hz)
    )
    block_hz = block_bandwidth_hz(spacing_hz)
    background = standard.background_share(radio)
    uplink = radio.duplex.uplink_fraction if isinstance(radio.duplex, TddDuplex) else 1.0
    rates = _rate_table(radio.mcs_table, radio.link_adaptation.target_block_error)
    site_noise_w = float(
        noise_power_w(block_hz, noise_figure_db=standard.site_noise_figure_db(world, radio))
    ) * db_to_linear(background.uplink_rise_db)
    adaptation_of = partial(
        _make_adaptation,
        radio.fading,
        radio.link_adaptation,
        mcs_table=radio.mcs_table,
        delay_s=radio.knowledge_delay_slots * slot_duration_s(spacing_hz),
        doppler_hz=channel.doppler_hz,
        offsets_hz=channel.all_offsets_hz,
        slot_s=slot_duration_s(spacing_hz),
    )
    return AirInterface(
        carrier_hz=world.carrier_hz,
        num_blocks=blocks,
        uplink_blocks=blocks_left(blocks, background.uplink_fraction),
        downlink_blocks=blocks_left(blocks, background.downlink_fraction),
        num_groups=channel.num_groups,
        subcarrier_spacing_hz=spacing_hz,
        uplink_overhead_fraction=standard.uplink_overhead_fraction(world, radio),
        downlink_overhead_fraction=standard.downlink_overhead_fraction(world, radio),
        uplink_fraction=uplink,
        downlink_fraction=1.0 - uplink if isinstance(radio.duplex, TddDuplex) else 1.0,
        power_control=radio.uplink_power,
        power_reduction=_make_power_reduction(radio.uplink_power.max_power_reduction, rates),
        site_array_gain=float(radio.site_rx_antennas),
        site_noise_w=site_noise_w,
        ue_noise_w=float(
            noise_power_w(block_hz, noise_figure_db=standard.ue_noise_figure_db(world, radio))
        ),
        site_block_w=dbm_to_w(standard.site_power_dbm(world, radio)) / blocks,
        cell_power_ratio=db_to_linear(
            cell_powers_dbm(world, radio, layout) - standard.site_power_dbm(world, radio)
        ),
        downlink_busy_fraction=background.downlink_fraction,
        uplink_busy_fraction=background.uplink_fraction,
        interference_rejection=_make_interference_rejection(radio, noise_w=site_noise_w),
        is_interfering=radio.interference and channel.num_cells > 1,
        rates=rates,
        fade_persistence=_fade_persistence(radio, doppler_hz=channel.doppler_hz),
        interference_variability=_make_interference_variability(radio, num_cells=channel.num_cells),
        uplink_adaptation=adaptation_of(
            maximum_ratio(radio.site_rx_antennas, correlation=radio.site_rx_correlation)
        ),
        downlink_adaptation=adaptation_of(maximum_ratio(1, correlation=0.0)),
    )


def make_outer_loop(settings: LinkAdaptation) -> OuterLoop | None:
    """Return the outer loop of a scenario, ``None`` without one."""
    if not isinstance(settings, OuterLoopAdaptation):
        return None
    return OuterLoop(target_block_error=settings.target_block_error, step_up_db=settings.step_up_db)


def _fade_persistence(radio: RadioConfig, *, doppler_hz: float) -> float:
    """Return the square of the Jakes correlation over the delay of knowledge, see the interface."""
    fading = radio.fading
    if isinstance(fading, NoFading) or fading.mode != "block":
        return 1.0
    if make_outer_loop(radio.link_adaptation) is None:
        return 1.0
    delay_s = radio.knowledge_delay_slots * slot_duration_s(radio.subcarrier_spacing_hz)
    return float(jakes_correlation(delay_s, doppler_hz=doppler_hz)) ** 2


@lru_cache(maxsize=8)
def _make_power_reduction(
    settings: MaxPowerReduction | None, rates: RateTable
) -> PowerReduction | None:
    if settings is None:
        return None
    reduction_db = {
        2: settings.qpsk_db,
        4: settings.qam16_db,
        6: settings.qam64_db,
        8: settings.qam256_db,
    }
    return PowerReduction(reduction_db, rates)


def _make_interference_rejection(
    radio: RadioConfig, *, noise_w: float
) -> InterferenceRejection | None:
    if radio.site_combining == "mrc":
        return None
    return InterferenceRejection(num_antennas=radio.site_rx_antennas, noise_w=noise_w)


def _make_interference_variability(
    radio: RadioConfig, *, num_cells: int
) -> InterferenceVariability | None:
    """Return the model of interference variability; ``None`` without interference.

    The slot engine does not need it: it simulates every slot.
    """
    if not radio.interference or num_cells == 1 or radio.engine == "slot":
        return None
    return _interference_variability(radio.mcs_table, radio.link_adaptation)


@lru_cache(maxsize=8)
def _interference_variability(
    mcs_table: McsTableNumber, link_adaptation: LinkAdaptation
) -> InterferenceVariability:
    return InterferenceVariability(
        _rate_table(mcs_table, link_adaptation.target_block_error),
        outer_loop=make_outer_loop(link_adaptation),
        kept=KeptTables((mcs_table, link_adaptation)),
    )


@lru_cache(maxsize=8)
def _rate_table(mcs_table: McsTableNumber, target_block_error: float) -> RateTable:
    return RateTable(mcs_table_number=mcs_table, target_block_error=target_block_error)


@lru_cache(maxsize=16)
def _make_adaptation(
    fading: Fading,
    link_adaptation: LinkAdaptation,
    combining: Combining,
    *,
    mcs_table: McsTableNumber,
    delay_s: float,
    doppler_hz: float,
    offsets_hz: tuple[float, ...],
    slot_s: float,
) -> Adaptation:
    """Return the tables of link adaptation; runs of the same radio settings share them.

    Samples of the fading have seed 0: they describe the process, not a world.
    """
    rates = _rate_table(mcs_table, link_adaptation.target_block_error)
    outer_loop = make_outer_loop(link_adaptation)
    if isinstance(fading, NoFading):
        return KnownChannel(rates, has_outer_loop=outer_loop is not None)
    kept = KeptTables(
        (fading, link_adaptation, combining, mcs_table, delay_s, doppler_hz, offsets_hz, slot_s)
    )
    antennas = make_fading(fading, seed=0, num_branches=len(combining.weights))
    process, offset_hz = CombinedFading(antennas, combining), np.array(offsets_hz)
    gains = kept("fading_gains", partial(sample_gains, process, offset_hz=offset_hz))
    num_branches = combining.effective_branches
    static = DelayedKnowledge(
        rates,
        correlation=float(jakes_correlation(delay_s, doppler_hz=doppler_hz)),
        fading_share=min(num_branches * float(gains.mean(axis=1).var()), 1.0),
        num_branches=num_branches,
        has_outer_loop=outer_loop is not None,
        kept=kept,
    )
    fades = kept(
        "fading_traces",
        lambda: np.array(
            sample_fading_traces(
                process,
                doppler_hz=doppler_hz,
                offset_hz=offset_hz,
                delay_s=delay_s,
                slot_s=slot_s,
            )
        ),
    )
    adaptation = RetransmissionCorrection(
        static, rates, fades=FadingTraces(*fades), outer_loop=outer_loop, kept=kept
    )
    if fading.mode == "block":
        return adaptation
    return MeanOverFading(adaptation, gain=gains, flatten=partial(flat_sinr, rates), kept=kept)
