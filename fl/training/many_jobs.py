"""What jobs of many clients compute under one seed: each distinct step is counted once.

How a job's texts are laid out in batches hangs on their number and the seed alone, so clients with
equally many have one layout; and a step costs by its shape, of which there are few.
"""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Int

from fl.training.cost import CostModel
from fl.training.job import Start

Layout = Callable[[Int[np.ndarray, " text"]], Sequence[Int[np.ndarray, " text"]]]
"""From the texts of a job to its batches. Of equally many other texts: those at the same places."""


def steps_flop(
    samples: Sequence[Int[np.ndarray, " text"]],
    *,
    layout: Layout,
    lengths: Int[np.ndarray, " text"],
    answer_lengths: Int[np.ndarray, " text"] | None,
    start: Start,
    cost: CostModel,
) -> list[int]:
    """Return the operations of the steps of one job a client, in whole numbers.

    Parameters
    ----------
    samples
        Texts of each client, at least one, each once: indices into the tables of lengths.
    layout
        Batches of a job's steps.
    lengths, answer_lengths
        Tokens of each text and of its answer; ``None`` where texts are classified.
    start
        Where all the jobs begin; only what is trained and shapes matter.
    cost
        Counts a step.
    """
    found = [0] * len(samples)
    counted: dict[tuple[int, int, int], int] = {}
    for size, rows in _by_size(samples).items():
        texts = np.stack([samples[row] for row in rows])
        long = lengths[texts]
        answers = None if answer_lengths is None else answer_lengths[texts]
        total = np.zeros(len(rows), dtype=object)  # sums may exceed 64 bits
        for places in layout(np.arange(size)):
            num_tokens = long[:, places].max(axis=1).astype(np.int64)
            num_asked = np.zeros_like(num_tokens)
            if answers is not None:
                num_asked = answers[:, places].sum(axis=1).astype(np.int64)
            base = int(num_asked.max()) + 1
            kinds, kind = np.unique(num_tokens * base + num_asked, return_inverse=True)
            flop = np.empty(len(kinds), dtype=object)
            for at, code in enumerate(kinds.tolist()):
                shape = (len(places), *divmod(code, base))
                if shape not in counted:
                    counted[shape] = cost.step_flop(
                        start.trainable,
                        batch_size=shape[0],
                        num_tokens=shape[1],
                        num_asked=None if answers is None else shape[2],
                        tensors=start.tensors,
                    )
                flop[at] = counted[shape]
            total += flop[kind]
        for row, flop_of_row in zip(rows, total.tolist(), strict=True):
            found[row] = flop_of_row
    return found


def _by_size(samples: Sequence[Int[np.ndarray, " text"]]) -> dict[int, list[int]]:
    """Return the clients with each number of texts."""
    rows: dict[int, list[int]] = {}
    for row, texts in enumerate(samples):
        rows.setdefault(len(texts), []).append(row)
    return rows
