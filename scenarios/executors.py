"""Who runs the jobs of a study: which settings go together, and the pool that runs share."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from fl.execution.host import PLAIN, Host, HostError, check_compiler, check_name, find_device
from scenarios.errors import ScenarioError
from scenarios.schema import Scenario
from scenarios.workers import Pool

ExecutorName = Literal["inline", "process", "cohort", "ray"]
EXECUTORS: tuple[ExecutorName, ...] = ("inline", "process", "cohort", "ray")
"""Who can run jobs: the process of a run, a pool of processes, the process of a run several at
once, a Ray cluster."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExecutorSettings:
    """Who runs jobs, and how many at a time.

    Raises
    ------
    ScenarioError
        A value out of range, or one that has no effect with this executor.
    """

    name: ExecutorName = "inline"
    jobs: int = 1
    """Runs at a time."""
    workers: int | None = None
    """Of ``process``: processes; ``None``: one a core."""
    cohort: int | None = None
    """Of ``cohort``: most clients at once; ``None``: as many as are best for most."""
    ray_address: str | None = None
    """Of ``ray``: where the cluster is; ``None``: one is started on this machine."""
    ray_gpus: float | None = None
    """Of ``ray``: GPUs that a job holds, a part of one where several share it; ``None``: none."""
    device: str = "cpu"
    """Where jobs are computed: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``."""
    checkpointing: bool = False
    """Whether backward keeps only what comes into each block of the model."""
    compile: bool = False
    """Whether blocks of the model are compiled."""

    def __post_init__(self) -> None:
        """Check all that is known without a cluster."""
        if self.name not in EXECUTORS:
            told = f"executor: must be one of {', '.join(EXECUTORS)}, got {self.name!r}"
            raise ScenarioError([told])
        for key, number in (
            ("jobs", self.jobs),
            ("workers", self.workers),
            ("cohort", self.cohort),
        ):
            is_whole = isinstance(number, int) and not isinstance(number, bool) and number >= 1
            if number is not None and not is_whole:
                raise ScenarioError([f"{key}: must be a whole number >= 1, got {number!r}"])
        owners = {"workers": "process", "cohort": "cohort", "ray_address": "ray", "ray_gpus": "ray"}
        for key, owner in owners.items():
            value = getattr(self, key)
            if value is not None and self.name != owner:
                told = f"{key}: has no effect with executor {self.name}, got {value}"
                raise ScenarioError([told])
        if self.ray_gpus is not None and not 0 <= self.ray_gpus < float("inf"):
            raise ScenarioError([f"ray_gpus: must be a number >= 0, got {self.ray_gpus!r}"])
        self._check_host()
        if self.name == "process" and self.jobs > self.num_workers:
            told = f"jobs: must be <= workers = {self.num_workers} with executor process"
            raise ScenarioError([f"{told}, got {self.jobs}"])

    def _check_host(self) -> None:
        """Check what is computed on, as far as it is known without torch."""
        try:
            check_name(self.device)
        except HostError as error:
            raise ScenarioError([str(error)]) from None
        if self.name == "ray":
            if self.device in {"auto", "cpu"} and self.ray_gpus:
                told = f"has no effect with device {self.device}, got {self.ray_gpus:g}"
                raise ScenarioError([f"ray_gpus: {told}; give device cuda"])
            if self.device == "auto":
                raise ScenarioError(["device: auto is not known for nodes of a cluster; name it"])
            if self.device == "cuda" and not self.ray_gpus:
                told = "cuda needs ray_gpus above 0 with executor ray, jobs see no GPU otherwise"
                raise ScenarioError([f"device: {told}"])
        if self.name == "cohort" and self.compile:
            told = "has no effect with executor cohort, which calls layers for several clients"
            raise ScenarioError([f"compile: {told}"])

    def host(self) -> Host:
        """Return what of this machine jobs run on.

        Raises
        ------
        ScenarioError
            The device is not here, or there is no compiler.
        """
        try:
            device = self.device if self.name == "ray" else find_device(self.device)
            if self.compile and self.name != "ray":
                check_compiler()
        except HostError as error:
            raise ScenarioError([str(error)]) from None
        return Host(device=device, checkpointing=self.checkpointing, compiled=self.compile)

    @property
    def num_workers(self) -> int:
        """Processes of ``process``."""
        return len(os.sched_getaffinity(0)) if self.workers is None else self.workers

    @property
    def max_cohort(self) -> int | None:
        """Most clients that are trained at once; ``None`` where they are one after the other."""
        if self.name != "cohort":
            return None
        from fl.execution.cohort import MAX_JOBS  # noqa: PLC0415 -- loads torch

        return MAX_JOBS if self.cohort is None else self.cohort

    @contextmanager
    def pool(self) -> Iterator[Pool | None]:
        """Yield what the runs share, and close it; ``None``: each run computes its own jobs.

        Raises
        ------
        ScenarioError
            There is no such cluster.
        """
        made: Pool | None = None
        if self.name == "process":
            from fl.execution.worker_pool import WorkerPool  # noqa: PLC0415

            made = WorkerPool(self.num_workers, num_recipes=self.jobs)
        elif self.name == "ray":
            from fl.execution.ray_pool import RayError, RayPool  # noqa: PLC0415

            try:
                made = RayPool(self.ray_address, num_gpus=self.ray_gpus or 0.0)
            except RayError as error:
                raise ScenarioError([f"executor ray: {error}"]) from error
        try:
            yield made
        finally:
            if made is not None:
                made.close()


def check_host(host: Host, scenarios: Sequence[Scenario]) -> None:
    """Refuse settings of the host that have no effect on a study, or that a method forbids.

    Raises
    ------
    ScenarioError
        One line.
    """
    if host != PLAIN and all(each.training.mode == "none" for each in scenarios):
        named = {"device": host.device != "cpu", "checkpointing": host.checkpointing}
        first = next((name for name, is_given in named.items() if is_given), "compile")
        raise ScenarioError([f"{first}: has no effect where training.mode is none"])
    quantized = [each for each in scenarios if each.training.frozen_weights is not None]
    if quantized:
        _check_quantized(host, quantized)
    if host.checkpointing:
        for method in (each.methods[0] for each in scenarios):
            if not method.can_recompute:
                told = f"does not go with {method.kind}: its layers keep things of a pass"
                raise ScenarioError([f"checkpointing: {told}"])


def _check_quantized(host: Host, scenarios: Sequence[Scenario]) -> None:
    """Refuse quantised weights that cannot be, or that nothing is trained on."""
    from fl.models.quantized import QuantizationError, check_quantization  # noqa: PLC0415

    try:
        check_quantization(host.device)
    except QuantizationError as error:
        raise ScenarioError([str(error)]) from None
    if any(each.training.mode == "none" for each in scenarios):
        told = "has no effect where training.mode is none"
        raise ScenarioError([f"training.frozen_weights: {told}"])
