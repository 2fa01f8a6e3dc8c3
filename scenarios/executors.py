"""Who runs the jobs of a study: which settings go together, and the pool that runs share."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from scenarios.errors import ScenarioError
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
        if self.name == "process" and self.jobs > self.num_workers:
            told = f"jobs: must be <= workers = {self.num_workers} with executor process"
            raise ScenarioError([f"{told}, got {self.jobs}"])

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
