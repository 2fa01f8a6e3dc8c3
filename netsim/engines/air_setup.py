"""From a scenario's settings to the band: constants, and the tables of what comes of a SINR."""

from functools import lru_cache, partial

import numpy as np

from netsim.channel.channel import Channel, make_fading
from netsim.channel.doppler import jakes_correlation
from netsim.config import standard
from netsim.config.radio import (
    Fading,
    LinkAdaptation,
    NoFading,
    OuterLoopAdaptation,
    RadioConfig,
    TddDuplex,
)
from netsim.config.world import WorldConfig
from netsim.mac.average_rate import AVERAGE_S
from netsim.mac.schedulers import load_scheduler
from netsim.phy.link_adaptation import RateTable
from netsim.phy.mcs import McsTableNumber
from netsim.phy.noise import noise_power_w
from netsim.phy.outer_loop import OuterLoop
from netsim.phy.resource_grid import (
    block_bandwidth_hz,
    frequency_range,
    num_resource_blocks,
    slot_duration_s,
)
from netsim.phy_abstraction.air_interface import AirInterface, flat_sinr
from netsim.phy_abstraction.ergodic import MeanOverFading, sample_gains, sample_series
from netsim.phy_abstraction.goodput import Adaptation, DelayedKnowledge, KnownChannel
from netsim.phy_abstraction.harq_simulation import sample_fading_traces
from netsim.phy_abstraction.interference_variability import InterferenceVariability
from netsim.phy_abstraction.retransmission_correction import (
    MANY_CONTENDERS,
    RetransmissionCorrection,
)
from netsim.phy_abstraction.scheduled_fading import (
    num_series_steps,
    series_step_s,
    served_by_all,
    served_by_proportional_fair,
)
from netsim.units import db_to_linear, dbm_to_w

FLAT_SERIES, SELECTIVE_SERIES = 72, 24
"""Links on whose series proportional fair is played out; groups that fade apart are fades too."""


def make_air_interface(world: WorldConfig, radio: RadioConfig, *, channel: Channel) -> AirInterface:
    """Return the band of a scenario, divided into the channel's resource-block groups."""
    spacing_hz = radio.subcarrier_spacing_hz
    blocks = num_resource_blocks(
        radio.bandwidth_hz, spacing_hz, band=frequency_range(world.carrier_hz)
    )
    block_hz = block_bandwidth_hz(spacing_hz)
    uplink = radio.duplex.uplink_fraction if isinstance(radio.duplex, TddDuplex) else 1.0
    rates = _rate_table(radio.mcs_table, radio.link_adaptation.target_block_error)
    site_noise_w = float(noise_power_w(block_hz, noise_figure_db=radio.site_noise_figure_db))
    return AirInterface(
        carrier_hz=world.carrier_hz,
        num_blocks=blocks,
        num_groups=channel.num_groups,
        subcarrier_spacing_hz=spacing_hz,
        uplink_overhead_fraction=radio.uplink_overhead_fraction,
        downlink_overhead_fraction=radio.downlink_overhead_fraction,
        uplink_fraction=uplink,
        downlink_fraction=1.0 - uplink if isinstance(radio.duplex, TddDuplex) else 1.0,
        uplink_power=radio.uplink_power,
        site_noise_w=site_noise_w * db_to_linear(radio.background_load.uplink_rise_db),
        ue_noise_w=float(noise_power_w(block_hz, noise_figure_db=radio.ue_noise_figure_db)),
        site_block_w=dbm_to_w(standard.site_power_dbm(world, radio)) / blocks,
        background_fraction=radio.background_load.downlink_fraction,
        is_interfering=radio.interference,
        rates=rates,
        swing=_make_interference_variability(radio, num_cells=channel.num_cells),
        adaptation=_make_adaptation(
            radio.fading,
            radio.link_adaptation,
            mcs_table=radio.mcs_table,
            delay_s=radio.knowledge_delay_slots * slot_duration_s(spacing_hz),
            doppler_hz=channel.doppler_hz,
            offsets_hz=channel.all_offsets_hz,
            slot_s=slot_duration_s(spacing_hz),
            num_blocks=blocks,
            serves_peaks=_serves_peaks(radio.scheduler),
            is_fair=radio.scheduler == "proportional_fair",
        ),
    )


