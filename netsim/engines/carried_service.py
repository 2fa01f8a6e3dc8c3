"""What the backhaul leaves of the rates over the air, in the flow engine."""

from dataclasses import replace

import numpy as np

from netsim.engines.served_set import ServedSet
from netsim.transport.active_transfers import Service
from netsim.transport.backhaul_flow import BackhaulFlow


def carried_service(
    service: Service,
    record: np.ndarray,
    served: ServedSet,
    backhaul_flow: BackhaulFlow,
    *,
    now_s: float,
) -> tuple[Service, float]:
    """Return what the backhaul leaves of a service, and how long that holds [s].

    Parameters
    ----------
    service
        What transfers get over the air.
    record
        Records of all active transfers; what concerns the backhaul is set here.
    served
        Which of them are served.
    backhaul_flow
        Limits their rates.
    now_s
        Simulated time.
    """
    rows, over_air_bps = served.rows, service.rate_bps
    carried = backhaul_flow.carry(
        over_air_bps,
        allowance_bits=record["allowance_bits"][rows],
        unsent_bits=record["remaining_bits"][rows],
        cell_id=served.cell_id,
        bearer_id=served.bearer_id,
        at_edge=record["at_edge"][rows],
        at_s=now_s,
    )
    record["allowance_bits"][rows] = carried.allowance_bits
    record["filling_bps"][rows] = carried.filling_bps
    record["backhaul_limit_bps"][rows] = carried.backhaul_limit_bps
    # A transfer at its backhaul limit has less to send: there is no airtime without bits.
    rate_bps = carried.rate_bps
    part = np.divide(rate_bps, over_air_bps, out=np.ones_like(rate_bps), where=over_air_bps > 0)
    limited = replace(
        service,
        rate_bps=rate_bps,
        blocks=service.blocks * part,
        airtime_fraction=service.airtime_fraction * part,
        retransmitted_fraction=service.retransmitted_fraction * part,
    )
    return limited, carried.lasts_s
