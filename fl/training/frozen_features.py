"""What a frozen encoder makes of each text, computed once: for methods that train the head alone.

The features of a text do not change while nothing below the head does. They are worked out chunk by
chunk of the table, in an order that rests on the lengths of its texts alone, when a text of the
chunk is first asked for. So the result for a text does not depend on who asked before. Against a
pass through the encoder for each batch, it differs in its last bits, as padding does.

Devices are charged for the whole pass in every step all the same: that they keep features is not
assumed.
"""

from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int

from fl.models.batch import Batch
from fl.models.classifier import TextClassifier
from fl.training.batches import Examples

CHUNK = 64
"""Texts that are worked out together."""


class FrozenFeatures:
    """Features of the texts of a table.

    Parameters
    ----------
    module
        Whose encoder does not change.
    examples
        The table.
    """

    def __init__(self, module: TextClassifier, examples: Examples) -> None:
        self._module = module
        self._examples = examples
        self._known: dict[int, Float[torch.Tensor, "text hidden"]] = {}

    def batch(self, indices: Int[np.ndarray, " text"]) -> Batch:
        """Return some texts with their features; there are no tokens then."""
        none = torch.empty((len(indices), 0), dtype=torch.long)
        place = self._place[indices]
        rows = [self._chunk(chunk)[row] for chunk, row in zip(*divmod(place, CHUNK), strict=True)]
        batch = Batch(
            input_ids=none,
            attention_mask=none,
            labels=torch.from_numpy(self._examples.labels[indices]),
            features=torch.stack(rows),
        )
        return batch.to(self._examples.device)

    @cached_property
    def _order(self) -> Int[np.ndarray, " text"]:
        """Texts by length: little is padded."""
        return np.argsort(self._examples.tokens.lengths, kind="stable")

    @cached_property
    def _place(self) -> Int[np.ndarray, " text"]:
        place = np.empty(len(self._order), dtype=np.int64)
        place[self._order] = np.arange(len(self._order))
        return place

    def _chunk(self, chunk: int) -> Float[torch.Tensor, "text hidden"]:
        if chunk not in self._known:
            batch = self._examples.batch(self._order[CHUNK * chunk : CHUNK * (chunk + 1)])
            # an evaluation may ask first: what it makes must serve training, too
            with torch.inference_mode(mode=False), torch.no_grad():
                self._known[chunk] = self._module.features(
                    batch.input_ids, batch.attention_mask, batch.token_type_ids
                )
        return self._known[chunk]
