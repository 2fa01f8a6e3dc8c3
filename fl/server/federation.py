"""Everything that takes part in one run, tied together; the server's processes act on it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import simpy
from torch import nn

from fl.clients.availability.model import Always, Availability
from fl.clients.battery import WH_J, Batteries, BatteryConfig
from fl.clients.devices import Devices, check_memory
from fl.clients.precision import Precision
from fl.clients.roster import Roster
from fl.clients.throttling import CoolTime, TwoStateThrottling
from fl.data.shards import Shards
from fl.execution.executor import Executor
from fl.methods.base import FollowsDecisions, Method, ServerState
from fl.network import Network, Streams
from fl.policies.view import AskingPolicy, Forecast, Policy
from fl.rows import (
    AnswerRow,
    ClientRow,
    EvaluationRow,
    PrivacyRow,
    QuestionRow,
    RewardRow,
    RoundRow,
    ScoreRow,
)
from fl.server.asked_costs import AskedCosts
from fl.server.beginning import Beginnings
from fl.server.config import ServerConfig
from fl.server.cost_twin import CostTwin
from fl.server.faults import FaultsConfig, crash
from fl.server.link_coding import LinkCoding, coding_of
from fl.server.personal import PersonalTensors
from fl.server.presence import Presence
from fl.server.private_rounds import PrivateRounds, private_rounds_of
from fl.server.sample_rounds import SampleAccounts, sample_accounts_of
from fl.server.state_place import StatePlace
from fl.training.cost import CostModel
from fl.training.exchange import Exchanging
from fl.training.job import JobSettings
from fl.training.procedure import Procedure
from fl.training.rate_schedule import CONSTANT_RATE, RateSchedule, rate_factor
from fl.training.worker import Worker


class Recorder(Protocol):
    """Takes the rows of a run, at once and in order."""

    def round(self, row: RoundRow, clients: Sequence[ClientRow]) -> None:
        """Take a finished round and its clients' parts, ascending by client id."""

    def unfinished(self, clients: Sequence[ClientRow]) -> None:
        """Take what was under way, or received and not merged, when the run ended."""

    def privacy(self, row: PrivacyRow) -> None:
        """Take what a round has cost of privacy; only where changes are protected."""

    def questions(self, rows: Sequence[QuestionRow]) -> None:
        """Take what became of the questions of one decision; only where the policy asks."""

    def evaluation(self, row: EvaluationRow) -> None:
        """Take one evaluation of one split."""

    def scores(self, rows: Sequence[ScoreRow]) -> None:
        """Take a metric of the model of every client that one evaluation measured."""

    def rewards(self, rows: Sequence[RewardRow]) -> None:
        """Take what every personal model earns; only where there are rewards."""

    def answers(self, rows: Sequence[AnswerRow]) -> None:
        """Take texts that a model wrote; only where some are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a run is, for a progress bar."""

    round: int
    """Rounds finished."""
    num_rounds: int
    """Rounds at most."""
    at_s: float
    """Simulated seconds."""
    energy_j: float
    """Joules that clients spent so far."""
    metric: str | None
    """The first metric that is measured; ``None`` where nothing is trained."""
    value: float | None
    """Its latest mean on the split that targets are read from; ``None`` before the first evaluation
    and when the method has no such split."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodFacts:
    """What a method trains, sends and needs in round 1, for a manifest or a table."""

    num_backbone: int
    """Frozen numbers."""
    num_trainable: int
    """Numbers that a job trains."""
    upload_bytes: int
    """Encoded upload of one client; 0 without exchange."""
    download_bytes: int
    """Encoded download of one client; 0 without exchange."""
    largest_batch: int
    """Texts of the largest step of any client."""
    longest_text: int
    """Tokens of each text of that step."""
    largest_step_flop: int
    """Operations of that step."""
    peak_memory_bytes: int
    """Memory of that step on a device, with all that the job holds beside it."""
    prefill_flop: int = 0
    """Operations of reading the prompts of the largest batch that a job writes; without a cache,
    all of writing it."""
    num_decode_steps: int = 0
    """Decode steps of the same."""
    decode_flop: int = 0
    """Operations of these steps."""
    decode_bytes: int = 0
    """Bytes that they read and write."""


def write_nothing() -> None:
    """Write nothing: no evaluation is under way."""


def ignore_progress(progress: Progress) -> None:
    """Show nothing."""


@dataclass(kw_only=True)
class Federation:
    """The parts of a run, and the state that rounds carry on.

    ``state`` and ``personal`` are the only tensors kept between rounds.
    """

    env: simpy.Environment
    network: Network
    streams: Streams
    method: Method
    worker: Worker[Method]
    executor: Executor
    cost: CostModel
    """Counts what jobs are charged for: steps of the twin where there is one."""
    policy: Policy
    server: ServerConfig
    job_settings: JobSettings
    rate_schedule: RateSchedule = CONSTANT_RATE
    """How their learning rate falls over the run."""
    warmup_rounds: int = 0
    """Aggregations over which it rises first."""
    procedure: Procedure
    """What training jobs do."""
    evaluation_batch_size: int
    shards: Shards
    """By client id; indices into ``worker.train``."""
    devices: Devices
    """By client id."""
    precision: Precision = "fp32"
    """Numbers that devices compute with."""
    throttling: TwoStateThrottling | None = None
    """Devices that are faster while they are cool; ``None``: always as fast as warm ones."""
    availability: Availability = field(default_factory=Always)
    """When clients are there."""
    battery: BatteryConfig | None = None
    """Batteries of the devices that have one; ``None``: none is ever empty."""
    faults: FaultsConfig = field(default_factory=FaultsConfig)
    """When the server crashes."""
    metrics: tuple[str, ...]
    """What is measured; nothing where nothing is trained."""
    recorder: Recorder
    on_progress: Callable[[Progress], None] = ignore_progress
    twin: CostTwin | None = None
    """Larger architecture that bytes, operations and memory are those of; ``None``: the trained."""
    states: Path | None = None
    """Folder for what clients hold where memory is short of it; ``None``: all of it is there."""
    write_finished: Callable[[], None] = field(init=False, default=write_nothing)
    """Records what is finished of the evaluations under way, where a run is interrupted."""
    state: ServerState = field(init=False)
    personal: PersonalTensors = field(init=False)
    beginnings: Beginnings = field(init=False, default_factory=Beginnings)
    """How jobs begin."""
    private_rounds: PrivateRounds | None = field(init=False, default=None)
    """Protects what is merged; ``None``: nothing is protected."""
    sample_accounts: SampleAccounts | None = field(init=False, default=None)
    """Accounts jobs whose gradients are clipped text by text; ``None``: none are."""
    coding: LinkCoding = field(init=False)
    """What crosses the link in place of payloads."""
    roster: Roster = field(init=False)
    presence: Presence = field(init=False)
    """Who is there and who is at work."""
    cool_time: CoolTime | None = field(init=False, default=None)
    """What throttling remembers of the devices."""
    uplink_bytes: int = field(init=False, default=0)
    """Bytes that crossed the uplink so far, those of broken transfers included."""
    downlink_bytes: int = field(init=False, default=0)
    wasted_j: float = field(init=False, default=0.0)
    """Joules of finished participations whose update was not merged, and of questions in vain."""
    num_rounds: int = field(init=False, default=0)
    """Rounds recorded so far."""
    recorded_j: float = field(init=False, default=0.0)
    """Joules that clients had spent at the end of the last recorded round."""
    num_participations: int = field(init=False, default=0)
    """Participations started so far."""
    forecast: Forecast | None = field(init=False, default=None)
    """Foresees participations for policies, once one has been asked."""
    asked: AskedCosts = field(init=False, default_factory=AskedCosts)
    """Costs of questions that are in no row of a round yet."""
    informed: dict[int, int] = field(init=False, default_factory=dict)
    """Version of the server that clients hold because the policy asked them, by client."""
    host_evaluation_s: float = field(init=False, default=0.0)
    """Host seconds spent in evaluation."""

    def __post_init__(self) -> None:
        if len(self.devices) != len(self.shards) or not self.shards:
            msg = f"devices: one for each of {len(self.shards)} shards, got {len(self.devices)}"
            raise ValueError(msg)
        asks = isinstance(self.policy, AskingPolicy)
        if self.server.downlink == "broadcast" and not self.method.same_download:
            msg = (
                f"server.downlink: must be unicast, {self.method.kind} sends each client its own; "
                "got broadcast"
            )
            raise ValueError(msg)
        if self.server.downlink == "broadcast" and asks:
            msg = (
                "server.downlink: must be unicast, the policy asks clients for losses and who is "
                "asked has the model; got broadcast"
            )
            raise ValueError(msg)
        if isinstance(self.procedure, Exchanging):
            self.procedure.check(self.cost)
            if asks:
                msg = (
                    "server.policy: must not ask clients for losses, "
                    f"{self.method.kind} leaves them a part of the model; this one asks"
                )
                raise ValueError(msg)
        if self.is_timing_only and isinstance(self.method, FollowsDecisions):
            msg = f"training.mode: must be train, {self.method.kind} decides by values; got none"
            raise ValueError(msg)
        is_mean = self.method.merges == "mean"
        is_mean_at_edges = is_mean or self.method.merges == "products"
        if (self.server.merges_stale and not is_mean) or (
            self.server.has_edges and not is_mean_at_edges
        ):
            msg = (
                f"server.mode: {self.method.kind} must average what it is sent (merges: mean), it "
                f"merges by a rule of its own; got {self.server.mode}"
            )
            raise ValueError(msg)
        self.coding = coding_of(
            self.server, self.method, streams=self.streams, num_clients=len(self.shards)
        )
        self.private_rounds = private_rounds_of(self.server, self.method, streams=self.streams)
        self.sample_accounts = sample_accounts_of(self.job_settings, policy=self.server.policy)
        self._check_devices()
        self.state = self.method.initial_state()
        self.personal = PersonalTensors(self.method, StatePlace(self.states))
        self.roster = Roster(self.shards.num_train)
        self.presence = Presence(self.env, self.availability, num_clients=len(self.shards))
        if self.faults != FaultsConfig():
            self.env.process(crash(self.env, self.faults, self.presence, streams=self.streams))
        if self.battery is not None:
            self.presence.batteries = self._batteries(self.battery)
        if self.throttling is not None:
            self.cool_time = CoolTime(self.throttling, num_clients=len(self.devices))

    def _batteries(self, config: BatteryConfig) -> Batteries:
        return Batteries(
            config,
            capacity_j=WH_J * self.devices.battery_wh,
            spent_j=lambda client_ids: self.presence.spent_j(client_ids, self.network.energy),
            key=int(self.streams("battery").integers(2**63 - 1)),
        )

    @property
    def is_timing_only(self) -> bool:
        """Whether nothing is trained and measured: seconds, bytes and joules alone."""
        return not self.metrics

    @property
    def client_ids(self) -> range:
        """All clients, ascending."""
        return range(len(self.shards))

    def job_settings_at(self, version: int) -> JobSettings:
        """Return the settings of a job that begins from a version of the server."""
        factor = rate_factor(
            self.rate_schedule,
            version=version,
            num_rounds=self.server.num_rounds,
            warmup_rounds=self.warmup_rounds,
        )
        if factor == 1.0:
            return self.job_settings
        return replace(self.job_settings, learning_rate=factor * self.job_settings.learning_rate)

    def job_seed(self, client_id: int, round_id: int) -> int:
        """Return the seed of a client's job in a round, the same for every method."""
        return int(self.streams("training", client_id, round_id).integers(2**63 - 1))

    def new_participation_id(self) -> int:
        """Return the number of a participation that starts now: 0, 1, ... within a run."""
        self.num_participations += 1
        return self.num_participations - 1

    def take_informed(self, client_id: int, *, version: int) -> bool:
        """Return whether a client has this version because it was asked for its loss; once."""
        return self.informed.pop(client_id, None) == version

    def take_asked(self) -> AskedCosts:
        """Return the costs of questions since the last call, for the row of a round."""
        taken, self.asked = self.asked, AskedCosts()
        return taken

    @property
    def now_s(self) -> float:
        """Simulated seconds now."""
        return float(self.env.now)

    def energy_j(self) -> float:
        """Joules that clients spent until now."""
        return self.network.energy.total_energy_j(self.env.now)

    def site_energy_j(self) -> float:
        """Joules that sites drew until now."""
        return self.network.energy.site_energy_j(self.env.now)

    def facts(self) -> MethodFacts:
        """Count what a run is charged for at its start: what is trained, sent and needed."""
        if self.twin is None:
            return self.trained_facts()
        return self._facts(self.twin.method, self.twin.module, self.cost)

    def trained_facts(self) -> MethodFacts:
        """Count the same of the model that trains."""
        method, module, cost = self.worker.method, self.worker.module, self.cost
        if self.twin is not None:
            longest = int(self.worker.train.tokens.lengths.max())
            cost = CostModel(
                module,
                max_tokens=longest,
                row_groups=method.row_groups,
                attended_pairs=self.cost.attended_pairs,
            )
        return self._facts(method, module, cost)

    def _facts(self, method: Method, module: nn.Module, cost: CostModel) -> MethodFacts:
        state = method.initial_state()
        download = method.download(state, client_id=0)
        start = method.start(download, method.initial_personal(0), version=0)
        upload = method.upload({**start.tensors, **start.client_outputs}, version=0)
        largest = self.procedure.largest(self.shards, start, cost)
        writing = largest.writing
        return MethodFacts(
            num_backbone=sum(
                parameter.numel()
                for name, parameter in module.named_parameters()
                if name not in method.initial
            ),
            num_trainable=sum(start.tensors[name].numel() for name in start.trainable),
            upload_bytes=0 if upload is None else self.coding.upload_bytes(upload),
            download_bytes=0 if download is None else self.coding.download_bytes(download),
            largest_batch=largest.num_texts,
            longest_text=largest.num_tokens,
            largest_step_flop=largest.step.flop,
            peak_memory_bytes=largest.step.memory_bytes(self.precision),
            prefill_flop=writing.flop,
            num_decode_steps=sum(each.num_steps for each in writing.decode),
            decode_flop=writing.total_flop - writing.flop,
            decode_bytes=sum(each.total_bytes(self.precision) for each in writing.decode),
        )

    def _check_devices(self) -> None:
        """Refuse devices too small for the largest job, or of which it is not known enough."""
        facts = self.facts()
        if self.precision == "int8" and facts.num_backbone == 0:
            msg = (
                "clients.precision: int8 is of frozen weights, which "
                f"{self.method.kind} has none of; got int8, fp16 would do"
            )
            raise ValueError(msg)
        job = (
            f"a step of {self.method.kind} on {facts.largest_batch} texts "
            f"of {facts.longest_text} tokens"
            f"{'' if self.twin is None else f' as {self.twin.name}'}"
        )
        if facts.num_decode_steps:
            for kind in self.devices.kinds:
                kind.known_bandwidth_bytes_per_s()
        check_memory(self.devices.kinds, need_bytes=facts.peak_memory_bytes, job=job)
