"""From the demand of all cells to the view of one cell's scheduler at one instant."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from netsim.mac.demand import Demand
from netsim.mac.schedulers import CellView


@dataclass(slots=True, kw_only=True)  # freezing would triple the time that making one takes
class _CellDemand:
    """The part of a demand that one cell's scheduler sees at an instant."""

    demand: Demand
    instant: int
    bearers: slice
    transfers: slice
    is_reached: Bool[np.ndarray, "1 transfer"]

    def rate_bps(self, fraction: Float[np.ndarray, " bearer"]) -> Float[np.ndarray, " bearer"]:
        """Return the rate of each bearer at a fraction of every group."""
        demand = self.demand.at(self.instant)
        rate = demand.transfer_rate_bps(self.transfers, fraction[self._local])
        return demand.weakest(self.bearers, rate, self.is_reached)[0]

    def power_w(self, fraction: Float[np.ndarray, " bearer"]) -> Float[np.ndarray, " bearer"]:
        """Return the power radiated for each bearer at a fraction of every group."""
        demand = self.demand.at(self.instant)
        granted = (fraction * demand.num_blocks)[self._local]
        blocks = demand.used_blocks(self.transfers, granted)
        heads = demand.first[self.bearers] - self.transfers.start
        return (blocks * demand.block_power_w(self.transfers, blocks))[..., heads].reshape(-1)

    @property
    def _local(self) -> Int[np.ndarray, " transfer"]:
        """Bearer of each transfer, counted within the cell."""
        return self.demand.bearer[self.transfers] - self.bearers.start


def cell_view(
    demand: Demand,
    bearers: slice,
    *,
    instant: int,
    group_rate_bps: Float[np.ndarray, "bearer group"],
    average_rate_bps: Float[np.ndarray, " bearer"],
    is_reached: Bool[np.ndarray, "instant transfer"],
    now_s: float,
) -> CellView:
    """Return what the scheduler of one cell sees.

    Parameters
    ----------
    demand
        Of all cells.
    bearers
        Those of the cell.
    instant
        Index of the instant.
    group_rate_bps, average_rate_bps
        Of these bearers at this instant.
    is_reached
        From :meth:`netsim.mac.demand.Demand.is_reached`.
    now_s
        Simulated time of the instant.
    """
    last = demand.first[bearers.stop] if bearers.stop < len(demand.first) else len(demand.bearer)
    transfers = slice(int(demand.first[bearers.start]), int(last))
    part = _CellDemand(
        demand=demand,
        instant=instant,
        bearers=bearers,
        transfers=transfers,
        is_reached=is_reached[instant : instant + 1, transfers],
    )
    return CellView(
        now_s=now_s,
        client_id=demand.client_id[bearers],
        remaining_bits=demand.remaining_bits[bearers],
        requested_at_s=demand.requested_at_s[bearers],
        deadline_at_s=demand.deadline_at_s[bearers],
        group_rate_bps=group_rate_bps,
        average_rate_bps=average_rate_bps,
        rate_bps=part.rate_bps,
        power_w=part.power_w,
    )
