"""Low-rank factors of updates: cut, padded, measured, stacked, decomposed; pure functions.

A layer's update is a scale times ``B A`` with ``A`` of shape ``(rank, in)`` and ``B`` of shape
``(out, rank)``. Products of clients of different rank are on one scale here: all divide ``alpha``
by the largest rank [our choice; with ``alpha / r_k`` each, the same product would mean another
update at another client].
"""

from collections.abc import Iterable, Sequence

import numpy as np
import torch

from fl.payload import Tensors

A, B = ".lora_A", ".lora_B"
"""Ends of the names of the two factors of a layer."""


def lora_layers(names: Iterable[str]) -> tuple[str, ...]:
    """Name the layers whose factors are among some tensors, sorted."""
    return tuple(sorted(name.removesuffix(A) for name in names if name.endswith(A)))


def at_rank(tensors: Tensors, *, rank: int) -> dict[str, torch.Tensor]:
    """Return factors of a rank, from larger ones by their first ranks, from smaller ones by zeros.

    Tensors that are no factors, and factors that fit already, are given as they are.
    """
    fitted = {}
    for name, tensor in tensors.items():
        axis = 0 if name.endswith(A) else 1 if name.endswith(B) else None
        if axis is None or tensor.shape[axis] == rank:
            fitted[name] = tensor
        elif tensor.shape[axis] > rank:
            fitted[name] = tensor.narrow(axis, 0, rank).contiguous()
        else:
            shape = list(tensor.shape)
            shape[axis] = rank - tensor.shape[axis]
            fitted[name] = torch.cat([tensor, tensor.new_zeros(shape)], dim=axis)
    return fitted


def product_norm(tensors: Tensors) -> float:
    """Return the Frobenius norm of all layers' products together, ``sqrt(sum_l |B_l A_l|_F^2)``.

    By ``|B A|_F^2 = tr((B^T B) (A A^T))``, without forming a product; in float64.
    """
    squares = 0.0
    for layer in lora_layers(tensors):
        rows = tensors[layer + A].to(torch.float64)
        columns = tensors[layer + B].to(torch.float64)
        squares += float(((columns.T @ columns) * (rows @ rows.T)).sum())
    # Rounding may leave a sum of squares just below 0.
    return float(np.sqrt(max(squares, 0.0)))


def stack_factors(
    updates: Sequence[Tensors], weights: Sequence[float], *, layer: str
) -> tuple[torch.Tensor, torch.Tensor]:
    """Concatenate a layer's factors over clients: their product is the weighted mean of products.

    ``A = [p_1 A_1; p_2 A_2; ...]`` by rows and ``B = [B_1, B_2, ...]`` by columns, with
    ``p_k = w_k / sum w``, give ``B A = sum_k p_k B_k A_k`` exactly, whatever the ranks: the weight
    stands on one side only.

    Returns
    -------
    A, B
        In float64, of rank ``sum_k r_k``, clients in the order given.
    """
    total = float(sum(weights))
    rows = [
        update[layer + A].to(torch.float64) * (weight / total)
        for update, weight in zip(updates, weights, strict=True)
    ]
    columns = [update[layer + B].to(torch.float64) for update in updates]
    return torch.cat(rows), torch.cat(columns, dim=1)


def add_product(
    merged: torch.Tensor, *, rows: torch.Tensor, columns: torch.Tensor, scale: float
) -> torch.Tensor:
    """Return ``merged + scale B A``: in float64, rounded once.

    Whoever adds the same factors to the same matrix gets the same bits.
    """
    product = columns.to(torch.float64) @ rows.to(torch.float64)
    return (merged.to(torch.float64) + scale * product).to(merged.dtype)


def best_factors(
    rows: torch.Tensor, columns: torch.Tensor, *, rank: int, spare_rows: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the factors of the best approximation of ``B A`` by a product of a given rank.

    The truncated singular value decomposition ``U S V^T`` (Eckart and Young), computed from QR of
    both factors and the decomposition of a small matrix, never forming ``B A``: ``B = U S`` and
    ``A = V^T``, whose rows have length 1. Each pair's sign makes the largest entry of its column of
    ``U`` positive.

    Ranks beyond that of ``B A`` (singular values below the float32 resolution of the largest) get a
    column of zeros and their spare row: with zeros on both sides neither would ever have a gradient
    again [our choice].

    Parameters
    ----------
    rows, columns
        ``A`` and ``B``.
    rank
        Rank of the result.
    spare_rows
        Rows of ``A`` for ranks without any singular value, shape ``(rank, in)``.

    Returns
    -------
    A, B
        In the type of ``spare_rows``, singular values descending: the first ``r`` ranks are the
        best approximation of rank ``r``.
    """
    left, left_triangle = torch.linalg.qr(columns.to(torch.float64))
    right, right_triangle = torch.linalg.qr(rows.to(torch.float64).T)
    inner, values, inner_right = torch.linalg.svd(left_triangle @ right_triangle.T)
    num_values = min(rank, len(values))
    vectors = left @ inner[:, :num_values]
    transposed = inner_right[:num_values] @ right.T
    largest = vectors.abs().argmax(dim=0, keepdim=True)
    signs = torch.where(vectors.gather(0, largest) < 0, -1.0, 1.0).to(torch.float64)
    kept = values[:num_values]
    is_live = kept > torch.finfo(torch.float32).eps * values.max()
    new_rows = spare_rows.to(torch.float64).clone()
    new_columns = columns.new_zeros((columns.shape[0], rank), dtype=torch.float64)
    new_rows[:num_values] = torch.where(
        is_live[:, None], signs.T * transposed, new_rows[:num_values]
    )
    new_columns[:, :num_values] = vectors * signs * torch.where(is_live, kept, 0.0)
    return new_rows.to(spare_rows.dtype), new_columns.to(spare_rows.dtype)
