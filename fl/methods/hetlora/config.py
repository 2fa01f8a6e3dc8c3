"""Settings of low-rank adaptation with ranks that prune themselves."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Lt

from fl.methods.options import MethodOptions
from fl.methods.ranks import Ranks, distinct_ranks, find_rank_problems
from fl.metrics import Task
from fl.models.lora_settings import LORA_SETTINGS


@dataclass(frozen=True, kw_only=True)
class HetloraConfig(MethodOptions):
    """Low-rank adaptations of each client's own rank, which shrinks with the norm of its tail."""

    rank: Ranks = 8
    """First rank of a client's update of the query and value projections; a list is dealt to
    clients in turn."""
    min_rank: Annotated[int, Gt(0)] = 1
    """No rank is pruned below this."""
    alpha: Annotated[float, Gt(0)] = 16.0
    """Scale of the update: it enters as ``alpha`` by the largest rank, at every client."""
    gamma: Annotated[float, Gt(0), Lt(1)] = 0.9
    """The tail of a rank ``r`` lies beyond ``gamma r``, rounded down; pruning cuts it off."""
    penalty_weight: Annotated[float, Ge(0)] = 1e-3
    """Weight of the norm of the tails in the loss of every step; 0 leaves them to the task."""
    kind: Literal["hetlora"] = "hetlora"

    @property
    def lora_settings(self) -> Collection[str]:
        """Name the settings of ``training.lora`` that act on it: all."""
        return LORA_SETTINGS

    @property
    def same_download(self) -> bool:
        """Never for certain: a client whose rank was pruned gets less than the others."""
        return False

    @property
    def decides_by_values(self) -> bool:
        """Whether values decide what is sent: ranks shrink with the norm of their tail."""
        return True

    def find_problems(
        self, *, num_clients: int, task: Task
    ) -> Sequence[tuple[tuple[str, ...], str]]:
        """Refuse more ranks than clients, a least rank above a client's first, tails unfelt."""
        problems = [*find_rank_problems(self.rank, num_clients=num_clients)]
        ranks = distinct_ranks(self.rank)
        smallest, largest = ranks[0], ranks[-1]
        if self.min_rank > smallest:
            rule = f"must be <= {smallest}, the smallest rank, got {self.min_rank}"
            problems.append((("min_rank",), rule))
        else:
            problems += [((name,), rule) for name, rule in self._without_effect(largest)]
        return problems

    def _without_effect(self, largest: int) -> Iterator[tuple[str, str]]:
        """Find settings of tails that no rank has, or that have one length whatever ``gamma``."""
        beside = f"has no effect with rank {largest} and min_rank {self.min_rank}:"
        if self.gamma != HetloraConfig.gamma and largest <= self.min_rank + 1:
            tail = "no rank has a tail" if largest <= self.min_rank else "every tail is one rank"
            yield "gamma", f"{beside} {tail}, got {self.gamma:g}"
        if self.penalty_weight != HetloraConfig.penalty_weight and largest <= self.min_rank:
            yield "penalty_weight", f"{beside} no rank has a tail, got {self.penalty_weight:g}"

    @property
    def averages_factors(self) -> bool:
        """Whether factors are averaged one by one: padded ``A`` and ``B`` are."""
        return True
