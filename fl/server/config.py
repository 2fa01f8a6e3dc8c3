"""Settings of the server: when it aggregates, whom it asks, when it stops."""

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal, TypeVar

from annotated_types import Ge, Gt, Le

from fl.codecs import CodecConfig
from fl.metrics import DEFAULT_METRICS, Task
from fl.policies import PolicyConfig
from fl.privacy.config import ClientPrivacy, SecureAggregation
from fl.server.staleness import ConstantDiscount, Discount, PolynomialDiscount


@dataclass(frozen=True, kw_only=True)
class GenerationConfig:
    """How much a model writes when what it writes is measured."""

    max_texts: Annotated[int, Gt(0)] = 64
    """Prompts of the common test set that are answered, and of each client's own test texts: those
    of smallest hash, so over all tasks, and the same for every model and seed."""
    max_tokens: Annotated[int, Gt(0)] = 32
    """Tokens of an answer at most."""
    num_kept: Annotated[int, Ge(0)] = 0
    """Answers of each model whose text is kept, in ``answers.csv``, at every evaluation."""


@dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """Settings of any server mode."""

    num_rounds: Annotated[int, Gt(0)]
    """Rounds at most. In modes without rounds one is what lies between two aggregations."""
    policy: PolicyConfig
    """Who takes part."""
    targets: dict[str, Annotated[float, Gt(0)]] = field(default_factory=dict)
    """Value of each metric that counts as reached."""
    metrics: tuple[str, ...] = ()
    """What is measured beside the metrics that are targets; when there is neither, accuracy, or
    loss and perplexity of language models."""
    generation: GenerationConfig = field(default_factory=GenerationConfig)
    """How much is written for metrics of what models write."""
    target_split: Literal["personal", "global"] = "personal"
    """Which evaluation the targets are read from; every method has the personal one."""
    stop_at_targets: bool = False
    """End the run at the first evaluation that reaches all targets, that of the start included."""
    finetune_steps: Annotated[int, Ge(0)] = 0
    """Steps that each client trains the global model on its own training texts before it is
    measured once more on its own test texts (split ``finetuned``), for methods with a global model.
    They are part of the measurement: no seconds and joules are charged. 0: not measured."""
    finetune_every: Annotated[int, Gt(0)] | None = None
    """Rounds between such measurements, at evaluations whose round it divides; the start is left
    out, the last round is always measured. At every evaluation when empty."""
    min_test_texts: Annotated[int, Gt(0)] = 1
    """Test texts that a client needs for its personal model to be measured; those with fewer are
    left out of the means, and their number is told."""
    evaluate_every: Annotated[int, Gt(0)] = 1
    """Rounds between evaluations; the start and the last round are always evaluated."""
    uplink_codecs: tuple[CodecConfig, ...] = ()
    """What updates are coded with on their way up, in the order in which codecs are applied."""
    downlink_codecs: tuple[CodecConfig, ...] = ()
    """The same of the model on its way down."""
    privacy: ClientPrivacy | None = None
    """Clipping of clients' changes and noise on their sum; nothing is protected when empty."""
    secure_aggregation: SecureAggregation | None = None
    """Masks on updates, of which the server learns the sum alone; none when empty."""
    tensor_names: Literal["sent", "agreed"] = "sent"
    """Whether a payload carries the names, shapes and types of its tensors, or 8 bytes that say
    which of the layouts it has that server and clients agreed on before the run."""

    @property
    def downlink(self) -> Literal["unicast", "broadcast"]:
        """How the model is sent to clients that begin at the same time: one by one."""
        return "unicast"

    @property
    def num_drawn(self) -> int | None:
        """Clients that begin together; ``None``: as many as the policy finds."""
        return getattr(self.policy, "num_clients", None)

    @property
    def merges_stale(self) -> bool:
        """Whether updates of earlier versions are merged."""
        return False

    @property
    def has_edges(self) -> bool:
        """Whether sites average as well as the server."""
        return False


@dataclass(frozen=True, kw_only=True)
class RoundOptions(ServerOptions):
    """Settings of modes in which clients begin together."""

    downlink: Literal["unicast", "broadcast"] = "unicast"
    """Whether clients of a round get the model one by one or in one transmission."""

    over_selection: Annotated[float, Ge(1), Le(10)] = 1.0
    """How many times the clients of ``policy.num_clients`` begin a round, rounded up. As soon as
    ``num_clients`` updates have been received the others are stopped; 1: all count."""

    @property
    def num_drawn(self) -> int | None:
        """Clients that begin together; ``None``: as many as the policy finds."""
        _, num_started = over_selected(self)
        return getattr(self.policy, "num_clients", None) if num_started is None else num_started


@dataclass(frozen=True, kw_only=True)
class SyncServer(RoundOptions):
    """Rounds that wait for every selected client."""

    mode: Literal["sync"] = "sync"


