"""Evaluation off the clock: which texts a model classifies right."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int

from fl.payload import Tensors
from fl.training.batches import Examples
from fl.training.worker import Worker

WORST_FRACTION = 0.1
"""Part of the clients that ``worst10`` averages over."""


def predict_right(
    tensors: Tensors,
    worker: Worker,
    *,
    examples: Examples,
    indices: Int[np.ndarray, " text"],
    batch_size: int,
) -> Bool[np.ndarray, " text"]:
    """Tell for each text, in the order asked for, whether the model gives its class.

    Texts are batched by length, so little is padded; the answer for a text does not depend on its
    batch but for the last bits of its scores.
    """
    worker.load(tensors)
    order = np.argsort(examples.tokens.lengths[indices], kind="stable")
    is_right = np.empty(len(indices), dtype=bool)
    with torch.inference_mode():
        for at in range(0, len(order), batch_size):
            rows = order[at : at + batch_size]
            batch = examples.batch(indices[rows])
            scores = worker.module(batch.input_ids, batch.attention_mask)
            is_right[rows] = (scores.argmax(dim=-1) == batch.labels).numpy()
    return is_right


def accuracy_over_clients(
    accuracies: Sequence[float] | Float[np.ndarray, " client"],
) -> tuple[float, float, float]:
    """Give mean, standard deviation (population) and mean of the worst 10 % of clients.

    At least one client counts as worst.
    """
    values = np.sort(np.asarray(accuracies, dtype=np.float64))
    num_worst = max(1, int(np.ceil(WORST_FRACTION * len(values) - 1e-9)))
    return float(values.mean()), float(values.std()), float(values[:num_worst].mean())
