"""The transfers of one direction that are served, and what stays the same until they change."""

import numpy as np
from jaxtyping import Bool, Float, Int

from netsim.mac.bearer_cells import BearerCells
from netsim.mac.demand import Demand
from netsim.phy.effective_sinr import mean_over_groups
from netsim.phy_abstraction.air_interface import AirInterface
from netsim.rrc.links import Links
from netsim.transport.active_transfers import UPLINK, ActiveTransfers


class ServedSet:
    """The transfers of one direction that are served, sorted by cell, then by bearer.

    Parameters
    ----------
    rows
        Of the active transfers.
    record
        Theirs.
    cell_id
        Serving cells of their clients.
    direction
        Index into ``DIRECTIONS``.
    air
        Constants of the band.
    """

    def __init__(
        self,
        rows: Int[np.ndarray, " transfer"],
        record: np.ndarray,
        cell_id: Int[np.ndarray, " transfer"],
        *,
        direction: int,
        air: AirInterface,
    ) -> None:
        self._air = air
        self.rows = rows
        self.index = _as_slice(rows)
        """The rows, as a slice where they follow each other: views are much faster than copies."""
        self.direction = direction
        self.is_uplink = direction == UPLINK
        self.slots = record["slot"]
        """Slots of their clients, see :class:`netsim.rrc.links.Links`."""
        self.shared_clients = None if len(set(self.slots.tolist())) == len(rows) else self.slots
        """Slots of their clients where one has several transfers, else ``None``."""
        self.cell_id = cell_id
        self.client_id = record["client_id"]
        self.bearer_id = record["bearer_id"]
        begins_cell = differs_from_last(cell_id)
        starts = begins_cell | differs_from_last(self.bearer_id)
        self.first = starts.nonzero()[0]
        """First transfer of each bearer."""
        self.heads = rows[self.first] if len(self.first) < len(rows) else self.index
        """Rows of these."""
        self.bearer = starts.cumsum() - 1
        """Bearer of each transfer."""
        self.has_groups = len(self.first) < len(rows)
        """Whether some bearer serves several transfers."""
        self.contenders = np.bincount(cell_id[self.first])[cell_id]
        """Bearers in the cell of each transfer."""
        self.bearer_client_id = self.client_id[self.first]
        self.cells = BearerCells.of(
            begins_cell[self.first].nonzero()[0], client_id=self.bearer_client_id
        )
        self.first_of_cell = self.first[self.cells.start]
        """First transfer of each cell."""
        self._requested_at_s = record["requested_at_s"][self.first]
        self._deadline_at_s = record["deadline_at_s"][self.first]
        self._followed_version = -1
        self.gain: Float[np.ndarray, " transfer"] = np.zeros(0)
        """Coupling gain to the serving cell, fast fading averaged out."""
        self.density_w: Float[np.ndarray, " transfer"] = np.zeros(0)
        """Power in one block that open-loop control asks for, see ``UplinkPower.density_w``."""
        self.cross_gain: Float[np.ndarray, "transfer cell"] = np.zeros((0, 0))
        """Gain to every other cell."""

    def follow(self, links: Links) -> None:
        """Take the present gains; they change more seldom than the fading."""
        if links.version == self._followed_version:
            return
        self._followed_version = links.version
        self.cross_gain = links.cross_gain[self.slots]
        self.gain = links.serving_gain(self.slots)
        self.density_w = self._air.uplink_power.density_w(self.gain)

    def demand(
        self,
        record: np.ndarray,
        sinr_per_w: Float[np.ndarray, "instant transfer group"],
        *,
        unsent_bits: Float[np.ndarray, " transfer"],
        backhaul_limit_bps: Float[np.ndarray, " bearer"] | None = None,
    ) -> Demand:
        """Return what the schedulers are asked.

        Parameters
        ----------
        record
            Records of all active transfers, for the average rates.
        sinr_per_w
            SINR for each watt sent in one block.
        unsent_bits
            What is left of each transfer.
        backhaul_limit_bps
            See :class:`netsim.mac.demand.Demand`.
        """
        density_w: Float[np.ndarray, "*instant transfer"] = self.density_w
        if self.is_uplink:
            density_w = self._air.uplink_power.full_density_w(
                density_w, mean_over_groups(sinr_per_w)
            )
        return Demand(
            air=self._air,
            direction=self.direction,
            is_uplink=self.is_uplink,
            cell_id=self.cell_id,
            density_w=density_w,
            sinr_per_w=sinr_per_w,
            first=self.first,
            bearer=self.bearer,
            contenders=self.contenders,
            cells=self.cells,
            client_id=self.bearer_client_id,
            remaining_bits=(
                np.maximum.reduceat(unsent_bits, self.first) if self.has_groups else unsent_bits
            ),
            requested_at_s=self._requested_at_s,
            deadline_at_s=self._deadline_at_s,
            average_rate_bps=record["average_rate_bps"][self.heads],
            backhaul_limit_bps=backhaul_limit_bps,
        )


class ServedSets:
    """The served set of each direction, made anew when other transfers are served.

    Parameters
    ----------
    active, links
        Transfers on the air, and the links of their clients.
    air
        Constants of the band.
    """

    def __init__(self, active: ActiveTransfers, links: Links, air: AirInterface) -> None:
        self._active = active
        self._links = links
        self._air = air
        self._sets: dict[int, ServedSet] = {}
        self._keys: dict[int, bytes] = {}

    def of(self, rows: Int[np.ndarray, " transfer"], *, direction: int) -> ServedSet:
        """Return the served set of some rows, at least one, with the gains of now."""
        served = self._sets.get(direction)
        if served is None or served.rows is not rows:
            record = self._active.records
            cell_id = self._links.cell_id[record["slot"][rows]]
            key = rows.tobytes() + record["transfer_id"][rows].tobytes() + cell_id.tobytes()
            if served is not None and self._keys[direction] == key:
                served.rows = rows
            else:
                self._keys[direction] = key
                served = self._sets[direction] = ServedSet(
                    rows, record.take(rows), cell_id, direction=direction, air=self._air
                )
        served.follow(self._links)
        return served


def differs_from_last(values: Int[np.ndarray, " some"]) -> Bool[np.ndarray, " some"]:
    """Return where a value is another than the one before; the first is."""
    differs = np.ones(len(values), dtype=bool)
    np.not_equal(values[1:], values[:-1], out=differs[1:])
    return differs


def _as_slice(rows: Int[np.ndarray, " transfer"]) -> slice | Int[np.ndarray, " transfer"]:
    """Return rows as a slice where each is one after that before."""
    first, last = int(rows[0]), int(rows[-1])
    if last - first + 1 == len(rows) and rows.tolist() == list(range(first, last + 1)):
        return slice(first, last + 1)
    return rows
