"""Assembly of a network: the models and the engine of a scenario's sections."""

import numpy as np
import simpy

from netsim.channel.channel import Channel
from netsim.config import RadioConfig, WorldConfig, standard
from netsim.config.radio import StarBackhaul
from netsim.config.ue_power import MeasuredPowerConfig
from netsim.energy.ledger import Ledger
from netsim.energy.measured_power import measured_power
from netsim.energy.site_energy import SitePower, site_power
from netsim.energy.tr38840_power import Tr38840Power
from netsim.energy.ue_power import UePower
from netsim.engines.air_setup import make_air_interface, make_outer_loop
from netsim.engines.engine import Engine, EngineSettings, Models, OnEnd
from netsim.engines.flow import FlowEngine
from netsim.engines.site_meter import SiteMeter
from netsim.engines.slot import SlotEngine
from netsim.mac.schedulers import SchedulerFactory
from netsim.mac.sharing import Sharing
from netsim.phy.resource_grid import slot_duration_s
from netsim.rrc.drawn_outages import DrawnOutages
from netsim.rrc.outages import Outages
from netsim.transport.backhaul import Backhaul, star
from netsim.world.layout import Layout


def make_models(
    world: WorldConfig,
    radio: RadioConfig,
    *,
    layout: Layout,
    channel: Channel,
    make_scheduler: SchedulerFactory,
    seed: int,
) -> Models:
    """Return the models of a scenario; they do not depend on the clock."""
    air = make_air_interface(world, radio, layout=layout, channel=channel)
    outages = _make_outages(radio, layout, seed=seed)
    ue_power = _make_ue_power(radio)
    sites = _make_site_power(world, radio, layout)
    ledger = Ledger(ue_power=ue_power, site_power=sites)
    slope = np.array([site.radiation_w(np.array(1.0)) for site in sites], dtype=float)
    return Models(
        channel=channel,
        air=air,
        sharing=Sharing(
            radio.scheduler,
            make=make_scheduler,
            slot_s=slot_duration_s(radio.subcarrier_spacing_hz),
        ),
        outages=outages,
        backhaul=make_backhaul(radio, num_sites=len(sites)),
        layout=layout,
        handover=radio.handover,
        link_failure=radio.link_failure,
        ledger=ledger,
        ue_power=ue_power,
        site_meter=SiteMeter(
            ledger,
            outages=outages,
            cell_site_id=layout.cell_site_id,
            full_cell_w=air.cell_block_w * air.num_blocks,
            drawn_per_radiated=slope,
        ),
        core_latency_s=core_latency_s(radio),
    )


def make_engine(
    env: simpy.Environment, radio: RadioConfig, models: Models, *, seed: int, on_end: OnEnd
) -> Engine:
    """Return the engine of a scenario.

    Parameters
    ----------
    env
        Simulation clock.
    radio
        The scenario's section.
    models
        From :func:`make_models`; used by one engine only.
    seed
        Root seed of the run.
    on_end
        As for :class:`netsim.engines.engine.Engine`.
    """
    settings = EngineSettings(
        tick_s=radio.channel_tick_s,
        slot_s=slot_duration_s(radio.subcarrier_spacing_hz),
        seed=seed,
        knowledge_delay_slots=radio.knowledge_delay_slots,
        outer_loop=make_outer_loop(radio.link_adaptation),
    )
    make = {"flow": FlowEngine, "slot": SlotEngine}[radio.engine]
    return make(env, models, settings=settings, on_end=on_end)


def core_latency_s(radio: RadioConfig) -> float:
    """Return the one-way latency between backhaul and server [s]."""
    rtt_s = None if radio.access is None else radio.access.rtt_s
    return 0.0 if rtt_s is None else rtt_s / 2


def _make_outages(radio: RadioConfig, layout: Layout, *, seed: int) -> Outages:
    drawn = None
    if radio.outage_rate is not None:
        drawn = DrawnOutages(radio.outage_rate, num_sites=len(layout.sites), seed=seed)
    return Outages(radio.outages, layout.cell_site_id, drawn=drawn)


def _make_ue_power(radio: RadioConfig) -> UePower:
    power = radio.ue_power
    if isinstance(power, MeasuredPowerConfig):
        return measured_power(power)
    return Tr38840Power(
        bandwidth_hz=radio.bandwidth_hz,
        watt_per_pu=power.watt_per_pu,
        amplifier_efficiency=power.amplifier_efficiency,
        inactivity_s=power.inactivity_s,
        drx_cycle_s=power.drx_cycle_s,
        drx_on_s=power.drx_on_s,
        release_s=power.release_s,
    )


def _make_site_power(world: WorldConfig, radio: RadioConfig, layout: Layout) -> list[SitePower]:
    return [
        site_power(
            standard.site_class(world, radio),
            num_cells=len(site.cell_ids),
            sleep_after_s=radio.energy.site_sleep_after_s,
        )
        for site in layout.sites
    ]


def make_backhaul(radio: RadioConfig, *, num_sites: int) -> Backhaul:
    """Return the backhaul between sites and server."""
    config = radio.backhaul
    if isinstance(config, StarBackhaul):
        links = star(num_sites, latency_s=config.latency_s, rate_bps=config.rate_bps)
    else:
        links = config.links
    return Backhaul(links, num_sites=num_sites, cuts=config.cuts)
