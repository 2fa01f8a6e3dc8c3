"""What comes of a transmission until the next solve: the steps from SINR to mean bit rate."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from netsim.energy.ue_power import UePower
from netsim.engines.sub_ticks import time_means
from netsim.engines.transmission import FlowTransmission
from netsim.mac.demand import Demand
from netsim.phy.effective_sinr import mean_over_held
from netsim.phy_abstraction.air_interface import AirInterface
from netsim.transport.active_transfers import Service
from netsim.units import floored_db


class InstantService(NamedTuple):
    """What transfers get over the air at each instant."""

    rate_bps: Float[np.ndarray, "instant transfer"]
    """On average over its time."""
    blocks: Float[np.ndarray, "instant transfer"]
    """Resource blocks held, likewise."""
    airtime: Float[np.ndarray, "instant transfer"]
    """Part of the time in which the client sends, or receives, it."""
    retransmitted: Float[np.ndarray, "instant transfer"]
    """Part of the time in which what is sent is a retransmission."""
    sinr_db: Float[np.ndarray, "instant transfer"]
    airtime_w: Float[np.ndarray, "instant transfer"]
    """Power drawn during the airtime [W]."""


def service_at_instants(
    air: AirInterface,
    sent: FlowTransmission,
    ue_power: UePower,
    *,
    lead_db: Float[np.ndarray, " transfer"] | None,
) -> InstantService:
    """Return what transfers get over the air at each instant.

    Parameters
    ----------
    air
        Constants of the band.
    sent
        What they send.
    ue_power
        Power model of the clients' radios.
    lead_db
        From :class:`netsim.engines.served_fades.Leads`.
    """
    own_sinr = _effective_sinr(air, sent)
    has_groups = sent.served.has_groups
    sinr = _weakest_sinr(sent.demand, own_sinr) if has_groups else own_sinr
    is_uplink = sent.served.is_uplink
    rate_bps, transmissions = air.outcome(
        sinr,
        sent.blocks,
        client_blocks=sent.client_blocks,
        fade=mean_over_held(sent.fading, sent.shares),
        is_uplink=is_uplink,
        lead_db=lead_db,
    )
    if has_groups:
        # Blocks that the weakest member receives in error are received by all others.
        rate_bps = np.where(own_sinr > sinr, rate_bps * transmissions, rate_bps)
    on_air = sent.activity * np.minimum(sent.blocks, 1.0)
    fraction = air.uplink_fraction if is_uplink else air.downlink_fraction
    airtime = fraction * on_air * sent.airtime_share
    mean_bps = sent.activity * rate_bps
    on_air_bps = np.divide(mean_bps, airtime, out=np.zeros_like(airtime), where=airtime > 0)
    return InstantService(
        rate_bps=mean_bps,
        blocks=sent.activity * sent.blocks,
        airtime=airtime,
        retransmitted=(1.0 - 1.0 / transmissions) * airtime,
        sinr_db=floored_db(sinr),
        airtime_w=sent.airtime_w(ue_power, on_air_bps),
    )


def over_time(
    found: InstantService,
    duration_s: Float[np.ndarray, " instant"],
    *,
    rows: slice | Int[np.ndarray, " some"],
) -> Service:
    """Return what transfers get on average until the next solve.

    Parameters
    ----------
    found
        What they get at each instant.
    duration_s
        Time from each instant to the next, the last to the next solve [s].
    rows
        Theirs, of the records.
    """
    rate_bps, blocks, airtime_fraction, retransmitted_fraction, sinr_db, airtime_w = time_means(
        duration_s, found[:4], weighted=found[4:], weight=found.airtime
    )
    return Service(
        rows=rows,
        rate_bps=rate_bps,
        blocks=blocks,
        sinr_db=sinr_db,
        airtime_fraction=airtime_fraction,
        airtime_w=airtime_w,
        retransmitted_fraction=retransmitted_fraction,
    )


def _effective_sinr(
    air: AirInterface, sent: FlowTransmission
) -> Float[np.ndarray, "instant transfer"]:
    """Return the constant SINR of a flat channel that is worth as much as what blocks meet."""
    sinr = air.effective_sinr(sent.sinr, sent.shares)
    if air.interference_variability is not None and sent.interference is not None:
        cell_id = sent.served.cell_id
        sinr = air.interference_variability.constant_sinr(
            sinr,
            log_variance=sent.interference.log_variance[cell_id],
            correlation=sent.interference.correlation[cell_id],
            shares=sent.shares,
        )
    return sinr


def _weakest_sinr(
    demand: Demand, sinr: Float[np.ndarray, "instant transfer"]
) -> Float[np.ndarray, "instant transfer"]:
    """Return for all reached members of a broadcast the SINR of the weakest of them.

    Members that are not reached receive nothing now; the blocks are coded such that any that are
    received count (an assumption), so they catch up later.
    """
    is_reached = demand.is_reached()
    weakest = demand.weakest(slice(0, len(demand.first)), sinr, is_reached)
    return np.where(is_reached, weakest[:, demand.bearer], 0.0)
