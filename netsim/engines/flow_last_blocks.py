"""How long transfers of the flow engine wait for their last retransmissions."""

import numpy as np
from jaxtyping import Float

from netsim.channel.channel import Channel
from netsim.phy.block_error_table import BlockErrorTable
from netsim.phy.harq import MAX_TRANSMISSIONS, ROUND_TRIP_SLOTS
from netsim.phy_abstraction.air_interface import AirInterface
from netsim.phy_abstraction.last_blocks import (
    blocks_a_round_trip,
    failure_probabilities,
    wait_slots,
)
from netsim.streams import Purpose, stream
from netsim.transport.active_transfers import UPLINK
from netsim.units import floored_db


class LastBlocks:
    """Draws the wait of each transfer; see :mod:`netsim.phy_abstraction.last_blocks`.

    Parameters
    ----------
    air
        Constants of the band.
    channel
        Its fading is that of the last blocks.
    slot_s
        Duration of a slot [s].
    knowledge_delay_slots
        Age of channel measurements.
    seed
        Root seed; draws come from the stream (seed, LAST_BLOCKS, transfer).
    """

    def __init__(
        self,
        air: AirInterface,
        channel: Channel,
        *,
        slot_s: float,
        knowledge_delay_slots: int,
        seed: int,
    ) -> None:
        self._air = air
        self._channel = channel
        self._errors = BlockErrorTable(air.rates)
        self._slot_s = slot_s
        self._known_before_s = knowledge_delay_slots * slot_s
        self._seed = seed

    def wait_s(
        self,
        record: np.void,
        *,
        cell_id: int,
        fading: Float[np.ndarray, "instant group"],
        weight: Float[np.ndarray, " instant"],
        now_s: float,
    ) -> float:
        """Return how long a transfer that has sent its last bit waits [s].

        Members of a broadcast do not: their blocks in error are sent anew, as other bits are.

        Parameters
        ----------
        record
            Of the transfer, as it was served up to now.
        cell_id
            Its cell.
        fading, weight
            Power gains of the fading over which its SINR is the mean in decibels, and the share of
            time in which each holds.
        now_s
            Simulated time.
        """
        if record["bearer_id"] < 0 or not record["airtime_fraction"] > 0:
            return 0.0
        is_uplink = bool(record["direction"] == UPLINK)
        slots_apart = max(1.0 / float(record["airtime_fraction"]), 1.0)
        apart_s = slots_apart * self._slot_s
        num_sent = int(np.ceil(record["granted_s"] / apart_s))
        num_blocks = min(blocks_a_round_trip(slots_apart), max(num_sent, 1))
        sent_s = now_s - apart_s * np.arange(1, num_blocks + 1)
        again_s = self._slot_s * ROUND_TRIP_SLOTS * np.arange(MAX_TRANSMISSIONS - 1)
        at_s = np.vstack([sent_s - self._known_before_s, sent_s + again_s[:, None]])
        fade = self._fade(record, cell_id, at_s.ravel(), is_uplink=is_uplink).reshape(at_s.shape)
        unfaded_db = float(record["sinr_db"]) - float(weight @ floored_db(fading.mean(axis=1)))
        failure = failure_probabilities(
            self._air,
            self._errors,
            mean_sinr=10.0 ** (0.1 * unfaded_db),
            known_fade=fade[0],
            fade=fade[1:],
            blocks=float(record["blocks"]),
            is_uplink=is_uplink,
        )
        rng = stream(self._seed, Purpose.LAST_BLOCKS, int(record["transfer_id"]))
        level = rng.random(num_blocks)
        return self._slot_s * wait_slots(failure, slots_apart=slots_apart, level=level)

    def _fade(
        self, record: np.void, cell_id: int, at_s: Float[np.ndarray, " time"], *, is_uplink: bool
    ) -> Float[np.ndarray, " time"]:
        """Return the mean of the groups' fading at some times."""
        client_id = np.array([int(record["client_id"])])
        gains = self._channel.fading_over(client_id, np.array([cell_id]), at_s=at_s)
        return (gains.uplink if is_uplink else gains.downlink)[:, 0].mean(axis=1)
