"""Supervised training whose model is cut: the client has the lower part, the server the upper.

Values are those of :class:`fl.training.supervised.Supervised`, as nothing but the place of each
operation differs: a job runs as a whole. Only what it costs, and what crosses the link in each of
its steps, is split.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Int

from fl.clients.work import Work
from fl.data.shards import Shards
from fl.training.cost import CostModel
from fl.training.exchange import Exchange
from fl.training.job import Start
from fl.training.objective import SplitLoss
from fl.training.procedure import Largest, Plan
from fl.training.split_cost import SplitCost
from fl.training.split_count import check_cut
from fl.training.supervised import Supervised

WHOLE_NUMBER_BYTES = 4
"""A class, the id of a token, the length of a text or of its prompt."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitSupervised(Supervised):
    """Optimiser steps of which each crosses the cut twice; costs are those of the client."""

    split: SplitLoss
    """Where the cut is, and how numbers cross it."""
    _split_costs: dict[CostModel, SplitCost] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    def work(self, plan: Plan, start: Start, cost: CostModel) -> Work:
        """Return the operations of the client in all steps."""
        return Supervised.work(self, plan, start, self._costs(cost).client)

    def works(
        self,
        samples: Sequence[Int[np.ndarray, " text"]],
        start: Start,
        cost: CostModel,
        *,
        seed: int,
    ) -> list[Work]:
        """Return what jobs of many clients compute; see :func:`fl.training.procedure.works_of`."""
        return Supervised.works(self, samples, start, self._costs(cost).client, seed=seed)

    def largest(self, shards: Shards, start: Start, cost: CostModel) -> Largest:
        """Return the client's part of the largest step."""
        return Supervised.largest(self, shards, start, self._costs(cost).client)

    def check(self, cost: CostModel) -> None:
        """Refuse a model of fewer blocks than the client is to have.

        Raises
        ------
        ValueError
            One line.
        """
        check_cut(cost.module, self.split.cut_layer)

    def exchanges(self, plan: Plan, start: Start, cost: CostModel) -> list[Exchange]:
        """Return what each pass of a plan computes on either side and sends.

        A step is one pass, or several where ``micro_batch_size`` parts its texts.
        """
        tokens = self.train.tokens
        answers = tokens.answer_lengths
        known: dict[tuple[int, int, int | None], Exchange] = {}
        found = []
        for texts in (piece for batch in plan.steps for piece in self._pieces(batch)):
            num_asked = None if answers is None else int(answers[texts].sum())
            shape = (len(texts), int(tokens.lengths[texts].max()), num_asked)
            if shape not in known:
                known[shape] = self._exchange(shape, start, self._costs(cost))
            found.append(known[shape])
        return found

    def _exchange(
        self, shape: tuple[int, int, int | None], start: Start, costs: SplitCost
    ) -> Exchange:
        """Return the exchange of a step of so many texts, tokens a text and scored tokens."""
        num_texts, num_tokens, num_asked = shape

        def flop(part: CostModel) -> int:
            return part.step_flop(
                start.trainable,
                batch_size=num_texts,
                num_tokens=num_tokens,
                num_asked=num_asked,
                tensors=start.tensors,
            )

        is_writing = num_asked is not None
        labels = num_texts if num_asked is None else num_asked
        if costs.has_all_blocks:
            # The client pools, or picks the tokens that are scored: neither needs a weight.
            vectors, whole_numbers = labels, labels
        else:
            # The server needs the length of each text, and where its answer begins.
            vectors = num_texts * num_tokens
            whole_numbers = labels + num_texts * (2 if is_writing else 1)
        width = costs.width(start.trainable, start.tensors, is_writing=is_writing)
        activation_bytes = vectors * width * self.split.number_bytes
        before, server_flop = flop(costs.before), flop(costs.server)
        speed = self.split.server_flop_per_s
        return Exchange(
            before=Work(flop=before),
            uplink_bytes=activation_bytes + whole_numbers * WHOLE_NUMBER_BYTES,
            server_flop=server_flop,
            server_s=0.0 if speed is None else server_flop / speed,
            downlink_bytes=activation_bytes,
            after=Work(flop=flop(costs.client) - before),
        )

    def _costs(self, cost: CostModel) -> SplitCost:
        if cost not in self._split_costs:
            self._split_costs[cost] = SplitCost(cost, cut_layer=self.split.cut_layer)
        return self._split_costs[cost]
