"""Means of low-rank products: exactly, as one server sends them to another, and at a rank.

The mean of ``B_k A_k`` over clients has a rank up to the sum of theirs. It is kept and sent as it
is, and cut to the rank that clients train only where they download (FlexLoRA, arXiv:2402.11505,
sends its clients the same). So a mean of means is the mean, and each cut loses the singular values
that it leaves out: ``|M - cut(M)|_F^2 = sum_{i > r} s_i^2``. The other exact way, to add what was
cut to the frozen weights of every client (FedEx-LoRA, arXiv:2410.09432 [recollected]), would send
each of them a full matrix a layer.
"""

from collections.abc import Iterable, Mapping, Sequence

import torch

from fl.methods.averaging import weighted_mean
from fl.methods.low_rank import A, B, best_factors, stack_factors
from fl.payload import Tensors

PRODUCT = ".lora_BA"
"""End of the name of a layer's product, of shape ``(out, in)``, in place of its factors."""


def product_layers(names: Iterable[str]) -> tuple[str, ...]:
    """Name the layers of which both factors, or their product, are among some tensors, sorted."""
    known = set(names)
    layers = {name.removesuffix(A) for name in known if name.endswith(A)}
    both = {layer for layer in layers if layer + B in known}
    products = {name.removesuffix(PRODUCT) for name in known if name.endswith(PRODUCT)}
    return tuple(sorted(both | products))


def mean_products(updates: Sequence[Tensors], weights: Sequence[float]) -> dict[str, torch.Tensor]:
    """Average the products of layers, and like-named tensors that belong to none.

    Parameters
    ----------
    updates
        One mapping a client or site, of the same layers; a layer is there as factors, whose rank
        may differ, or as product.
    weights
        One weight each, at least 0, not all 0.

    Returns
    -------
    mapping
        A layer's mean, without loss, as factors in float64
        (:func:`fl.methods.low_rank.stack_factors`). All else as in
        :func:`fl.methods.averaging.weighted_mean`.
    """
    mean = weighted_mean([_others(update) for update in updates], weights)
    for layer in product_layers(updates[0]):
        factors = [_factors(update, layer) for update in updates]
        mean[layer + A], mean[layer + B] = stack_factors(factors, weights, layer=layer)
    return mean


def compact(mean: Tensors) -> dict[str, torch.Tensor]:
    """Return a mean as a site sends it: in float32, a layer as what has fewer numbers.

    That is its factors up to a rank of ``in out / (in + out)``, and else its product (``PRODUCT``).
    Shapes are enough: on the meta device it says how many bytes a mean of a larger model has.
    """
    sent = _others(mean)
    for layer in product_layers(mean):
        rows, columns = mean[layer + A], mean[layer + B]
        (rank, num_in), num_out = rows.shape, len(columns)
        if rank * (num_in + num_out) < num_in * num_out:
            sent[layer + A], sent[layer + B] = rows.float(), columns.float()
        else:
            sent[layer + PRODUCT] = (columns @ rows).float()
    return sent


def cut_products(mean: Tensors, *, spare: Tensors) -> dict[str, torch.Tensor]:
    """Return the best factors of a mean at the rank that clients train.

    Parameters
    ----------
    mean
        From :func:`mean_products`.
    spare
        Factors of the rank wanted, by name: types, and rows of ``A`` for ranks that the mean lacks
        (:func:`fl.methods.low_rank.best_factors`).
    """
    fitted = _others(mean)
    for layer in product_layers(mean):
        rows = spare[layer + A]
        fitted[layer + A], fitted[layer + B] = best_factors(
            mean[layer + A], mean[layer + B], rank=len(rows), spare_rows=rows
        )
    return fitted


def _others(tensors: Tensors) -> dict[str, torch.Tensor]:
    """Return the tensors that belong to no product."""
    layers = product_layers(tensors)
    of_layers = {layer + end for layer in layers for end in (A, B, PRODUCT)}
    return {name: value for name, value in tensors.items() if name not in of_layers}


def _factors(tensors: Tensors, layer: str) -> Mapping[str, torch.Tensor]:
    """Return a layer's factors; of a product, itself and the smaller identity."""
    product = tensors.get(layer + PRODUCT)
    if product is None:
        return {name: tensors[name] for name in (layer + A, layer + B)}
    num_out, num_in = product.shape
    identity = torch.eye(min(num_out, num_in), dtype=product.dtype, device=product.device)
    rows, columns = (identity, product) if num_in <= num_out else (product, identity)
    return {layer + A: rows, layer + B: columns}
