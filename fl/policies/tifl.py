"""TiFL: clients of one tier of speed at a time (arXiv:2001.09249)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Le, MinLen
from jaxtyping import Bool, Float, Int

from fl.policies.client_values import ClientValues
from fl.policies.view import Selection


@dataclass(frozen=True, kw_only=True)
class TiflPolicyConfig:
    """Clients of one tier at random; tiers are drawn, so that a fast client waits for no slow one.

    Tiers are of equal size, by the seconds of a participation: foreseen at first, then those of the
    last one. With ``adapt_rounds`` clients are asked, as in ``power_of_choice``, how accurate the
    present model is on their own test texts, and tiers of low accuracy get higher chances, where
    the tier drawn last has not become more accurate since the last time [paper, recollected].
    """

    num_clients: Annotated[int, Gt(0)]
    """Clients a round."""
    num_tiers: Annotated[int, Ge(2), Le(100)] = 5
    """Tiers, the fastest first."""
    chances: Annotated[tuple[Annotated[float, Gt(0)], ...], MinLen(2)] | None = None
    """Chance of each tier, the fastest first, up to a common factor; empty: all alike. With
    ``adapt_rounds`` those of the beginning."""
    credits: Annotated[int, Gt(0)] | None = None
    """How often each tier may be drawn; when all are used up, each gets as many again (our choice).
    Empty: no limit."""
    profile_rounds: Annotated[int, Gt(0)] = 10
    """Rounds after which clients are sorted into tiers anew (our choice)."""
    adapt_rounds: Annotated[int, Gt(0)] | None = None
    """Rounds after which clients are asked and chances may change, ``I`` of the paper; empty:
    never. The first time is round 1, to compare with; FLGo has 10."""
    adapts_by: Literal["rank", "error"] = "rank"
    """``rank``: in proportion to n for the least accurate of n tiers, n - 1 for the next, down to
    1 (code of bacox/fltk); ``error``: in proportion to 1 - accuracy."""
    num_asked: Annotated[int, Gt(0)] | None = None
    """Clients of each tier that are drawn and asked; empty: all of them (our choice)."""
    kind: Literal["tifl"] = "tifl"


def find_problems(config: TiflPolicyConfig) -> Iterator[tuple[str, str]]:
    """Find settings that do not go together: key, and rule with the value found."""
    if config.chances is not None and len(config.chances) != config.num_tiers:
        rule = f"must be {config.num_tiers} numbers, one a tier, got {len(config.chances)}"
        yield "chances", rule
    if config.adapt_rounds is None:
        for key, value, default in (
            ("adapts_by", config.adapts_by, "rank"),
            ("num_asked", config.num_asked, None),
        ):
            if value != default:
                yield key, f"has no effect without adapt_rounds, got {value}"


def asks(config: TiflPolicyConfig) -> bool:
    """Whether clients are asked for accuracies."""
    return config.adapt_rounds is not None


def build(config: TiflPolicyConfig) -> "TiflPolicy":
    """Return the policy for one run."""
    return AdaptiveTiflPolicy(config) if asks(config) else TiflPolicy(config)


def tier_chances(
    accuracies: Float[np.ndarray, " tier"],
    *,
    by: Literal["rank", "error"],
    is_open: Bool[np.ndarray, " tier"],
) -> Float[np.ndarray, " tier"]:
    """Return the chances of tiers by their accuracies; 0 for those that are not open.

    Of ``n`` open tiers in ascending order of accuracy, the faster one first where they are alike,
    ``(n - i) / (n (n + 1) / 2)`` for ``i = 0, 1, ...``; or in proportion to ``1 - accuracy``, all
    alike where all are right.
    """
    if by == "rank":
        weights = np.empty(len(accuracies))
        open_tiers = np.flatnonzero(is_open)
        order = open_tiers[np.argsort(accuracies[open_tiers], kind="stable")]
        weights[order] = np.arange(len(order), 0, -1)
    else:
        weights = 1.0 - accuracies
    weights = np.where(is_open, weights, 0.0)
    if not weights.any():
        weights = is_open.astype(np.float64)
    chances: Float[np.ndarray, " tier"] = weights / weights.sum()
    return chances


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
        is_open = np.ones(config.num_tiers, dtype=bool)
        if config.credits is not None:
            if not self._left.any():
                self._left[:] = config.credits
            is_open = self._left > 0
        tier = int(rng.choice(config.num_tiers, p=self._chances(is_open)))
        self._left[tier] -= 1
        return tier

    def _chances(self, is_open: Bool[np.ndarray, " tier"]) -> Float[np.ndarray, " tier"]:
        """Return the chance of each tier; 0 for those without credits."""
        given = np.array(self._config.chances or [1.0] * self._config.num_tiers)
        open_only = np.where(is_open, given, 0.0)
        chances: Float[np.ndarray, " tier"] = open_only / open_only.sum()
        return chances


class AdaptiveTiflPolicy(TiflPolicy):
    """The same with chances that follow the accuracy of tiers, for which clients are asked."""

    asks_for = "accuracy"

    def __init__(self, config: TiflPolicyConfig) -> None:
        super().__init__(config)
        self._asked_in: int | None = None
        self._asked: list[Int[np.ndarray, " of_tier"]] = []
        """Ids of the clients of each tier that are asked for this decision; none: nobody is."""
        self._accuracies: Float[np.ndarray, " tier"] | None = None
        """Of each tier when it was last asked."""
        self._by: Float[np.ndarray, " tier"] | None = None
        """Accuracies that the chances go by; ``None``: those given."""
        self._last_tier: int | None = None

    def ask(self, view: Selection, *, rng: np.random.Generator) -> list[int]:
        """Return clients of every tier, in the rounds in which chances may change."""
        config = self._config
        every = config.adapt_rounds or 1
        if self._asked_in is not None and view.round < self._asked_in + every:
            return []
        self._asked_in = view.round
        *tiers, _ = self.tiers(view)
        if config.num_asked is not None:
            tiers = [
                rng.choice(tier, size=min(config.num_asked, len(tier)), replace=False)
                for tier in tiers
            ]
        self._asked = [view.candidates.client_id[tier] for tier in tiers]
        return np.concatenate(self._asked).tolist()

    def select(self, view: Selection, *, rng: np.random.Generator) -> list[int]:
        """Return the clients, of a tier drawn by the chances of now."""
        if self._asked:
            self._adapt(view)
        return super().select(view, rng=rng)

    def _adapt(self, view: Selection) -> None:
        """Take in the answers; let the chances follow them where they are due to change."""
        before, after = self._accuracies, self._accuracies_of(view)
        self._asked = []
        self._accuracies = after
        if before is None or after is None or self._last_tier is None:
            return
        if after[self._last_tier] <= before[self._last_tier]:
            self._by = after

    def _accuracies_of(self, view: Selection) -> Float[np.ndarray, " tier"] | None:
        """Return the mean of each tier's answers, weighted by training texts.

        One without an answer keeps what it had, or else gets the mean of the others (our choice);
        without any answer all keep what they had.
        """
        clients = view.candidates
        found = np.full(len(self._asked), np.nan)
        for tier, ids in enumerate(self._asked):
            is_asked = np.isin(clients.client_id, ids) & ~np.isnan(clients.asked_accuracy)
            if is_asked.any():
                found[tier] = np.average(
                    clients.asked_accuracy[is_asked], weights=clients.num_samples[is_asked]
                )
        is_known = ~np.isnan(found)
        if not is_known.any():
            return self._accuracies
        others = found[is_known].mean() if self._accuracies is None else self._accuracies
        return np.where(is_known, found, others)

    def _draw_tier(self, rng: np.random.Generator) -> int:
        self._last_tier = super()._draw_tier(rng)
        return self._last_tier

    def _chances(self, is_open: Bool[np.ndarray, " tier"]) -> Float[np.ndarray, " tier"]:
        if self._by is None:
            return super()._chances(is_open)
        return tier_chances(self._by, by=self._config.adapts_by, is_open=is_open)
