"""Oort: clients whose texts teach most for the time they take, and some that nobody knows yet.

After arXiv:2010.06081 as coded in FedScale: utility ``n sqrt(mean squared loss)``, clipped and
normalised, a bonus for clients that were not heard of for long, a penalty for slow ones, a part of
the cohort for clients that have not taken part.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Gt, Le
from jaxtyping import Float, Int

from fl.policies.drawing import draw_weighted, lowest
from fl.policies.view import Candidates, Selection

STALENESS_WEIGHT = 0.1
"""Of the logarithm of the round in the bonus for clients not heard of for long, as in FedScale."""


@dataclass(frozen=True, kw_only=True)
class OortPolicyConfig:
    """Clients with high loss on many texts that are fast enough, and some that are unknown.

    Defaults are those of FedScale.
    """

    num_clients: Annotated[int, Gt(0)]
    """Clients a round."""
    alpha: Annotated[float, Ge(0)] = 2.0
    """Exponent of the penalty ``(T / t)^alpha`` for a client that takes ``t > T`` seconds; 0: none.
    """
    explore_fraction: Annotated[float, Ge(0), Le(1)] = 0.9
    """Part of the cohort of round 1 for clients that no update has come from."""
    explore_decay: Annotated[float, Gt(0), Le(1)] = 0.98
    """What that part is multiplied by each round."""
    min_explore_fraction: Annotated[float, Ge(0), Le(1)] = 0.3
    """It gets no smaller than this."""
    cut_off: Annotated[float, Gt(0), Le(1)] = 0.95
    """Clients are drawn among those with at least this part of the utility of the last one that
    would fit; 1: the best are taken."""
    clip_quantile: Annotated[float, Gt(0), Le(1)] = 0.9
    """Utilities count no more than this quantile of theirs; 1: as they are."""
    duration_percentile: Annotated[float, Gt(0), Le(100)] = 30.0
    """Percentile of the last durations of participations that ``T`` is."""
    pacer_rounds: Annotated[int, Gt(0)] = 20
    """Rounds after which ``T`` may rise: when the utility selected in them is no more than in as
    many rounds before."""
    pacer_step: Annotated[float, Ge(0), Le(100)] = 5.0
    """What is then added to the percentile; 0: ``T`` stays."""
    kind: Literal["oort"] = "oort"


def find_problems(config: OortPolicyConfig) -> Iterator[tuple[str, str]]:
    """Find settings that do not go together: key, and rule with the value found."""
    first, least = config.explore_fraction, config.min_explore_fraction
    if least > first:
        yield "min_explore_fraction", f"must be <= explore_fraction = {first:g}, got {least:g}"
    default = OortPolicyConfig(num_clients=1)
    without: list[tuple[str, bool, tuple[str, ...]]] = [
        ("alpha", config.alpha == 0, ("duration_percentile", "pacer_rounds", "pacer_step")),
        ("pacer_step", config.pacer_step == 0, ("pacer_rounds",)),
        ("explore_fraction", first == 0, ("explore_decay",)),
    ]
    for cause, is_off, keys in without:
        for key in keys:
            value = getattr(config, key)
            if is_off and value not in (getattr(default, key), 0):
                yield key, f"has no effect with {cause} 0, got {value:g}"


class OortPolicy:
    """Exploit clients of high utility, explore unknown ones by their speed."""

    def __init__(self, config: OortPolicyConfig) -> None:
        self._config = config
        self._percentile = config.duration_percentile
        self._utilities: list[float] = []  # selected for exploitation, by decision

    def select(self, view: Selection, *, rng: np.random.Generator) -> list[int]:
        """Return the clients; draws among those above the cut-off, and among unknown ones."""
        config, clients = self._config, view.candidates
        count = view.count(config.num_clients)
        rows = np.arange(len(clients.client_id))
        is_known = np.isfinite(clients.last_rms_loss) & np.isfinite(clients.last_duration_s)
        known, unknown = rows[is_known], rows[~is_known]
        num_explored = min(round(self.explore_fraction(view.round) * count), len(unknown))
        num_exploited = min(count - num_explored, len(known))
        num_explored = min(count - num_exploited, len(unknown))
        statistical = clients.num_samples[known] * clients.last_rms_loss[known]
        exploited = self._exploit(clients, known, statistical, num_exploited, view.round, rng=rng)
        self._pace(float(statistical[exploited].sum()))
        chosen = known[exploited].tolist()
        if num_explored:
            speed = 1.0 / clients.duration_s[unknown]
            chosen += unknown[draw_weighted(speed, num_explored, rng=rng)].tolist()
        return clients.client_id[chosen].tolist()

    def explore_fraction(self, round_id: int) -> float:
        """Return the part of the cohort of a round for clients that no update has come from."""
        config = self._config
        decayed = config.explore_fraction * config.explore_decay ** (round_id - 1)
        return max(decayed, config.min_explore_fraction)

    def _exploit(
        self,
        clients: Candidates,
        known: Int[np.ndarray, " known"],
        statistical: Float[np.ndarray, " known"],
        count: int,
        round_id: int,
        *,
        rng: np.random.Generator,
    ) -> Int[np.ndarray, " exploited"]:
        """Return the places among the known clients of those that are exploited."""
        if not count:
            return np.empty(0, dtype=np.int64)
        config = self._config
        utility = np.minimum(statistical, np.quantile(statistical, config.clip_quantile))
        least, spread = utility.min(), np.ptp(utility)
        utility = (utility - least) / spread if spread > 0 else np.ones_like(utility)
        heard_of = np.maximum(clients.last_received[known], 1)
        utility = utility + np.sqrt(STALENESS_WEIGHT * math.log(max(round_id, 1)) / heard_of)
        duration_s = clients.last_duration_s[known]
        preferred_s = float(np.percentile(duration_s, self._percentile))
        is_slow = duration_s > preferred_s
        utility[is_slow] *= (preferred_s / duration_s[is_slow]) ** config.alpha
        best = lowest(-utility, count=count)
        if config.cut_off == 1:
            return best
        pool = np.flatnonzero(utility >= config.cut_off * utility[best[-1]])
        return pool[draw_weighted(utility[pool], count, rng=rng)]

    def _pace(self, utility: float) -> None:
        """Note what was selected; raise the percentile where it is no more than before."""
        config, window = self._config, self._config.pacer_rounds
        self._utilities.append(utility)
        if len(self._utilities) < 2 * window or len(self._utilities) % window:
            return
        before, since = sum(self._utilities[-2 * window : -window]), sum(self._utilities[-window:])
        del self._utilities[:-window]
        if since <= before:
            self._percentile = min(100.0, self._percentile + config.pacer_step)