def _serves_peaks(scheduler: str) -> bool:
    """Return whether a scheduler serves winners, by rates: whose fades are peaks."""
    law = load_scheduler(scheduler)
    return getattr(law, "uses_rates", True) and getattr(law, "is_exclusive", False)


def make_outer_loop(settings: LinkAdaptation) -> OuterLoop | None:
    """Return the outer loop of a scenario, ``None`` if it has none."""
    if not isinstance(settings, OuterLoopAdaptation):
        return None
    return OuterLoop(target_block_error=settings.target_block_error, step_up_db=settings.step_up_db)


def _make_interference_variability(
    radio: RadioConfig, *, num_cells: int
) -> InterferenceVariability | None:
    """Return what swings of interference cost; ``None`` where no cell hears another.

    The slot engine plays them out.
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
    )


@lru_cache(maxsize=8)
def _rate_table(mcs_table: McsTableNumber, target_block_error: float) -> RateTable:
    return RateTable(mcs_table_number=mcs_table, target_block_error=target_block_error)


@lru_cache(maxsize=8)
def _make_adaptation(
    fading: Fading,
    link_adaptation: LinkAdaptation,
    *,
    mcs_table: McsTableNumber,
    delay_s: float,
    doppler_hz: float,
    offsets_hz: tuple[float, ...],
    slot_s: float,
    num_blocks: int,
    serves_peaks: bool,
    is_fair: bool,
) -> Adaptation:
    """Tabulate what comes of a SINR; runs that differ in their worlds and seeds only share it.

    Samples of the fading come from seed 0: they describe the process, not a world.
    """
    rates = _rate_table(mcs_table, link_adaptation.target_block_error)
    outer_loop = make_outer_loop(link_adaptation)
    if isinstance(fading, NoFading):
        return KnownChannel(rates, has_outer_loop=outer_loop is not None)
    process, offset_hz = make_fading(fading, seed=0), np.array(offsets_hz)
    gains = sample_gains(process, offset_hz=offset_hz)
    still = DelayedKnowledge(
        rates,
        correlation=float(jakes_correlation(delay_s, doppler_hz=doppler_hz)),
        fading_share=min(float(gains.mean(axis=1).var()), 1.0),
        has_outer_loop=outer_loop is not None,
    )
    fades = partial(
        sample_fading_traces,
        process,
        doppler_hz=doppler_hz,
        offset_hz=offset_hz,
        delay_s=delay_s,
        slot_s=slot_s,
    )
    adaptation = RetransmissionCorrection(
        still,
        rates,
        fades=fades(),
        contended=fades(num_contenders=MANY_CONTENDERS) if serves_peaks else None,
        outer_loop=outer_loop,
        most_blocks=num_blocks,
    )
    if fading.mode == "block":
        return adaptation
    flatten = partial(flat_sinr, rates)
    if is_fair:
        step_s = series_step_s(doppler_hz=doppler_hz, average_s=AVERAGE_S, slot_s=slot_s)
        series = sample_series(
            process,
            doppler_hz=doppler_hz,
            offset_hz=offset_hz,
            step_s=step_s,
            num_steps=num_series_steps(step_s=step_s, average_s=AVERAGE_S),
            num_links=FLAT_SERIES if len(offsets_hz) == 1 else SELECTIVE_SERIES,
        )
        served = served_by_proportional_fair(
            series,
            step_s=step_s,
            average_s=AVERAGE_S,
            efficiency=adaptation.efficiency,
            flatten=flatten,
        )
        return MeanOverFading(adaptation, served=served)
    return MeanOverFading(adaptation, served=served_by_all(gains, flatten=flatten))