@dataclass(frozen=True, kw_only=True)
class DeadlineServer(RoundOptions):
    """Rounds that end when all have been received, or at a deadline."""

    deadline_s: Annotated[float, Gt(0)]
    """Simulated seconds after the begin of a round at which it aggregates what has arrived."""
    late: Literal["dropped", "carried"] = "dropped"
    """What becomes of clients that are late: they are stopped, or go on, and their updates count in
    the round in which they arrive."""
    discount: Discount = field(default_factory=ConstantDiscount)
    """What an update that was carried over counts beside a fresh one."""
    mode: Literal["deadline"] = "deadline"

    @property
    def merges_stale(self) -> bool:
        """Whether updates of earlier versions are merged."""
        return self.late == "carried"


@dataclass(frozen=True, kw_only=True)
class AsynchronousOptions(ServerOptions):
    """Settings of modes without rounds: ``policy.num_clients`` are at work at a time.

    As many as the policy selects at first; the server asks it for others as clients end.
    """

    discount: Discount = field(default_factory=PolynomialDiscount)
    """What a stale update counts beside a fresh one."""

    @property
    def merges_stale(self) -> bool:
        """Whether updates of earlier versions are merged: always."""
        return True

    @property
    def num_merged(self) -> int | None:
        """Updates that are merged at once; ``None``: what has come when time is up."""
        return None


@dataclass(frozen=True, kw_only=True)
class SemiAsyncServer(AsynchronousOptions):
    """Aggregation by the number of updates or by time, whichever comes first."""

    num_updates: Annotated[int, Gt(0)] | None = None
    """Updates that are enough for an aggregation; any number when empty."""
    time_s: Annotated[float, Gt(0)] | None = None
    """Simulated seconds since the last aggregation that are enough; any time when empty."""
    restart: Literal["aggregation", "receipt"] = "aggregation"
    """When others begin in place of clients that have ended: all after the next aggregation, from
    the same model; or each at once."""
    mode: Literal["semi_async"] = "semi_async"

    @property
    def num_merged(self) -> int | None:
        """Updates that are merged at once, unless time is up before."""
        return self.num_updates


@dataclass(frozen=True, kw_only=True)
class FedAsyncServer(AsynchronousOptions):
    """Every update is mixed into the global model at once."""

    alpha: Annotated[float, Gt(0), Le(1)] = 0.6
    """Part of a fresh update in the mixture; ``alpha s(tau)`` of a stale one."""
    mixes: Literal["model", "change"] = "model"
    """Whether a client's tensors are mixed with the global model, or the change that the client
    made is added to it."""
    mode: Literal["fedasync"] = "fedasync"

    @property
    def num_merged(self) -> int | None:
        """Updates that are merged at once: one."""
        return 1


@dataclass(frozen=True, kw_only=True)
class FedBuffServer(AsynchronousOptions):
    """Updates are buffered, and merged when the buffer is full."""

    buffer_size: Annotated[int, Gt(0)]
    """Updates that are merged at once, ``K``."""
    server_learning_rate: Annotated[float, Gt(0), Le(100)] = 1.0
    """Length of the server's step, ``eta``."""
    normalise: Literal["count", "weights"] = "count"
    """Whether the sum of discounted changes is divided by ``K``, or by the sum of the discounts."""
    mode: Literal["fedbuff"] = "fedbuff"

    @property
    def num_merged(self) -> int | None:
        """Updates that are merged at once."""
        return self.buffer_size


@dataclass(frozen=True, kw_only=True)
class HierarchicalServer(ServerOptions):
    """Sites average the updates of their clients, the server the models of the sites."""

    edge_rounds: Annotated[int, Gt(0), Le(1000)] = 2
    """Averages at a site before the server averages, ``kappa2``."""
    averages: Literal["tensors", "products"] = "tensors"
    """What is averaged of LoRA whose factors ``A`` and ``B`` are both trained: each alone, which
    two levels refuse, or products ``B A``, cut to the rank of clients where they download."""
    mode: Literal["hierarchical"] = "hierarchical"

    @property
    def has_edges(self) -> bool:
        """Whether sites average as well: yes."""
        return True


ServerConfig = (
    SyncServer
    | DeadlineServer
    | SemiAsyncServer
    | FedAsyncServer
    | FedBuffServer
    | HierarchicalServer
)
"""When the server aggregates; told apart by ``mode``."""

_Kind = TypeVar("_Kind", bound=ServerOptions)


def of_mode(config: ServerOptions, kind: type[_Kind]) -> _Kind:
    """Return the settings as those of a mode.

    Raises
    ------
    TypeError
        If they are those of another one.
    """
    if not isinstance(config, kind):
        msg = f"server: must be {kind.__name__}, got {type(config).__name__}"
        raise TypeError(msg)
    return config


def over_selected(config: RoundOptions) -> tuple[int | None, int | None]:
    """Return how many updates are enough, and how many clients begin; ``None``: all selected."""
    count = getattr(config.policy, "num_clients", None)
    if config.over_selection == 1 or count is None:
        return None, None
    # 1.1 * 10 is 11.000000000000002
    return count, math.ceil(round(config.over_selection * count, 9))


def measured(config: ServerConfig, task: Task) -> tuple[str, ...]:
    """Name the metrics that a run measures: its targets, those asked for, or the usual ones."""
    asked = tuple(dict.fromkeys([*config.targets, *config.metrics]))
    return asked or DEFAULT_METRICS[task]
