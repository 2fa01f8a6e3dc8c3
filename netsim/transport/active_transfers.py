"""The transfers on the air, as one record array: progress, rates and what their rows need.

Progress is linear between two solves, so :meth:`ActiveTransfers.advance` is exact.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from netsim.energy.ue_energy import one_state_at_a_time
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
        ("has_route", np.bool_),  # whether the latency of its wires is accounted for
        ("is_cancelled", np.bool_),
        ("bearer_id", np.int64),  # one number for the members of a broadcast
        ("size_bytes", np.int64),
        ("remaining_bits", np.float64),
        ("requested_at_s", np.float64),
        ("ready_at_s", np.float64),  # when the first byte has come through the wires
        ("started_at_s", np.float64),  # first block, NaN before
        ("deadline_at_s", np.float64),
        ("handovers_before", np.int64),
        ("average_rate_bps", np.float64),  # NaN until first scheduled
        # What the wires let it send at once, and the rate they hold it down to; flow engine only:
        ("allowance_bits", np.float64),
        ("backhaul_limit_bps", np.float64),  # inf when they do not
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


class ActiveTransfers:
    """Records of active transfers in the order of admission.

    Parameters
    ----------
    is_full_duplex
        Whether a client may send and receive at once. Its radio then is in one state, see
        :func:`netsim.energy.ue_energy.one_state_at_a_time`.
    """

    def __init__(self, *, is_full_duplex: bool) -> None:
        self.records = np.zeros(0, dtype=FIELDS)
        self.transfers: list[Transfer] = []
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
    ) -> None:
        """Add a transfer that has no blocks yet; ``has_company`` if its client has another."""
        record = np.zeros(1, dtype=FIELDS)
        record["transfer_id"] = transfer.transfer_id
        record["client_id"] = transfer.client_id
        record["slot"] = slot
        record["direction"] = DIRECTIONS.index(transfer.direction)
        record["bearer_id"] = bearer_id
        record["size_bytes"] = transfer.size_bytes
        record["remaining_bits"] = 8.0 * transfer.size_bytes
        record["requested_at_s"] = transfer.requested_at_s
        record["ready_at_s"] = now_s
        record["started_at_s"] = np.nan
        record["deadline_at_s"] = deadline_at_s
        record["handovers_before"] = handovers
        record["average_rate_bps"] = np.nan
        record["backhaul_limit_bps"] = np.inf
        record["finish_at_s"] = np.inf
        record["booked_until_s"] = now_s
        self.records = np.concatenate([self.records, record])
        self.transfers.append(transfer)
        self._shares_radio |= has_company

    def remove(self, is_gone: Bool[np.ndarray, " transfer"]) -> list[tuple[Transfer, np.void]]:
        """Take transfers out; give each with its last record, in the order of admission."""
        gone = [(self.transfers[k], self.records[k]) for k in np.flatnonzero(is_gone)]
        self.records = self.records[~is_gone]
        self.transfers = [
            transfer for transfer, left in zip(self.transfers, is_gone, strict=True) if not left
        ]
        if self._shares_radio:
            self._shares_radio = len(np.unique(self.records["slot"])) < len(self)
        return gone

    def with_company(self, chosen: Bool[np.ndarray, " transfer"]) -> Int[np.ndarray, " some"]:
        """Give the rows of some transfers and of all others that their clients have."""
        if not self._shares_radio:
            return np.flatnonzero(chosen)
        slot = self.records["slot"]
        return np.flatnonzero(np.isin(slot, slot[chosen]))

    def index(self, transfer: Transfer) -> int | None:
        """Give the position of a transfer, ``None`` when it is not on the air."""
        found = np.flatnonzero(self.records["transfer_id"] == transfer.transfer_id)
        return int(found[0]) if len(found) else None

    def advance(self, elapsed_s: float, *, average_s: float) -> None:
        """Let time pass at the present rates.

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
        record["remaining_bits"] = np.maximum(
            record["remaining_bits"] - record["rate_bps"] * elapsed_s, 0.0
        )
        record["allowance_bits"] = np.maximum(
            record["allowance_bits"] + record["filling_bps"] * elapsed_s, 0.0
        )
        keep = np.exp(-elapsed_s / average_s)
        record["average_rate_bps"] = record["rate_bps"] + keep * (
            record["average_rate_bps"] - record["rate_bps"]
        )
        granted_s = (record["blocks"] > 0) * elapsed_s
        record["granted_s"] += granted_s
        record["block_s"] += record["blocks"] * elapsed_s
        record["sinr_db_s"] += record["sinr_db"] * granted_s
        record["retransmissions"] += record["retransmission_rate_hz"] * elapsed_s
        fraction = record["airtime_fraction"]
        if self._is_full_duplex and self._shares_radio:
            fraction = one_state_at_a_time(
                record["slot"],
                fraction,
                record["airtime_w"],
                is_uplink=record["direction"] == UPLINK,
            )
        on_air_s = fraction * elapsed_s
        record["airtime_s"] += on_air_s
        record["airtime_j"] += on_air_s * record["airtime_w"]

    def grant(
        self,
        rows: Int[np.ndarray, " some"],
        *,
        now_s: float,
        rate_bps: Float[np.ndarray, " some"],
        blocks: Float[np.ndarray, " some"],
        sinr_db: Float[np.ndarray, " some"],
        airtime_fraction: Float[np.ndarray, " some"],
        airtime_w: Float[np.ndarray, " some"],
        retransmission_rate_hz: Float[np.ndarray, " some"],
    ) -> None:
        """Set what holds for some transfers until the next solve."""
        record = self.records
        record["rate_bps"][rows] = rate_bps
        record["blocks"][rows] = blocks
        record["sinr_db"][rows] = sinr_db
        record["airtime_fraction"][rows] = airtime_fraction
        record["airtime_w"][rows] = airtime_w
        record["retransmission_rate_hz"][rows] = retransmission_rate_hz
        lasts_s = np.full(len(rows), np.inf)
        np.divide(record["remaining_bits"][rows], rate_bps, out=lasts_s, where=rate_bps > 0)
        record["finish_at_s"][rows] = now_s + lasts_s
        starts = (blocks > 0) & np.isnan(record["started_at_s"][rows])
        record["started_at_s"][rows[starts]] = now_s

    def clear_grants(self) -> None:
        """Take all blocks away; the solve that follows hands them out again."""
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
