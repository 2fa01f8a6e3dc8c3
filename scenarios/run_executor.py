"""Who runs the jobs of one run, and how its entry in the manifest says so."""

from collections.abc import Callable
from typing import Any

from fl.execution.cohort import CohortExecutor
from fl.execution.executor import Executor, InProcessExecutor
from fl.execution.processes import Pool, ProcessExecutor
from fl.execution.recipe import WorkerRecipe
from fl.execution.store import ResultStore
from fl.methods.base import Method
from fl.models.quantized import quantization_version
from fl.training.worker import Worker
from scenarios.task import RunTask

MakeWorker = Callable[[], Worker[Method]]
"""Gives what runs jobs in this process."""
MakeExecutor = Callable[[WorkerRecipe, MakeWorker], Executor]
"""Makes who runs the jobs of a recipe."""


def executor_of(
    task: RunTask, recipe: WorkerRecipe, make_worker: MakeWorker, pool: Pool | None
) -> Executor:
    """Return who runs the jobs of a run."""
    if pool is not None:
        return ProcessExecutor(pool, recipe, store=task.store, store_max_bytes=task.store_max_bytes)
    store = None
    if task.store is not None:
        store = ResultStore(task.store, max_bytes=task.store_max_bytes)
    if task.cohort is not None:
        return CohortExecutor(make_worker(), max_jobs=task.cohort, store=store)
    return InProcessExecutor(make_worker(), store=store)


def told_executor(task: RunTask, pool: Pool | None) -> dict[str, Any]:
    """State what of the machine the rows depend on by rounding, for the manifest."""
    host, training = task.host, task.variant.scenario.training
    name = "inline" if task.cohort is None else f"cohort of at most {task.cohort}"
    return {
        "executor": name if pool is None else "process",
        "device": host.device,
        "matrix_products": training.autocast or "fp32",
        **_told_weights(training.frozen_weights),
        **({"checkpointing": True} if host.checkpointing else {}),
        **({"compiled": True} if host.compiled else {}),
    }


def _told_weights(kind: str | None) -> dict[str, str]:
    if kind is None:
        return {}
    return {"frozen_weights": f"{kind}, bitsandbytes {quantization_version()}"}
