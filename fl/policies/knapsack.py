"""Selection of the most training texts within a budget: the 0-1 knapsack problem.

Dantzig's bound fixes all clients but a few around the break of the density order; those few are
searched in full, as long as they are no more than :data:`MAX_CORE`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Gt
from jaxtyping import Bool, Float, Int

from fl.policies.view import NobodyFitsError, Selection

MAX_CORE = 200
"""Most clients that are searched; of more, those whose place is least certain."""
MAX_STATES = 2_000
"""Most partial choices that the search keeps; of more, those of the largest value. The result is
exact as long as neither limit is met, which takes hundreds of clients of nearly equal density."""
SLACK = 1e-6
"""Rounding that is allowed for in bounds, in texts."""


@dataclass(frozen=True, kw_only=True)
class KnapsackPolicyConfig:
    """The clients with the most training texts together whose costs fit into a budget of the round.

    Costs are those foreseen; exactly one budget is given.
    """

    budget_j: Annotated[float, Gt(0)] | None = None
    """Joules of all clients of a round, computing and upload."""
    budget_s: Annotated[float, Gt(0)] | None = None
    """Seconds of all uploads of a round, each with the whole band of its cell."""
    kind: Literal["knapsack"] = "knapsack"


def find_problems(config: KnapsackPolicyConfig) -> Iterator[tuple[str, str]]:
    """Find settings that do not go together: key, and rule with the value found."""
    if (config.budget_j is None) == (config.budget_s is None):
        found = "neither" if config.budget_j is None else "both"
        yield "budget_j", f"give exactly one of budget_j and budget_s, got {found}"


class KnapsackPolicy:
    """Select the set of clients with the most texts that fits."""

    def __init__(self, config: KnapsackPolicyConfig) -> None:
        self._config = config

    def select(self, view: Selection, *, rng: np.random.Generator) -> list[int]:
        """Return the clients; nothing is drawn. A number asked for takes the densest of them.

        Where nobody can be reached now, it is one client at random: links come back.

        Raises
        ------
        NobodyFitsError
            If no client that can be reached fits into the budget.
        """
        config, clients = self._config, view.candidates
        if config.budget_s is not None:
            key, budget, unit, cost = "budget_s", config.budget_s, "s", clients.upload_s()
        else:
            key, budget, unit = "budget_j", config.budget_j or 0.0, "J"
            cost = clients.compute_j + clients.upload_j()
        chosen = fill_knapsack(clients.num_samples, cost, budget=budget)
        if not len(chosen):
            if cost.min() == np.inf:
                return [int(rng.choice(clients.client_id))]
            msg = f"{key}: no client fits into {budget:g} {unit}, the cheapest needs {cost.min():g}"
            raise NobodyFitsError(msg)
        return clients.client_id[chosen[: view.num_wanted]].tolist()


def fill_knapsack(
    value: Int[np.ndarray, " item"], cost: Float[np.ndarray, " item"], *, budget: float
) -> Int[np.ndarray, " chosen"]:
    """Return the items of the largest total value whose total cost is within a budget.

    Parameters
    ----------
    value
        Whole numbers, >= 1.
    cost
        Of each item, >= 0; inf: it never fits.
    budget
        Largest total cost.

    Returns
    -------
    array
        Items by value over cost, the densest first. Of sets of equal value any one.
    """
    items = np.flatnonzero(cost <= budget)
    density = np.divide(
        value[items], cost[items], out=np.full(len(items), np.inf), where=cost[items] > 0
    )
    order = np.argsort(-density, kind="stable")
    items, density = items[order], density[order]
    values, costs = value[items].astype(np.float64), cost[items]
    fill = np.cumsum(costs)
    num_fitting = int(np.searchsorted(fill, budget, side="right"))
    if num_fitting == len(items):
        return items
    is_in = np.arange(len(items)) < num_fitting
    left = budget - (fill[num_fitting - 1] if num_fitting else 0.0)
    # No set is worth more than the items before the break and the part of the next that fits.
    bound = values[is_in].sum() + left * density[num_fitting]
    rest = num_fitting + np.flatnonzero(costs[num_fitting:] <= left)
    if len(rest):
        is_in[rest[np.argmax(values[rest])]] = True
    needed = values[is_in].sum() + 1.0  # values are whole: less than 1 more is nothing
    # What is lost of the bound when an item is put in, or left out, against its place: where more
    # is lost than there is to gain, its place is right.
    loss = np.abs(values - costs * density[num_fitting])
    loss[costs == 0] = np.inf
    core = np.flatnonzero(bound - loss >= needed - SLACK)
    if len(core) > MAX_CORE:
        core = np.sort(core[np.argsort(loss[core], kind="stable")[:MAX_CORE]])
    fixed = np.arange(len(items)) < num_fitting
    fixed[core] = False
    found = _search(
        values[core],
        costs[core],
        room=budget - costs[fixed].sum(),
        needed=needed - values[fixed].sum(),
    )
    if found is None:
        return items[is_in]
    fixed[core[found]] = True
    return items[fixed]


def _search(
    values: Float[np.ndarray, " item"],
    costs: Float[np.ndarray, " item"],
    *,
    room: float,
    needed: float,
) -> Int[np.ndarray, " chosen"] | None:
    """Return the items of the largest value that fit, ``None`` where none reaches what is needed.

    Items come by falling density. States are the choices among the items so far that no other
    beats in both cost and value, and that can still reach what is needed.
    """
    cost, value = np.zeros(1), np.zeros(1)
    steps: list[tuple[Int[np.ndarray, " state"], Bool[np.ndarray, " state"]]] = []
    for item in range(len(values)):
        fits = np.flatnonzero(cost + costs[item] <= room)
        parent = np.concatenate([np.arange(len(cost)), fits])
        is_taken = np.arange(len(parent)) >= len(cost)
        cost = cost[parent] + is_taken * costs[item]
        value = value[parent] + is_taken * values[item]
        order = np.lexsort((-value, cost))
        best_before = np.maximum.accumulate(np.concatenate([[-1.0], value[order][:-1]]))
        is_last = item + 1 == len(values)
        next_density = 0.0 if is_last else values[item + 1] / costs[item + 1]
        reach = value[order] + (room - cost[order]) * next_density
        kept = order[(value[order] > best_before) & (reach >= needed - SLACK)][-MAX_STATES:]
        if not len(kept):
            return None
        cost, value = cost[kept], value[kept]
        steps.append((parent[kept], is_taken[kept]))
    if not steps:
        return None
    state, chosen = int(np.argmax(value)), []
    for item in range(len(values) - 1, -1, -1):
        parent, is_taken = steps[item]
        if is_taken[state]:
            chosen.append(item)
        state = int(parent[state])
    return np.array(chosen[::-1], dtype=np.int64)
