"""Which client gets which expert: FedAMoLE's reverse selection (RSEA), pure functions on arrays.

Experts choose clients: each picks exactly ``c``, and no client ends with too few or too many::

    maximise sum_ej P_ej X_ej
    subject to  sum_j X_ej = c,   low <= sum_e X_ej <= high,   X_ej in {0, 1}

(``zyc140345/FedAMoLE``, ``optimize.py`` [code]; it runs an integer solver). The constraints are
those of a transportation problem, totally unimodular, so that every vertex of the linear programme
is integral and the dual simplex finds the exact optimum [derived, tested].
"""

from functools import lru_cache

import numpy as np
import scipy.sparse
from jaxtyping import Bool, Float
from scipy.optimize import linprog
from scipy.special import softmax

MAX_ROUNDING = 1e-6
"""Largest distance of a vertex's coordinates from 0 or 1 that is rounding error."""


def preferences(
    experts: Float[np.ndarray, "expert rank"], clients: Float[np.ndarray, "client rank"]
) -> Float[np.ndarray, "expert client"]:
    """Return ``softmax_j(<u_e, v_j> / sqrt(r))``: how much each expert wants each client [code]."""
    return softmax(experts @ clients.T / experts.shape[1] ** 0.5, axis=1)


def assign(
    wishes: Float[np.ndarray, "expert client"],
    *,
    clients_per_expert: int,
    min_experts: int,
    max_experts: int,
) -> Bool[np.ndarray, "expert client"]:
    """Return the assignment that fulfils most of the experts' wishes.

    A function of its arguments: among equally good assignments the solver, which draws from a seed
    of its own that never changes, always takes the same one.

    Parameters
    ----------
    wishes
        What is added up over the pairs that are made; finite.
    clients_per_expert
        Clients that each expert picks, exactly.
    min_experts, max_experts
        Experts that each client ends with.

    Raises
    ------
    ValueError
        If there is no such assignment.
    RuntimeError
        If the solver fails or gives no integral vertex.
    """
    num_experts, num_clients = wishes.shape
    slots = num_experts * clients_per_expert
    is_possible = clients_per_expert <= num_clients and max_experts >= min_experts
    if not is_possible or not min_experts * num_clients <= slots <= max_experts * num_clients:
        msg = (
            f"clients_per_expert: {num_experts} experts that pick {clients_per_expert} clients "
            f"each must leave {min_experts} to {max_experts} experts with each of "
            f"{num_clients} clients"
        )
        raise ValueError(msg)
    # A constant a row changes nothing, as row sums are fixed, nor does a factor: so close wishes
    # stay apart for a solver of fixed tolerance.
    cost = wishes.mean(axis=1, keepdims=True) - wishes
    cost = cost / max(float(np.abs(cost).max()), np.finfo(float).tiny)
    of_expert, of_client = _sums(num_experts, num_clients)
    found = linprog(  # type: ignore[call-overload] # the stubs know no sparse matrices
        cost.ravel(),
        A_eq=of_expert,
        b_eq=np.full(num_experts, clients_per_expert),
        A_ub=scipy.sparse.vstack([of_client, -of_client]),
        b_ub=np.repeat([max_experts, -min_experts], num_clients),
        bounds=(0, 1),
        method="highs-ds",
    )
    if found.x is None:
        msg = f"assignment of {num_experts} experts to {num_clients} clients: {found.message}"
        raise RuntimeError(msg)
    rounded = np.rint(found.x)
    if np.abs(found.x - rounded).max() > MAX_ROUNDING:
        msg = f"assignment of {num_experts} experts to {num_clients} clients is not integral"
        raise RuntimeError(msg)
    return rounded.astype(bool).reshape(wishes.shape)


@lru_cache(maxsize=4)
def _sums(
    num_experts: int, num_clients: int
) -> tuple[scipy.sparse.csr_array, scipy.sparse.csr_array]:
    """Return the matrices that sum pairs, laid out expert by expert, over clients and experts."""
    each = scipy.sparse.eye_array
    of_expert = scipy.sparse.kron(each(num_experts), np.ones((1, num_clients)), format="csr")
    of_client = scipy.sparse.kron(np.ones((1, num_experts)), each(num_clients), format="csr")
    return of_expert, of_client
