"""Dealing of experts to clients: what the server remembers of both, and who is to hold what.

The memory is tensors over all layers, in the order of the model: the assignment, and the last
embeddings that clients sent of themselves and of the experts that they held.
"""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import softmax

from fl.methods.fedamole.config import FedamoleConfig
from fl.methods.fedamole.rsea import assign, preferences
from fl.payload import Tensors

ASSIGNMENT, EXPERTS, CLIENTS, KNOWN = "assignment", "experts", "clients", "is_known"
"""The server's memory: who holds what, ``(layer, expert, client)``; last embeddings of experts,
``(layer, expert, rank)``, and of clients, ``(layer, client, rank)``; clients that have any."""


def first_memory(
    config: FedamoleConfig, *, num_layers: int, num_clients: int, seed: int
) -> Tensors:
    """Return the memory before the first round: experts dealt at random, nothing known.

    Raises
    ------
    ValueError
        If experts cannot be dealt to this many clients.
    """
    num_experts = config.num_experts(num_clients)
    shape = (num_layers, num_experts, num_clients)
    return {
        ASSIGNMENT: _deal(_random_wishes(shape, seed=seed, version=0), config=config),
        EXPERTS: torch.zeros((num_layers, num_experts, config.rank)),
        CLIENTS: torch.zeros((num_layers, num_clients, config.rank)),
        KNOWN: torch.zeros(num_clients, dtype=torch.bool),
    }


def dealt_anew(memory: Tensors, *, config: FedamoleConfig, seed: int, version: int) -> Tensors:
    """Return the memory with experts dealt as the setting says, for a version of the server."""
    if config.assignment == "static":
        return memory
    if config.assignment == "random":
        wishes = _random_wishes(tuple(memory[ASSIGNMENT].shape), seed=seed, version=version)
    else:
        wishes = _wishes(memory)
    return {**memory, ASSIGNMENT: _deal(wishes, config=config)}


def mean_of_holders(
    before: torch.Tensor, rows: Sequence[torch.Tensor], values: Sequence[torch.Tensor]
) -> torch.Tensor:
    """Average each row over the clients that sent it, all alike; rows nobody sent stay.

    Parameters
    ----------
    before
        Shape ``(expert, ...)``.
    rows, values
        One of each a client: the rows that it sent, no row twice, and their values in that order.
    """
    total = torch.zeros(before.shape, dtype=torch.float64)
    count = torch.zeros(len(before), dtype=torch.float64)
    for ids, value in zip(rows, values, strict=True):
        total.index_add_(0, ids.to(torch.int64), value.to(torch.float64))
        count.index_add_(0, ids.to(torch.int64), torch.ones(len(ids), dtype=torch.float64))
    after = before.clone()
    is_held = count > 0
    mean = total[is_held] / count[is_held].view(-1, *[1] * (before.ndim - 1))
    after[is_held] = mean.to(before.dtype)
    return after


def _deal(
    wishes: Float[np.ndarray, "layer expert client"], *, config: FedamoleConfig
) -> torch.Tensor:
    """Assign the experts of every layer on its own; bool, ``(layer, expert, client)``."""
    _, num_experts, num_clients = wishes.shape
    low, high = config.top_k, config.max_experts
    if config.assignment == "homogeneous":
        slots = num_experts * config.num_holders(num_clients)
        low, high = slots // num_clients, -(-slots // num_clients)
    return torch.from_numpy(
        np.stack(
            [
                assign(
                    of_layer,
                    clients_per_expert=config.num_holders(num_clients),
                    min_experts=low,
                    max_experts=high,
                )
                for of_layer in wishes
            ]
        )
    )


def _random_wishes(
    shape: tuple[int, ...], *, seed: int, version: int
) -> Float[np.ndarray, "layer expert client"]:
    """Return the softmax over clients of random scores, a function of the arguments [code]."""
    return softmax(np.random.default_rng([seed, version]).standard_normal(shape), axis=-1)


def _wishes(memory: Tensors) -> Float[np.ndarray, "layer expert client"]:
    """Score pairs by the last embeddings there are.

    A client that has never delivered counts as the average of those that have; an expert that
    nobody has delivered has embedding 0 and wants all clients alike [our choice].
    """
    clients = memory[CLIENTS].to(torch.float64).numpy().copy()
    is_known = memory[KNOWN].numpy()
    clients[:, ~is_known] = clients[:, is_known].mean(axis=1, keepdims=True)
    experts = memory[EXPERTS].to(torch.float64).numpy()
    return np.stack([preferences(*pair) for pair in zip(experts, clients, strict=True)])
