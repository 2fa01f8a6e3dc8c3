"""Demands of a few transfers for tests of sharing: who is limited in power, and who is not."""

from dataclasses import replace

import numpy as np

from netsim.mac.bearer_cells import BearerCells
from netsim.mac.demand import Demand
from tests.netsim.worlds import make_network, plain_radio, still_world

AIR = replace(
    make_network(still_world([(100.0, 0.0)]), plain_radio(bandwidth_hz=5e6))[1].air,
    cell_power_ratio=np.ones(64),
)
NUM_BLOCKS = AIR.num_blocks
FREE, LIMITED = 1e-6, 10.0
"""Watts that power control asks for in a block: all blocks fit the limit of a client, or not one
block does."""


def demand_of(
    cells,
    *,
    density_w=FREE,
    snr_db=20.0,
    is_uplink=True,
    members=None,
    client_id=None,
    average_rate_bps=np.nan,
    num_instants=1,
):
    """Bearers of some cells, ascending; ``snr_db`` with full power (or the site's) in one block.

    ``members`` is the number of transfers of each bearer, one if left out; ``density_w`` and
    ``snr_db`` are those of transfers.
    """
    cells = np.array(cells)
    members = np.ones(len(cells), dtype=int) if members is None else np.array(members)
    bearer = np.repeat(np.arange(len(cells)), members)
    num = len(bearer)
    density_w = np.broadcast_to(density_w, num).astype(float)
    full_w = np.minimum(density_w, 0.1995262315) if is_uplink else AIR.site_block_w
    sinr_per_w = 10 ** (np.broadcast_to(snr_db, num) / 10) / full_w
    shape = (num_instants, num, AIR.num_groups)
    _, start, count = np.unique(cells, return_index=True, return_counts=True)
    client_id = np.arange(len(cells)) if client_id is None else np.array(client_id)
    return Demand(
        air=AIR,
        direction=0 if is_uplink else 1,
        is_uplink=is_uplink,
        cell_id=cells[bearer],
        density_w=density_w,
        sinr_per_w=np.broadcast_to(sinr_per_w[None, :, None], shape).copy(),
        first=np.append(0, np.cumsum(members)[:-1]),
        bearer=bearer,
        contenders=np.repeat(count, count)[bearer],
        cells=BearerCells.of(start, client_id=client_id),
        client_id=client_id,
        remaining_bits=np.full(len(cells), 1e6),
        requested_at_s=np.zeros(len(cells)),
        deadline_at_s=np.full(len(cells), np.inf),
        average_rate_bps=np.broadcast_to(average_rate_bps, len(cells)).astype(float),
    )
