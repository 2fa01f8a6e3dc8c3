"""How long transfers of the flow engine wait for their last retransmissions."""

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from netsim.engines.engine import EngineSettings, Models
from netsim.engines.sub_ticks import time_weights
from netsim.phy.block_error_table import BlockErrorTable
from netsim.phy.harq import MAX_TRANSMISSIONS, ROUND_TRIP_SLOTS
from netsim.phy_abstraction.last_blocks import (
    blocks_a_round_trip,
    failure_probabilities,
    wait_slots,
)
from netsim.rrc.link_tracker import LinkTracker
from netsim.rrc.links import Links
from netsim.streams import Purpose, StreamsInOrder
from netsim.transport.active_transfers import UPLINK
from netsim.transport.completion import Record
from netsim.units import floored_db

UNFADED_LINKS = 4096
"""SINRs with numbers of blocks whose error probabilities are kept where nothing fades."""


class LastBlocks:
    """Draws the wait of each transfer; see :mod:`netsim.phy_abstraction.last_blocks`.

    Parameters
    ----------
    models
        Band, and the channel whose fading the last blocks meet.
    links, tracker
        Fading of the clients at the instants of a tick.
    settings
        Constants; draws come from the stream (seed, LAST_BLOCKS, transfer).
    decides_anew
        Whether uplink service is worked out for one instant at a time.
    """

    def __init__(
        self,
        models: Models,
        links: Links,
        tracker: LinkTracker,
        *,
        settings: EngineSettings,
        decides_anew: bool,
    ) -> None:
        self._air = models.air
        self._channel = models.channel
        self._links = links
        self._tracker = tracker
        self._errors = BlockErrorTable(models.air.rates)
        self._slot_s = settings.slot_s
        self._known_before_s = settings.knowledge_delay_slots * settings.slot_s
        self._decides_anew = decides_anew
        self._draws = StreamsInOrder(settings.seed, Purpose.LAST_BLOCKS)
        # A client that stands still meets the same again and again.
        self._unfaded_failure = lru_cache(UNFADED_LINKS)(self._failure_without_fading)

    def wait_s(
        self, records: Sequence[Record], solved_at_s: float, *, at_s: float
    ) -> Float[np.ndarray, " transfer"]:
        """Return how long transfers that have sent their last bits wait [s].

        Members of a broadcast do not: their blocks in error are sent anew, as other bits are.

        Parameters
        ----------
        records
            Of the transfers, as they were served up to now.
        solved_at_s
            When their service was worked out.
        at_s
            Simulated time.
        """
        first, duration_s = self._tracker.instants(solved_at_s)
        return np.array([self._wait_s(record, first, duration_s, at_s) for record in records])

    def _wait_s(
        self, record: Record, first: int, duration_s: Float[np.ndarray, " instant"], now_s: float
    ) -> float:
        airtime_fraction = float(record["airtime_fraction"])
        if record["bearer_id"] < 0 or not airtime_fraction > 0:
            return 0.0
        is_uplink = bool(record["direction"] == UPLINK)
        slots_apart = max(1.0 / airtime_fraction, 1.0)
        apart_s = slots_apart * self._slot_s
        num_sent = math.ceil(float(record["granted_s"]) / apart_s)
        num_blocks = min(blocks_a_round_trip(slots_apart), max(num_sent, 1))
        # One block stands for all where nothing fades: they are alike.
        failure: Float[np.ndarray, "transmission block"]
        if not self._channel.is_fading:
            failure = self._unfaded_failure(
                float(record["sinr_db"]), round(record["blocks"]), is_uplink=is_uplink
            )
        else:
            sent_s = now_s - apart_s * np.arange(1, num_blocks + 1)
            again_s = self._slot_s * ROUND_TRIP_SLOTS * np.arange(MAX_TRANSMISSIONS - 1)
            at_s = np.vstack([sent_s - self._known_before_s, sent_s + again_s[:, None]])
            fade = self._fade(record, at_s.ravel(), is_uplink=is_uplink).reshape(at_s.shape)
            links = self._links
            fading = (links.uplink_fading if is_uplink else links.downlink_fading)[record["slot"]]
            # the SINR of the record is a mean in decibels over these instants
            if is_uplink and self._decides_anew:
                duration_s = duration_s[:1]
            met = fading[first : first + len(duration_s)].mean(axis=1)
            fading_db = float(time_weights(duration_s) @ floored_db(met))
            failure = failure_probabilities(
                self._air,
                self._errors,
                mean_sinr=10.0 ** (0.1 * (float(record["sinr_db"]) - fading_db)),
                known_fade=fade[0],
                fade=fade[1:],
                blocks=float(record["blocks"]),
                is_uplink=is_uplink,
            )
        level = self._draws.stream(int(record["transfer_id"])).random(num_blocks)
        return self._slot_s * wait_slots(failure, slots_apart=slots_apart, level=level)

    def _failure_without_fading(
        self, sinr_db: float, blocks: int, *, is_uplink: bool
    ) -> Float[np.ndarray, "transmission 1"]:
        fade = np.ones((MAX_TRANSMISSIONS, 1))
        return failure_probabilities(
            self._air,
            self._errors,
            mean_sinr=10.0 ** (0.1 * sinr_db),
            known_fade=fade[0],
            fade=fade[1:],
            blocks=float(blocks),
            is_uplink=is_uplink,
        )

    def _fade(
        self, record: Record, at_s: Float[np.ndarray, " time"], *, is_uplink: bool
    ) -> Float[np.ndarray, " time"]:
        """Return the mean of the groups' fading at some times."""
        cell_id = self._links.cell_id[record["slot"]]
        gains = self._channel.fading_over(
            np.array([int(record["client_id"])]), np.array([cell_id]), at_s=at_s
        )
        return (gains.uplink if is_uplink else gains.downlink)[:, 0].mean(axis=1)
