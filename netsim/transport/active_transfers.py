"""The transfers on the air, as one record array: progress, rates and what their rows need.

Progress is linear between two solves, so :meth:`ActiveTransfers.advance` is exact.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Int

from netsim.energy.ue_power import one_state_at_a_time
from netsim.slot_arrays import SlotArrays
from netsim.transport.transfers import DIRECTIONS, Transfer

TINY = np.finfo(float).tiny

UPLINK = DIRECTIONS.index("uplink")
DOWNLINK = DIRECTIONS.index("downlink")

FIELDS = np.dtype(
    [
        ("transfer_id", np.int64),
        ("client_id", np.int64),
        ("slot", np.int64),  # row of the client in Links
        ("direction", np.int64),
        ("has_route", np.bool_),  # whether the latency of its backhaul is accounted for
        ("at_edge", np.bool_),  # it does not cross the backhaul
        ("is_cancelled", np.bool_),
        ("bearer_id", np.int64),  # one number for the members of a broadcast
        ("size_bytes", np.int64),
        ("remaining_bits", np.float64),
        ("requested_at_s", np.float64),
        ("ready_at_s", np.float64),  # when the first byte has crossed the backhaul
        ("started_at_s", np.float64),  # first block, NaN before
        ("deadline_at_s", np.float64),
        ("handovers_before", np.int64),
        ("average_rate_bps", np.float64),  # NaN until first scheduled
        ("ends_at_s", np.float64),  # when its last retransmission is decoded, inf before; flow only
        # What it may send at once, and its backhaul rate while its buffer is empty; flow only:
        ("allowance_bits", np.float64),
        ("backhaul_limit_bps", np.float64),  # inf where it does not limit
        # Constant between two solves:
        ("rate_bps", np.float64),
        ("filling_bps", np.float64),  # growth of the allowance
        ("finish_at_s", np.float64),
        ("blocks", np.float64),
        ("sinr_db", np.float64),
        ("airtime_fraction", np.float64),  # share of time that the client sends, or receives, it
        ("airtime_w", np.float64),  # power drawn then
        ("retransmission_rate_hz", np.float64),
        # Integrals since the first block:
        ("granted_s", np.float64),
        ("block_s", np.float64),
        ("sinr_db_s", np.float64),
        ("retransmissions", np.float64),
        # Integrals since the last booking in the ledger, and their sum before it:
        ("booked_until_s", np.float64),
        ("airtime_s", np.float64),
        ("airtime_j", np.float64),
        ("booked_j", np.float64),
    ],
    align=True,  # arithmetic on numbers that straddle words is slow
)


_SERVED = (
    "rate_bps",
    "blocks",
    "sinr_db",
    "airtime_fraction",
    "airtime_w",
    "retransmission_rate_hz",
    "average_rate_bps",
)
"""What a solve decides, but for what follows from the bits that are left."""

_NEW = np.zeros((), dtype=FIELDS)
_NEW["started_at_s"] = _NEW["average_rate_bps"] = np.nan
_NEW["backhaul_limit_bps"] = _NEW["finish_at_s"] = _NEW["ends_at_s"] = np.inf


@dataclass(slots=True, kw_only=True)  # freezing would triple the time that making one takes
class Service:
    """What some transfers get over the air from now to the next solve."""

    rows: slice | Int[np.ndarray, " some"]
    """Of the records."""
    rate_bps: Float[np.ndarray, " some"]
    blocks: Float[np.ndarray, " some"]
    """Resource blocks held, on average over time."""
    sinr_db: Float[np.ndarray, " some"]
    airtime_fraction: Float[np.ndarray, " some"]
    """Part of the time in which the client sends, or receives, it."""
    airtime_w: Float[np.ndarray, " some"]
    """Power drawn then [W]."""
    retransmitted_fraction: Float[np.ndarray, " some"]
    """Part of the time in which what is sent is a retransmission."""


class ActiveTransfers(SlotArrays):
    """Records of active transfers in the order of admission.

    Parameters
    ----------
    is_full_duplex
        Whether a client may send and receive at once. Its radio then is in one state, see
        :func:`netsim.energy.ue_power.one_state_at_a_time`.
    """

    records: np.ndarray
    """One record a transfer, of the fields of ``FIELDS``."""

    def __init__(self, *, is_full_duplex: bool) -> None:
        super().__init__(records=_NEW)
        self.transfers: list[Transfer] = []
        self.version = 0
        """Changes with every transfer that comes or goes."""
        self._num_taken = 0
        self._is_full_duplex = is_full_duplex
        self._shares_radio = False

    def __len__(self) -> int:
        return len(self.transfers)

    def admit(
        self,
        transfer: Transfer,
        *,
        slot: int,
        now_s: float,
        bearer_id: int,
        deadline_at_s: float,
        handovers: int,
        has_company: bool,
        energy_j: float = 0.0,
    ) -> None:
        """Add a transfer that has no blocks yet; ``has_company`` if its client has others.

        ``energy_j`` is what its client has spent on it before [J].
        """
        self.add()
        self.version += 1
        record = self.records[-1]
        record["transfer_id"] = transfer.transfer_id
        record["client_id"] = transfer.client_id
        record["slot"] = slot
        record["direction"] = DIRECTIONS.index(transfer.direction)
        record["at_edge"] = transfer.at_edge
        record["bearer_id"] = bearer_id
        record["size_bytes"] = transfer.size_bytes
        record["remaining_bits"] = 8.0 * transfer.size_bytes
        record["requested_at_s"] = transfer.requested_at_s
        record["ready_at_s"] = now_s
        record["deadline_at_s"] = deadline_at_s
        record["handovers_before"] = handovers
        record["booked_until_s"] = now_s
        record["booked_j"] = energy_j
        self.transfers.append(transfer)
        self._shares_radio |= has_company

    def remove(self, is_gone: Bool[np.ndarray, " transfer"]) -> list[tuple[Transfer, np.void]]:
        """Take transfers out; return each with its last record, in the order of admission."""
        self.version += 1
        gone = [(self.transfers[k], self.records[k]) for k in is_gone.nonzero()[0].tolist()]
        self._num_taken -= int(np.count_nonzero(is_gone[: self._num_taken]))
        self.keep(~is_gone)
        self.transfers = [
            transfer for transfer, left in zip(self.transfers, is_gone, strict=True) if not left
        ]
        if self._shares_radio:
            self._shares_radio = len(np.unique(self.records["slot"])) < len(self)
        return gone

    def take_new(self) -> Iterator[np.void]:
        """Yield the records of the transfers that were admitted since the last call."""
        first, self._num_taken = self._num_taken, self.num_slots
        for row in range(first, self.num_slots):
            yield self.records[row]

    def with_company(self, chosen: Bool[np.ndarray, " transfer"]) -> Int[np.ndarray, " some"]:
        """Return the rows of some transfers and of all others of their clients."""
        if not self._shares_radio:
            return chosen.nonzero()[0]
        slot = self.records["slot"]
        return np.flatnonzero(np.isin(slot, slot[chosen]))

    def index(self, transfer: Transfer) -> int | None:
        """Return the row of a transfer, ``None`` when it is not on the air."""
        found = np.flatnonzero(self.records["transfer_id"] == transfer.transfer_id)
        return int(found[0]) if len(found) else None

    def advance(self, elapsed_s: float, *, average_s: float) -> None:
        """Advance all transfers at their present rates.

        Parameters
        ----------
        elapsed_s
            Time since the last call [s].
        average_s
            Time constant of the exponential average of the served rate [s].
        """
        if elapsed_s == 0.0 or not len(self):
            return
        record = self.records
        # Python's numbers are several times as fast as arrays of one.
        value: Callable[[str], Any] = record.__getitem__
        larger: Callable[[Any, Any], Any] = np.maximum
        if len(self) == 1:
            value, larger = (lambda name: record[name].item()), max
        rate_bps, blocks, fraction = value("rate_bps"), value("blocks"), value("airtime_fraction")
        if self._is_full_duplex and self._shares_radio:
            fraction = one_state_at_a_time(
                record["slot"],
                fraction,
                record["airtime_w"],
                is_uplink=record["direction"] == UPLINK,
            )
        granted_s = (blocks > 0) * elapsed_s
        on_air_s = fraction * elapsed_s
        keep = np.exp(-elapsed_s / average_s)
        now = {
            "remaining_bits": larger(0.0, value("remaining_bits") - rate_bps * elapsed_s),
            "average_rate_bps": rate_bps + keep * (value("average_rate_bps") - rate_bps),
            "granted_s": value("granted_s") + granted_s,
            "block_s": value("block_s") + blocks * elapsed_s,
            "sinr_db_s": value("sinr_db_s") + value("sinr_db") * granted_s,
            "retransmissions": value("retransmissions")
            + value("retransmission_rate_hz") * elapsed_s,
            "airtime_s": value("airtime_s") + on_air_s,
            "airtime_j": value("airtime_j") + on_air_s * value("airtime_w"),
        }
        if np.count_nonzero(record["filling_bps"]):
            filled_bits = value("allowance_bits") + value("filling_bps") * elapsed_s
            now["allowance_bits"] = larger(0.0, filled_bits)
        for name, new in now.items():
            record[name] = new

    def serve(self, service: Service, *, now_s: float, slot_s: float) -> None:
        """Set what some transfers get from now on; a block is sent in a slot of ``slot_s``."""
        record, rows, rate_bps = self.records, service.rows, service.rate_bps
        record["rate_bps"][rows] = rate_bps
        record["blocks"][rows] = service.blocks
        record["sinr_db"][rows] = service.sinr_db
        record["airtime_fraction"][rows] = service.airtime_fraction
        record["airtime_w"][rows] = service.airtime_w
        record["retransmission_rate_hz"][rows] = service.retransmitted_fraction / slot_s
        lasts_s = np.full(len(rate_bps), np.inf)
        np.divide(record["remaining_bits"][rows], rate_bps, out=lasts_s, where=rate_bps > 0)
        record["finish_at_s"][rows] = now_s + lasts_s
        started_at_s = record["started_at_s"][rows]
        starts = (service.blocks > 0) & np.isnan(started_at_s)
        if np.count_nonzero(starts):
            record["started_at_s"][rows] = np.where(starts, now_s, started_at_s)

    def service_values(self, row: int) -> tuple[float, ...]:
        """Return what a transfer gets now, for :meth:`serve_alike`."""
        record = self.records[row]
        return tuple(float(record[name]) for name in _SERVED)

    def serve_alike(self, row: int, values: tuple[float, ...], *, now_s: float) -> None:
        """Set that a transfer gets from now on what another one got on the same link."""
        record = self.records[row]
        for name, value in zip(_SERVED, values, strict=True):
            record[name] = value
        rate_bps = float(record["rate_bps"])
        lasts_s = float(record["remaining_bits"]) / rate_bps if rate_bps > 0 else np.inf
        record["finish_at_s"] = now_s + lasts_s
        if record["blocks"] > 0 and math.isnan(record["started_at_s"]):
            record["started_at_s"] = now_s

    def hold(self, rows: Int[np.ndarray, " some"], *, until_s: Float[np.ndarray, " some"]) -> None:
        """Keep transfers that have sent their last bit, without blocks, until they end [s]."""
        self.version += 1
        self.records["ends_at_s"][rows] = until_s
        self.records["finish_at_s"][rows] = np.inf
        self.records["remaining_bits"][rows] = 0.0

    def clear_service(self) -> None:
        """Take all blocks away; the solve that follows grants them again."""
        for name in (
            "rate_bps",
            "filling_bps",
            "blocks",
            "airtime_fraction",
            "airtime_w",
            "retransmission_rate_hz",
        ):
            self.records[name] = 0.0
        self.records["finish_at_s"] = np.inf
