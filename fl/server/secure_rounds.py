"""Secure aggregation in a run: masked sums, their bytes and operations, and who drops out.

The first two steps of the protocol (keys, shares) travel with the download and the upload of each
client; that all clients wait for each other in between is not simulated. The last step is: once no
upload is under way, the server asks those it has received for shares, and they answer.
"""

import math
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import numpy as np
import simpy
import torch

from fl.methods.base import Contribution
from fl.network import Direction, TransferOutcome
from fl.payload import Tensors
from fl.privacy.client_changes import change_of, moved
from fl.privacy.config import SecureAggregation
from fl.privacy.secure_sum import (
    from_words,
    masked,
    step_of,
    to_words,
    unmask_bytes,
    unmasked_sum,
)
from fl.server.federation import Federation
from fl.server.participation import Participation


@dataclass(frozen=True, slots=True)
class SecureSum:
    """Sums changes of one round so that none of them is seen.

    Parameters
    ----------
    federation
        The run. Streams used: ``mask`` (round, client, client).
    config
        Settings.
    round_id
        Addresses masks.
    everyone
        Clients that were drawn; who of them is not in a sum has dropped out.
    """

    federation: Federation
    config: SecureAggregation
    round_id: int
    everyone: Sequence[int]

    def mean(self, contributions: Sequence[Contribution]) -> list[Contribution]:
        """Return updates that have all moved by the mean change, by weight; all weigh 1.

        Clients scale by their part of the texts of all that were drawn, a public number; the sum
        is divided by the parts of those who are in it.
        """
        num_samples = self.federation.roster.num_samples
        of_all = float(sum(num_samples[each] for each in self.everyone))
        parts = [item.weight / of_all for item in contributions]
        changes = [
            {name: part * value for name, value in change_of(item, key=_KEY).items()}
            for item, part in zip(contributions, parts, strict=True)
        ]
        total = self._add([item.client_id for item in contributions], changes, parts)
        mean = {name: value / sum(parts) for name, value in total.items()}
        return [moved(item, mean) for item in contributions]

    def add(self, client_ids: Sequence[int], changes: Sequence[Tensors]) -> Tensors:
        """Return the sum of changes that all count alike."""
        count = len(self.everyone)
        scaled = [{name: value / count for name, value in each.items()} for each in changes]
        total = self._add(client_ids, scaled, [1 / count] * len(changes))
        return {name: value * count for name, value in total.items()}

    def _add(
        self, client_ids: Sequence[int], changes: Sequence[Tensors], parts: Sequence[float]
    ) -> Tensors:
        """Mask, add and unmask changes that are a part of at most the largest."""
        bits, largest = self.config.bits, self.config.largest_change
        step = step_of(largest=largest, bits=bits, num_clients=len(self.everyone))
        draw = partial(self.federation.streams, "mask", self.round_id)
        sent = {}
        for client_id, change, part in zip(client_ids, changes, parts, strict=True):
            flat = np.concatenate([each.reshape(-1).cpu().numpy() for each in change.values()])
            cut = np.clip(flat, -part * largest, part * largest)
            words = to_words(cut, step=step, bits=bits)
            sent[client_id] = masked(words, client_id, everyone=self.everyone, draw=draw, bits=bits)
        summed = unmasked_sum(sent, everyone=self.everyone, draw=draw, bits=bits)
        values = torch.from_numpy(from_words(summed, step=step, bits=bits))
        found, at = {}, 0
        for name, like in changes[0].items():
            found[name] = values[at : at + like.numel()].reshape(like.shape).to(like.device)
            at += like.numel()
        return found


_KEY = "server.secure_aggregation"


def unmask(
    federation: Federation, participations: Sequence[Participation]
) -> Generator[simpy.Event, Any, None]:
    """Ask those who were received for shares; with too few answers all updates are lost.

    Bytes and joules are those of the participations, which have ended.
    """
    config = federation.server.secure_aggregation
    received = [each for each in participations if each.is_received]
    if config is None or not received:
        return
    up, down = unmask_bytes(len(participations))
    asked = [federation.env.process(_answer(federation, each, up, down)) for each in received]
    yield federation.env.all_of(asked)
    num_answers = sum(bool(each.value) for each in asked)
    if num_answers < math.ceil(round(config.threshold * len(participations), 9)):
        for each in received:
            each.discard("unmasking")


def _answer(
    federation: Federation, participation: Participation, up_bytes: int, down_bytes: int
) -> Generator[simpy.Event, Any, bool]:
    """Let a client receive the list of those who are in the sum, and send shares."""
    for direction, size_bytes in (("downlink", down_bytes), ("uplink", up_bytes)):
        sent: TransferOutcome = yield federation.network.send(
            participation.client_id,
            cast("Direction", direction),
            size_bytes,
            participation_id=participation.participation_id,
        ).event
        participation.book(sent)
        if sent.status != "delivered":
            return False
    return True
