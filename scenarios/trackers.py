"""Trackers of experiments beside the files: TensorBoard, trackio, Weights & Biases, MLflow.

One thin adapter a package: begin a run, log numbers of a round, end the run. The files of a result
folder are written in any case, and a tracker that fails is left out while the study goes on.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from scenarios.errors import ScenarioError
from scenarios.output import complain
from scenarios.progress import RunKey, RunProgress, RunStart

Settings = Mapping[str, str | int | float]


class Tracked(Protocol):
    """One run, as a tracker has it."""

    def log(self, numbers: Mapping[str, float], *, step: int) -> None:
        """Keep the numbers of a round."""

    def end(self, *, is_done: bool) -> None:
        """Close the run."""


class _TensorBoard:
    """Event files in ``<folder>/tensorboard/<study>/<run>``."""

    def __init__(self, study: str, run: str, settings: Settings, folder: Path) -> None:
        writer = import_module("torch.utils.tensorboard").SummaryWriter
        self._writer = writer(log_dir=str(folder / "tensorboard" / study / run))
        told = "\n".join(f"{key}: {value}  " for key, value in settings.items())
        self._writer.add_text("settings", told)

    def log(self, numbers: Mapping[str, float], *, step: int) -> None:
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, global_step=step)
        self._writer.flush()

    def end(self, *, is_done: bool) -> None:
        self._writer.add_text("status", "done" if is_done else "failed")
        self._writer.close()


class _Trackio:
    """A run of a project in trackio's own folder; nothing leaves this machine."""

    def __init__(self, study: str, run: str, settings: Settings, folder: Path) -> None:
        del folder
        self._run = import_module("trackio").init(project=study, name=run, config=dict(settings))

    def log(self, numbers: Mapping[str, float], *, step: int) -> None:
        self._run.log(dict(numbers), step=step)

    def end(self, *, is_done: bool) -> None:
        del is_done
        self._run.finish()


class _Wandb:
    """A run in ``<folder>/wandb``, offline unless ``WANDB_MODE`` says otherwise."""

    def __init__(self, study: str, run: str, settings: Settings, folder: Path) -> None:
        self._run = import_module("wandb").init(
            project=study,
            name=run,
            config=dict(settings),
            dir=str(folder),
            mode=os.environ.get("WANDB_MODE", "offline"),
            reinit="create_new",
        )

    def log(self, numbers: Mapping[str, float], *, step: int) -> None:
        self._run.log(dict(numbers), step=step)

    def end(self, *, is_done: bool) -> None:
        self._run.finish(exit_code=0 if is_done else 1)


class _MLflow:
    """A run of an experiment in ``<folder>/mlruns``, unless ``MLFLOW_TRACKING_URI`` is set."""

    def __init__(self, study: str, run: str, settings: Settings, folder: Path) -> None:
        place = os.environ.get("MLFLOW_TRACKING_URI", (folder / "mlruns").resolve().as_uri())
        self._client = import_module("mlflow").MlflowClient(tracking_uri=place)
        known = self._client.get_experiment_by_name(study)
        experiment = self._client.create_experiment(study) if known is None else known.experiment_id
        self._id = self._client.create_run(experiment, run_name=run).info.run_id
        for key, value in settings.items():
            self._client.log_param(self._id, key, value)

    def log(self, numbers: Mapping[str, float], *, step: int) -> None:
        for name, value in numbers.items():
            self._client.log_metric(self._id, name, value, step=step)

    def end(self, *, is_done: bool) -> None:
        self._client.set_terminated(self._id, status="FINISHED" if is_done else "FAILED")


TRACKERS: dict[str, Callable[[str, str, Settings, Path], Tracked]] = {
    "tensorboard": _TensorBoard,
    "trackio": _Trackio,
    "wandb": _Wandb,
    "mlflow": _MLflow,
}
"""Adapters by the name of their package, which is also that of the extra: ``airtune[NAME]``."""


class Trackers:
    """A reporter that hands rounds on to trackers.

    Parameters
    ----------
    names
        Of :data:`TRACKERS`.
    study
        Name of the study: the project or experiment.
    folder
        Where trackers keep their files that do not have a place of their own.
    settings
        What distinguishes a variant, by its label.

    Raises
    ------
    ScenarioError
        A package is not installed.
    """

    def __init__(
        self,
        names: Sequence[str],
        *,
        study: str,
        folder: str | Path,
        settings: Mapping[str, Settings],
    ) -> None:
        self._names = list(dict.fromkeys(names))
        absent = [problem for name in self._names if (problem := _find_absence(name))]
        if absent:
            raise ScenarioError(absent)
        self._study, self._folder, self._settings = study, Path(folder), settings
        self._runs: dict[RunKey, dict[str, Tracked]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for key in list(self._runs):
            self._end(key, is_done=False)

    def begin(self, start: RunStart) -> None:
        """Begin a run in each tracker."""
        key = (start.variant, start.seed)
        told = {**self._settings.get(start.variant, {}), "seed": start.seed}
        runs = self._runs[key] = {}
        for name in list(self._names):
            make = TRACKERS[name]
            run = f"{start.variant} seed {start.seed}"
            made = self._attempt(name, lambda: make(self._study, run, told, self._folder))  # noqa: B023 -- called at once
            if made is not None:
                runs[name] = made

    def advance(self, progress: RunProgress) -> None:
        """Log simulated seconds, joules and the metric of a round."""
        numbers = {"simulated_s": progress.simulated_s, "energy_j": progress.energy_j}
        if progress.metric is not None and progress.value is not None:
            numbers[progress.metric] = progress.value
        for name, run in list(self._runs.get((progress.variant, progress.seed), {}).items()):
            self._attempt(name, lambda: run.log(numbers, step=progress.round))  # noqa: B023

    def finish(self, variant: str, seed: int, status: str, host_s: float) -> None:
        """End a run in each tracker; of runs that were done before there is none."""
        del host_s
        self._end((variant, seed), is_done=status == "done")

    def _end(self, key: RunKey, *, is_done: bool) -> None:
        for name, run in self._runs.pop(key, {}).items():
            self._attempt(name, lambda: run.end(is_done=is_done))  # noqa: B023

    def _attempt(self, name: str, action: Callable[[], Any]) -> Any:  # noqa: ANN401 -- what it gives
        """Do something with a tracker; one that fails is told once and left out from then on."""
        if name not in self._names:
            return None
        try:
            return action()
        except Exception as error:
            self._names.remove(name)
            told = " ".join(f"{type(error).__name__}: {error}".split())
            complain([f"--track {name}: failed, left out from here on: {told}"], as_json=False)
            return None


def _find_absence(name: str) -> str | None:
    """Return what is wrong if the package of a tracker is not installed."""
    try:
        import_module(name)
    except ImportError:
        return f"--track {name}: is not installed; pip install 'airtune[{name}]' adds it"
    return None
