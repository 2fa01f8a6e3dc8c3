"""Transport blocks slot by slot: MCS, size, hybrid ARQ, outer loop and backhaul buffers.

The state that the slot engine keeps of each transfer: its HARQ processes, the margin of its outer
loop and the allowance of its backhaul.
"""

import numpy as np
from jaxtyping import Bool, Float, Int

from netsim.energy.ue_power import UePower
from netsim.engines.harq_processes import Attempt, HarqProcesses
from netsim.engines.outer_loop_margins import REMEMBERED_S, OuterLoopMargins, Server
from netsim.engines.served_set import ServedSet
from netsim.engines.transmission import SlotTransmission
from netsim.phy.block_error_table import BlockErrorTable
from netsim.phy.outer_loop import OuterLoop
from netsim.phy_abstraction.air_interface import AirInterface
from netsim.transport.active_transfers import DOWNLINK, UPLINK, Service
from netsim.transport.site_buffers import SiteBuffers
from netsim.units import floored_db


class BlockExchange:
    """Sends one transport block a slot for each transfer with blocks, and draws what is received.

    Parameters
    ----------
    air
        Constants of the band.
    outer_loop
        Steps of the outer loop; ``None`` without one.
    buffers
        Between backhaul and air; ``None`` where no backhaul is limited.
    ue_power
        Power model of the clients' radios.
    slot_s
        Duration of a slot [s].
    seed
        Root seed of the run.
    """

    def __init__(
        self,
        air: AirInterface,
        *,
        outer_loop: OuterLoop | None,
        buffers: SiteBuffers | None,
        ue_power: UePower,
        slot_s: float,
        seed: int,
    ) -> None:
        self._air = air
        self._harq = HarqProcesses(seed)
        self._loop = None
        if outer_loop is not None:
            remembered_slots = round(REMEMBERED_S / slot_s)
            self._loop = OuterLoopMargins(outer_loop, remembered_slots=remembered_slots)
        self._buffers = buffers
        self._ue_power = ue_power
        self._slot_s = slot_s
        self._errors = BlockErrorTable(air.rates)
        self._lengths = {UPLINK: air.uplink_lengths, DOWNLINK: air.downlink_lengths}
        self._sizes = {key: lengths.sizes.bits for key, lengths in self._lengths.items()}
        self._most_bits: dict[int, Float[np.ndarray, " transfer"]] = {}
        """By direction: size of the buffer of each served transfer [bit]."""

    def append(self, transfer_id: int, size_bits: float) -> None:
        """Add a row for a new transfer."""
        self._harq.append(transfer_id, size_bits)
        if self._loop is not None:
            self._loop.add()
        if self._buffers is not None:
            self._buffers.add()

    def keep(self, is_kept: Bool[np.ndarray, " transfer"]) -> None:
        """Drop all other rows."""
        self._harq.keep(is_kept)
        if self._loop is not None:
            self._loop.keep(is_kept)
        if self._buffers is not None:
            self._buffers.keep(is_kept)

    def unsent_bits(self, rows: slice | Int[np.ndarray, " some"]) -> Float[np.ndarray, " some"]:
        """Return the bits of some transfers that are in no HARQ process."""
        return self._harq.unsent_bits[rows]

    def has_nothing_to_send(
        self, rows: slice | Int[np.ndarray, " some"], *, slot: int
    ) -> Bool[np.ndarray, " some"]:
        """Return which transfers only wait for outcomes or for retransmissions."""
        return self._harq.has_nothing_to_send(rows, slot=slot)

    def listen(self, slot: int) -> None:
        """Apply the acknowledgements that have arrived by a slot."""
        if self._loop is not None:
            self._loop.listen(slot)

    def fill_buffers(
        self, served: ServedSet, site_id: Int[np.ndarray, " bearer"], *, at_s: float
    ) -> None:
        """Fill the buffers of served transfers from the backhaul for a slot.

        Parameters
        ----------
        served
            Transfers of one direction.
        site_id
            Site of each bearer; all reach the server.
        at_s
            Simulated time.
        """
        if self._buffers is None:
            return
        self._most_bits[served.direction] = self._buffers.fill(
            served.rows,
            bearer=served.bearer,
            first=served.first,
            site_id=site_id,
            unsent_bits=self._harq.unsent_bits[served.rows],
            at_s=at_s,
            elapsed_s=self._slot_s,
        )

    def exchange(self, sent: SlotTransmission, *, slot: int) -> Service:
        """Send a transport block for each transfer with blocks; return what is received.

        Parameters
        ----------
        sent
            What the transfers of one direction send.
        slot
            Number of the slot.
        """
        air, served = self._air, sent.served
        granted = np.flatnonzero(sent.blocks > 0)
        rows = served.rows[granted]
        of_granted = _all_or(granted, len(sent.blocks))
        own = air.effective_sinr(sent.known_sinr[of_granted], sent.shares[of_granted])
        if self._loop is not None:
            self._start_margins(self._loop, sent, granted)
            own = self._loop.corrected(rows, own)
        believed = _weakest(served, granted, own) if served.has_groups else own
        lengths = self._lengths[served.direction]
        client_blocks = sent.client_blocks[of_granted].astype(np.intp)
        mcs = lengths.mcs_index(believed, client_blocks)
        needed_sinr = lengths.factor(mcs, client_blocks)
        attempt = self._attempt(
            served, granted, mcs, sent.blocks[of_granted], needed_sinr=needed_sinr, slot=slot
        )
        sender = _all_or(granted[attempt.place], len(sent.blocks))
        sinr = air.effective_sinr(sent.sinr[sender], sent.shares[sender])
        combined = self._harq.combine(attempt, blocks=sent.blocks[sender], sinr=sinr)
        bits = self._harq.settle(
            attempt,
            slot=slot,
            error=self._errors.lookup(combined, attempt.mcs),
            may_retransmit=served.bearer_id[sender] >= 0,
        )
        if self._loop is not None:
            # The MCS of a broadcast is that of its weakest member: only that one's margin adapts.
            adapts = ~attempt.is_retransmission & (own == believed)[attempt.place]
            self._adapt(self._loop, attempt, bits > 0, adapts)
        rate_bps = np.zeros(len(served.rows))
        rate_bps[sender] = bits / self._slot_s
        airtime_share = sent.airtime_share
        on_air_bps = np.divide(
            rate_bps, airtime_share, out=np.zeros_like(rate_bps), where=airtime_share > 0
        )
        return Service(
            rows=served.index if isinstance(sender, slice) else attempt.rows,
            rate_bps=rate_bps[sender],
            blocks=sent.blocks[sender],
            sinr_db=floored_db(sinr),
            airtime_fraction=airtime_share[sender],
            airtime_w=sent.airtime_w(self._ue_power, on_air_bps)[sender],
            retransmitted_fraction=attempt.is_retransmission.astype(float),
        )

    def _attempt(
        self,
        served: ServedSet,
        granted: Int[np.ndarray, " granted"],
        mcs: Int[np.ndarray, " granted"],
        blocks: Float[np.ndarray, " granted"],
        *,
        needed_sinr: Float[np.ndarray, " granted"],
        slot: int,
    ) -> Attempt:
        """Return the blocks sent: retransmissions that are due, else what the backhaul allows."""
        rows = served.rows[granted]
        size_bits = self._sizes[served.direction][mcs, blocks.astype(np.intp)]
        if self._buffers is None:
            return self._harq.attempt(
                rows,
                slot=slot,
                blocks=blocks,
                mcs=mcs,
                size_bits=size_bits,
                needed_sinr=needed_sinr,
            )
        # A block is sent when the buffer fills it, or is as full as it can get.
        allowed_bits = self._buffers.allowance_bits[rows]
        needed_bits = np.minimum(size_bits, self._most_bits[served.direction][granted])
        allowed_bits[allowed_bits < needed_bits * (1 - 1e-9)] = 0.0
        attempt = self._harq.attempt(
            rows,
            slot=slot,
            blocks=blocks,
            mcs=mcs,
            size_bits=size_bits,
            needed_sinr=needed_sinr,
            allowed_bits=allowed_bits,
        )
        is_new = ~attempt.is_retransmission
        self._buffers.take(attempt.rows[is_new], attempt.bits[is_new])
        return attempt

    def _start_margins(
        self, loop: OuterLoopMargins, sent: SlotTransmission, granted: Int[np.ndarray, " granted"]
    ) -> None:
        """Start the margins of transfers that their cells have not served before."""
        served = sent.served
        new = granted[~loop.is_started(served.rows[granted], served.cell_id[granted])]
        if not len(new):
            return
        mean_sinr = self._lengths[served.direction].equivalent_sinr(
            sent.mean_sinr[new], sent.client_blocks[new]
        )
        client_ids, cell_ids = served.client_id[new].tolist(), served.cell_id[new].tolist()
        loop.start(
            served.rows[new],
            [
                Server(client_id, served.direction, cell_id)
                for client_id, cell_id in zip(client_ids, cell_ids, strict=True)
            ],
            initial_db=self._air.initial_margin_db(mean_sinr, is_uplink=served.is_uplink),
        )

    def _adapt(
        self,
        loop: OuterLoopMargins,
        attempt: Attempt,
        is_received: Bool[np.ndarray, " sender"],
        adapts: Bool[np.ndarray, " sender"],
    ) -> None:
        """Report the outcome of first transmissions to the outer loop."""
        in_use = self._air.rates.mcs_in_use
        mcs = attempt.mcs[adapts]
        loop.report(
            attempt.rows[adapts],
            is_received=is_received[adapts],
            is_lowest=mcs == in_use[0],
            is_highest=mcs == in_use[-1],
        )


def _weakest(
    served: ServedSet,
    granted: Int[np.ndarray, " granted"],
    believed: Float[np.ndarray, " granted"],
) -> Float[np.ndarray, " granted"]:
    """Return for all members of a broadcast the SINR of the weakest of them."""
    least = np.full(len(served.first), np.inf)
    np.minimum.at(least, served.bearer[granted], believed)
    return least[served.bearer[granted]]


def _all_or(places: Int[np.ndarray, " some"], num_all: int) -> slice | Int[np.ndarray, " some"]:
    """Return ascending places, as a slice where they are all: views are faster than copies."""
    return slice(None) if len(places) == num_all else places
