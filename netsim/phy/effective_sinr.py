"""Exponential effective SINR mapping (EESM): one SINR for a block over a selective channel."""

import numpy as np
from jaxtyping import Float

from netsim.array_like import ArrayLike


def effective_sinr_linear(
    sinr_linear: Float[np.ndarray, "*link group"],
    *,
    beta: ArrayLike,
    weight: Float[np.ndarray, "... group"] | None = None,
) -> Float[np.ndarray, "*link"]:
    """Return the SINR of a flat channel with the same block error rate.

    ``-beta ln(sum_g w_g exp(-sinr_g / beta))`` with weights that sum to 1.

    Parameters
    ----------
    sinr_linear
        SINR of every resource-block group, linear, >= 0.
    beta
        Parameter of the MCS, > 0, see :class:`netsim.phy.mcs.McsTable`; broadcasts over links.
    weight
        Share of the block in each group, >= 0, any scale; equal shares if absent. At least one
        group of a link has a weight above 0.

    Returns
    -------
    array
        Effective SINR, between the smallest SINR and the mean SINR of the groups.

    References
    ----------
    Brueninghaus et al., "Link performance models for system level simulations of broadband radio
    access systems", PIMRC 2005 (recollected); the betas are those of 5G-LENA.

    Examples
    --------
    >>> flat = effective_sinr_linear(np.array([1.0, 10.0]), beta=4.27)
    >>> float((10 * np.log10(flat)).round(4))
    5.4034
    """
    beta_row = np.asarray(beta, dtype=float)[..., None]
    if np.any(beta_row <= 0):
        msg = f"beta: must be > 0, got minimum {np.min(beta_row)}"
        raise ValueError(msg)
    if weight is None:
        share = np.full(sinr_linear.shape[-1], 1.0 / sinr_linear.shape[-1])
        floor = sinr_linear.min(axis=-1, keepdims=True)
    else:
        total = weight.sum(axis=-1, keepdims=True)
        if np.any(total <= 0) or np.any(weight < 0):
            least = f"minimum {np.min(weight)}, minimum sum {np.min(total)}"
            msg = f"weight: must be >= 0 with a sum > 0, got {least}"
            raise ValueError(msg)
        share = weight / total
        floor = np.where(share > 0, sinr_linear, np.inf).min(axis=-1, keepdims=True)
    # Relative to the weakest group in use the exponentials cannot all underflow.
    decay = np.exp(-np.maximum(sinr_linear - floor, 0.0) / beta_row)
    return np.asarray(floor[..., 0] - beta_row[..., 0] * np.log((share * decay).sum(axis=-1)))


def mean_over_groups(
    values: Float[np.ndarray, "*transfer group"],
) -> Float[np.ndarray, "*transfer"]:
    """Return the mean over groups, without a sum where there is one group."""
    num_groups = values.shape[-1]
    # A product is faster than a sum over a short axis.
    return values[..., 0] if num_groups == 1 else values @ np.ones(num_groups) / num_groups


def mean_over_held(
    values: Float[np.ndarray, "*transfer group"],
    shares: Float[np.ndarray, "*transfer group"],
) -> Float[np.ndarray, "*transfer"]:
    """Return the mean over groups weighted by the shares held; unweighted where none is held."""
    if values.shape[-1] == 1:
        return values[..., 0]
    weight = np.where(shares.sum(axis=-1, keepdims=True) > 0, shares, 1.0)
    return (weight * values).sum(axis=-1) / weight.sum(axis=-1)
