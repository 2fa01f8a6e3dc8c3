"""A federation of one number, whose clients step towards numbers of their own in seconds given.

Client ``k`` that is sent ``x`` sends ``x + rate (goal_k - x)`` back: a step of gradient descent on
``(x - goal_k)^2 / 2``. Nothing is trained, so every aggregation rule has a closed form.
"""

from dataclasses import dataclass, field

import numpy as np
import torch

from fl.clients.work import Work
from fl.data.shards import Shard
from fl.methods.averaging import AveragingMethod
from fl.methods.head.config import HeadConfig
from fl.server.modes import run_server
from fl.server.personal import PersonalTensors
from fl.training.job import EvaluationResult, TrainJob, TrainResult
from tests.fl.fakes import federation

NO_TIME_BPS = 1e15
COMPUTE_W = 2.0


@dataclass(frozen=True)
class TimedDevice:
    """Takes the seconds that it is told, whatever the job."""

    seconds: float
    compute_w: float = COMPUTE_W
    name: str = "timed"

    def compute_s(self, work):
        return self.seconds + 0.0 * work.flop


class NoWork:
    """A procedure whose jobs cost no operations."""

    def plan(self, samples, *, seed):
        return (len(samples), seed)

    def work(self, plan, start, cost):
        return Work()


@dataclass
class StepExecutor:
    """Computes the step of the client; scores are all right, or what ``right`` says of ``x``."""

    goals: list[float]
    rate: float
    num_submitted: int = 0
    num_computed: int = 0
    host_training_s: float = 0.0
    runs_ahead: bool = False
    jobs: list[TrainJob] = field(default_factory=list)

    def submit(self, job, *, flop=0):
        if isinstance(job, TrainJob):
            self.num_submitted += 1
            self.jobs.append(job)
        return _Step(self, job)


@dataclass
class _Step:
    executor: StepExecutor
    job: object
    is_dropped: bool = False
    done: TrainResult | None = None

    def drop(self):
        self.is_dropped = True

    def result(self):
        assert not self.is_dropped, "asked for the result of a dropped job"
        job = self.job
        if not isinstance(job, TrainJob):
            ones = np.ones(len(job.samples))
            return EvaluationResult(scores={"right": ones, "texts": ones})
        if self.done is None:
            self.executor.num_computed += 1
            start = job.start.tensors["x"]
            step = self.executor.rate * (self.executor.goals[job.client_id] - start)
            self.done = TrainResult(
                tensors={"x": start + step},
                mean_loss=float(job.client_id),
                rms_loss=float(job.client_id),
                num_samples=len(job.samples),
                num_steps=1,
            )
        return self.done


def scalar_federation(
    *, seconds, goals=None, rate=1.0, sizes=None, x=0.0, dtype=torch.float64, **options
):
    """Return a federation of as many clients as there are ``seconds``; transfers take no time.

    ``sizes`` are the training texts of the clients, one each by default.
    """
    num_clients = len(seconds)
    options = {"cohort": num_clients, "num_rounds": 3, **options}
    played = federation(HeadConfig(), num_clients=num_clients, num_texts=80, **options)
    played.devices = [TimedDevice(each) for each in seconds]
    played.shards = [
        Shard(train=np.arange(size), test=np.arange(1)) for size in sizes or [1] * num_clients
    ]
    goals = [float(each) for each in range(1, num_clients + 1)] if goals is None else goals
    played.executor = StepExecutor(goals=goals, rate=rate)
    played.procedure = NoWork()
    first = {"x": torch.tensor(x, dtype=dtype)}
    played.method = AveragingMethod(kind="scalar", initial=first, shared=("x",))
    played.state = played.method.initial_state()
    played.personal = PersonalTensors(played.method)
    played.network.uplink_rate_bps = played.network.downlink_rate_bps = NO_TIME_BPS
    return played


def play(played):
    """Run a federation to its end; return its rows."""
    played.env.run(until=played.env.process(run_server(played)))
    return played.recorder


def values(played):
    """Watch ``x`` after every aggregation: a list that fills as the federation runs."""
    found, aggregate = [], played.method.aggregate

    class Watched:
        def __getattr__(self, name):
            return getattr(played_method, name)

        def aggregate(self, state, contributions):
            after = aggregate(state, contributions)
            found.append(float(after.tensors["x"]))
            return after

    played_method, played.method = played.method, Watched()
    return found
