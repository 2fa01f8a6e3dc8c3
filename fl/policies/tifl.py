"""TiFL: clients of one tier of speed at a time (arXiv:2001.09249)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Le, MinLen
from jaxtyping import Int

from fl.policies.client_values import ClientValues
from fl.policies.view import Selection


@dataclass(frozen=True, kw_only=True)
class TiflPolicyConfig:
    """Clients of one tier at random; tiers are drawn, so that a fast client waits for no slow one.

    Tiers are of equal size, by the seconds of a participation: foreseen at first, then those of the
    last one. Tiers are drawn with given chances; the paper's chances by the accuracy of a tier are
    not offered, as the server has no test texts of a tier.
    """

    num_clients: Annotated[int, Gt(0)]
    """Clients a round."""
    num_tiers: Annotated[int, Ge(2), Le(100)] = 5
    """Tiers, the fastest first."""
    chances: Annotated[tuple[Annotated[float, Gt(0)], ...], MinLen(2)] | None = None
    """Chance of each tier, the fastest first, up to a common factor; empty: all alike."""
    credits: Annotated[int, Gt(0)] | None = None
    """How often each tier may be drawn; when all are used up, each gets as many again (our choice).
    Empty: no limit."""
    profile_rounds: Annotated[int, Gt(0)] = 10
    """Rounds after which clients are sorted into tiers anew (our choice)."""
    kind: Literal["tifl"] = "tifl"


def find_problems(config: TiflPolicyConfig) -> Iterator[tuple[str, str]]:
    """Find settings that do not go together: key, and rule with the value found."""
    if config.chances is not None and len(config.chances) != config.num_tiers:
        rule = f"must be {config.num_tiers} numbers, one a tier, got {len(config.chances)}"
        yield "chances", rule


class TiflPolicy:
    """Draw a tier, then clients of it; those of the nearest tiers fill a tier that is too small."""

    def __init__(self, config: TiflPolicyConfig) -> None:
        self._config = config
        self._duration_s = ClientValues()
        self._profiled_in = 0
        self._left = np.full(config.num_tiers, config.credits or 0)

    def select(self, view: Selection, *, rng: np.random.Generator) -> list[int]:
        """Return the clients; tier and clients are drawn. Those out of coverage come last."""
        config = self._config
        count = view.count(config.num_clients)
        *tiers, unreachable = self.tiers(view)
        drawn = self._draw_tier(rng)
        # The tier itself, then the nearest ones, the faster one first.
        order = sorted(range(len(tiers)), key=lambda tier: (abs(tier - drawn), tier))
        chosen: list[int] = []
        for tier in order:
            missing = min(count - len(chosen), len(tiers[tier]))
            chosen += rng.choice(tiers[tier], size=missing, replace=False).tolist()
        chosen += unreachable[: count - len(chosen)].tolist()
        return view.candidates.client_id[chosen].tolist()

    def tiers(self, view: Selection) -> list[Int[np.ndarray, " of_tier"]]:
        """Return the rows of each tier, the fastest first, then of those out of coverage."""
        clients = view.candidates
        known_s = self._duration_s.of(clients.client_id)
        is_due = view.round - self._profiled_in >= self._config.profile_rounds
        if is_due or np.isnan(known_s).any():
            is_new = np.isnan(known_s) | is_due
            last_s = clients.last_duration_s
            found_s = np.where(np.isnan(last_s), clients.duration_s, last_s)
            known_s = np.where(is_new, found_s, known_s)
            self._duration_s.set(clients.client_id, known_s)
            if is_due:
                self._profiled_in = view.round
        order = np.argsort(known_s, kind="stable")
        num_reachable = int(np.isfinite(known_s).sum())
        tiers = np.array_split(order[:num_reachable], self._config.num_tiers)
        return [*tiers, order[num_reachable:]]

    def _draw_tier(self, rng: np.random.Generator) -> int:
        config = self._config
        chances = np.array(config.chances or [1.0] * config.num_tiers)
        if config.credits is not None:
            if not self._left.any():
                self._left[:] = config.credits
            chances = np.where(self._left > 0, chances, 0.0)
        tier = int(rng.choice(len(chances), p=chances / chances.sum()))
        self._left[tier] -= 1
        return tier
