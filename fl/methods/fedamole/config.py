"""Settings of mixtures of LoRA experts that choose their clients."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Annotated, Literal

from annotated_types import Ge, Gt

from fl.methods.options import MethodOptions
from fl.metrics import Task
from fl.models.lora_settings import LORA_SETTINGS

USUAL_HOLDERS = 2
"""Clients that hold a domain expert by default [code]."""
MAX_USUAL_EXPERTS = 120
"""Most domain experts of a layer where neither they nor their clients are given: more clients share
each expert instead [our choice: dealing takes memory and time by experts times clients]."""
MANY_PAIRS = 500_000
"""Experts times clients of a layer above which a deal is warned of."""
EXPERTS_PER_CLIENT = 6
"""Domain experts a client holds on average by default, those of the authors: 30 experts that pick 2
of 10 clients, or 4 of 20."""


@dataclass(frozen=True, kw_only=True)
class FedamoleConfig(MethodOptions):
    """A shared expert for all, and domain experts that the server deals to clients."""

    num_domain_experts: Annotated[int, Ge(0)] | None = None
    """Domain experts of each adapted layer, of which a client holds some; as many as make 6 a
    client on average when empty. With 0 the shared expert is left alone."""
    clients_per_expert: Annotated[int, Gt(0)] | None = None
    """Clients that hold each domain expert. When empty, 2; or, where the number of experts is left
    open too, as many more as keep that at 120 or below: 2 up to 40 clients, 50 for 1,000."""
    max_experts: Annotated[int, Gt(0)] = 8
    """Domain experts that a client holds at most, unless ``assignment`` is ``homogeneous``; at
    least it holds ``top_k``."""
    top_k: Annotated[int, Gt(0)] = 2
    """Domain experts that a token goes through."""
    rank: Annotated[int, Gt(0)] = 8
    """Rank of every expert."""
    alpha: Annotated[float, Gt(0)] = 16.0
    """Scale of what experts add: it enters as ``alpha / rank``."""
    balance_weight: Annotated[float, Gt(0)] | None = 1e-3
    """Weight of the loss that spreads tokens over experts, summed over layers; none when empty."""
    assignment: Literal["embeddings", "random", "static", "homogeneous"] = "embeddings"
    """How experts are dealt after the first round: by embeddings; at random every round; never
    again; by embeddings and to every client as many."""
    mask_padding: bool = True
    """Whether padding is left out of embeddings and of the balance loss."""
    head: Literal["shared", "personal"] = "shared"
    """Whether the classification head is averaged with the shared experts or stays."""
    evaluation: Literal["tuned", "dispatched"] = "tuned"
    """Which model of a client is measured: the one it last trained, as the authors do, or the one
    it would now be sent."""
    kind: Literal["fedamole"] = "fedamole"

    @property
    def can_recompute(self) -> bool:
        """Whether blocks can be worked out again: no, experts read the mask of the pass."""
        return False

    @property
    def lora_settings(self) -> Collection[str]:
        """Name the settings of ``training.lora`` that act on it: all."""
        return LORA_SETTINGS

    @property
    def decides_by_values(self) -> bool:
        """Whether values decide what is sent: the server deals experts by them."""
        return True

    @property
    def has_text_gradients(self) -> bool:
        """Whether jobs read texts by gradients alone: no, embeddings of some are sent."""
        return False

    @property
    def needs_whole_batches(self) -> bool:
        """Whether a step's loss is one of its whole batch: the balance of experts is."""
        return self.balance_weight is not None and self.num_domain_experts != 0

    @property
    def has_global_model(self) -> bool:
        """Whether the server holds a whole model: no, it holds experts."""
        return False

    @property
    def same_download(self) -> bool:
        """Whether all clients of a round get the same bytes."""
        return self.num_domain_experts == 0

    def num_experts(self, num_clients: int) -> int:
        """Return the domain experts of each layer in a federation of this many clients."""
        if self.num_domain_experts is not None:
            return self.num_domain_experts
        return -(-EXPERTS_PER_CLIENT * num_clients // self.num_holders(num_clients))

    def num_holders(self, num_clients: int) -> int:
        """Return the clients that hold each domain expert, out of this many."""
        if self.clients_per_expert is not None:
            return self.clients_per_expert
        if self.num_domain_experts is not None:
            return USUAL_HOLDERS
        return max(USUAL_HOLDERS, -(-EXPERTS_PER_CLIENT * num_clients // MAX_USUAL_EXPERTS))

    def find_warnings(self, *, num_clients: int) -> Sequence[str]:
        """Warn of a deal that takes long."""
        count = self.num_experts(num_clients)
        if count * num_clients < MANY_PAIRS or self.assignment == "static":
            return ()
        return [
            f"{self.kind} deals {count} experts to {num_clients} clients in every layer after "
            f"every round: {count * num_clients:,} pairs, more than {MANY_PAIRS:,}, take long and "
            f"much memory; without num_domain_experts and clients_per_expert there are at most "
            f"{MAX_USUAL_EXPERTS} experts"
        ]

    def find_problems(
        self, *, num_clients: int, task: Task
    ) -> Sequence[tuple[tuple[str, ...], str]]:
        """Refuse what cannot be dealt, and settings without effect beside the others."""
        if self.num_domain_experts == 0:
            found = [*self._without_experts()]
        else:
            found = [*self._deal(num_clients), *self._without_effect(num_clients)]
        problems = [((name,), rule) for name, rule in found]
        if task == "generation" and self.head == "personal":
            rule = "has no effect: language models have no head of their own, got personal"
            problems.append((("head",), rule))
        return problems

    def _without_experts(self) -> Iterator[tuple[str, str]]:
        asked = ("clients_per_expert", "max_experts", "top_k", "balance_weight", "assignment")
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in (*asked, "mask_padding") and value != field.default:
                yield field.name, f"has no effect without domain experts, got {value}"

    def _without_effect(self, num_clients: int) -> Iterator[tuple[str, str]]:
        """Find settings of what nobody computes, limits or chooses between."""
        default = FedamoleConfig
        if self.assignment == "homogeneous" and self.max_experts != default.max_experts:
            yield (
                "max_experts",
                "has no effect with assignment homogeneous, which gives every client as many, "
                f"got {self.max_experts}",
            )
        count = self.num_experts(num_clients)
        is_constant = count * self.num_holders(num_clients) == self.top_k * num_clients
        weight = "null" if self.balance_weight is None else f"{self.balance_weight:g}"
        if is_constant and self.balance_weight not in {None, default.balance_weight}:
            yield (
                "balance_weight",
                f"has no effect with num_domain_experts {count}: each client holds top_k = "
                f"{self.top_k}, all of which every token goes through, got {weight}",
            )
        embeds = self.assignment in {"embeddings", "homogeneous"}
        if not self.mask_padding and not embeds and (self.balance_weight is None or is_constant):
            yield (
                "mask_padding",
                f"has no effect with assignment {self.assignment} and balance_weight {weight}: "
                "there is no embedding and no balance loss to leave padding out of, got false",
            )

    def _deal(self, num_clients: int) -> Iterator[tuple[str, str]]:
        """Check ``top_k N <= E c <= max_experts N``; the latter not where all hold as many."""
        c, low, high = self.num_holders(num_clients), self.top_k, self.max_experts
        is_even = self.assignment == "homogeneous"
        if c > num_clients:
            yield (
                "clients_per_expert",
                f"must be <= clients.num_clients = {num_clients}, got {c}",
            )
        if high < low and not is_even:
            yield "max_experts", f"must be >= top_k = {low}, got {high}"
            return
        least, most = -(-low * num_clients // c), high * num_clients // c
        count = self.num_experts(num_clients)
        if least <= count and (is_even or count <= most):
            return
        if self.num_domain_experts is None:
            rule = f"must be given: its usual {count} for {num_clients} clients is not in"
        else:
            rule = "must be in"
        limits = f"{least}.." if is_even else f"{least}..{most}"
        wanted = f"{low} or more" if is_even else f"{low} to {high}"
        yield (
            "num_domain_experts",
            f"{rule} {limits}, so that each of {num_clients} clients holds {wanted}, "
            f"got {self.num_domain_experts}",
        )
