"""From a scenario to a result folder: every variant under every seed, on one process or several."""

import contextlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.text_safety import shortened
from fl.execution.host import Host
from fl.models.registry import origin_of
from scenarios.document import Document
from scenarios.earlier_runs import LIBRARIES, PACKAGES, Key, find_earlier, run_keys
from scenarios.error_log import NAME, cut_off
from scenarios.error_log import entry as log_entry
from scenarios.errors import ResultFolderError, RunFailedError
from scenarios.executors import ExecutorName, ExecutorSettings, check_host
from scenarios.heavy_imports import heavy_imports
from scenarios.host_time import HostTime, Stopwatch
from scenarios.inputs import code_digest
from scenarios.output import MAX_LINE
from scenarios.own_files import own_file_digests
from scenarios.progress import KEPT, Reporter, RunProgress, RunStart, Silent
from scenarios.provenance import provenance
from scenarios.result_folder import ResultFolder
from scenarios.schema import Scenario, to_data
from scenarios.store import MAX_BYTES, make_store
from scenarios.task import RunTask
from scenarios.variants import Variant, variants
from scenarios.workers import Message, run_tasks

MAX_ERROR = 20_000
"""Longest traceback in the manifest, in characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyResult:
    """What a study left behind."""

    folder: Path
    run_id: str
    """Stands in the manifest: tells whether the folder still is that of this run."""
    status: str
    """``done``, ``failed`` (at least one run) or ``interrupted``."""
    num_done: int
    num_kept: int
    """Runs among them that an earlier start had done."""
    failures: tuple[str, ...]
    """One line for every run that failed; ``error.log`` and the manifest hold its traceback."""
    host_time: HostTime | None
    """Where the host time of the runs went that were done now; ``None`` if there were none."""


def run(
    scenario: Scenario,
    *,
    out: str | Path = "out",
    jobs: int = 1,
    executor: ExecutorName = "inline",
    workers: int | None = None,
    cohort: int | None = None,
    ray_address: str | None = None,
    ray_gpus: float | None = None,
    device: str = "cpu",
    checkpointing: bool = False,
    compile: bool = False,
    store: str | Path | None = None,
    store_max_bytes: int | None = MAX_BYTES,
    overwrite: bool = False,
    reporter: Reporter | None = None,
    places: Document | None = None,
) -> StudyResult:
    """Run a study and write its rows and manifest to ``<out>/<name>/``.

    Data, model and every rule are checked before the folder is made: bad input leaves nothing. In a
    folder of the same study, what an earlier start has finished stays, and the rest is done.

    Parameters
    ----------
    scenario
        From :func:`scenarios.load.load`, or built in Python.
    out
        Where the result folder goes.
    jobs
        Runs at a time, at least 1; it changes no row.
    executor
        Who runs the jobs of a run: the process of that run, or ``process``: a pool of worker
        processes that the runs share, or ``ray``: a cluster, which change no row; or ``cohort``:
        the process of that run, several clients at once, which changes rows by rounding.
    workers
        Processes of that pool, at least ``jobs``; as many as there are cores when ``None``. Of all
        processes, those of runs included, no more compute at a time.
    cohort
        Most clients at once; :data:`fl.execution.cohort.MAX_JOBS` when ``None``.
    ray_address
        ``host:port`` of a cluster that runs, or ``auto`` for that of this machine; ``None``: one is
        started here for this study.
    ray_gpus
        GPUs that a job holds there; none when ``None``.
    device
        Where jobs are computed: ``cpu``, ``cuda``, ``cuda:1``, ``mps``, or ``auto``; another than
        the CPU changes rows by rounding.
    checkpointing
        Keep only what comes into each block of the model for backward, and work blocks out again.
    compile
        Compile blocks of the model, which changes rows by rounding.
    store
        Folder where results of jobs are kept and looked up: what any run has trained or evaluated
        from the same inputs is not computed again. It changes no row.
    store_max_bytes
        Most bytes in that folder: results that were used longest ago go. ``None``: no limit.
    overwrite
        Replace the result folder of an earlier run.
    reporter
        Told of every round; nothing is shown when it is None.
    places
        Where the keys of the scenario stand, for messages: from
        :func:`scenarios.load.load_with_places`.

    Raises
    ------
    ScenarioError
        If ``jobs`` is below 1, the scenario cannot be run, or the folder is in use, or holds
        another study and may not be replaced.
    RunFailedError
        If a worker process died, or the folder could not be written or was taken away. Finished
        rounds stay readable.
    """
    # torch is loaded here, not where this module is imported: listing and validating stay quick
    from scenarios.check import check  # noqa: PLC0415

    with heavy_imports():
        from scenarios.prepare import reward_facts  # noqa: PLC0415
        from scenarios.single import row_types, run_single  # noqa: PLC0415

    chosen = ExecutorSettings(
        name=executor,
        jobs=jobs,
        workers=workers,
        cohort=cohort,
        ray_address=ray_address,
        ray_gpus=ray_gpus,
        device=device,
        checkpointing=checkpointing,
        compile=compile,
    )
    reporter = reporter or Silent()
    all_variants = variants(scenario)
    host = chosen.host()
    check_host(host, [each.scenario for each in all_variants])
    inputs = {"data": check(scenario, places), "own_files": own_file_digests(all_variants)}
    names = dict.fromkeys(each.scenario.model.name for each in all_variants)
    origins = {name: origin for name in names if (origin := origin_of(name)) is not None}
    if origins:
        inputs["model_origin"] = origins
    if scenario.rewards is not None:
        # loaded here, before any worker starts: what is not in the cache is trained once
        inputs["rewards"] = reward_facts(scenario.rewards)
    kept = None if store is None else make_store(store)
    keys, data = run_keys(all_variants, scenario.seeds), to_data(scenario)
    with contextlib.ExitStack() as stack:
        pool = stack.enter_context(chosen.pool())
        folder = ResultFolder(
            Path(out) / scenario.name,
            overwrite=overwrite,
            find_earlier=lambda path: find_earlier(path, keys, data),
        )
        stack.callback(folder.release)
        study = _Study(
            folder,
            scenario,
            all_variants,
            inputs,
            reporter,
            keys=keys,
            store=kept,
            store_max_bytes=store_max_bytes,
            cohort=chosen.max_cohort,
            host=host,
        )
        # the manifest first: with it the folder is known as ours, whatever stops the study
        study.save("running")
        folder.write_scenario(data)
        files = [
            f"{task.variant.name}/seed{task.seed}/{name}.csv"
            for task in study.tasks
            for name in row_types(task.variant.scenario)
        ]
        folder.record([NAME, *files])
        try:
            run_tasks(run_single, study.tasks, num_workers=jobs, on_message=study.hear, pool=pool)
        except KeyboardInterrupt:
            return study.close("interrupted")
        except BaseException:
            # what stopped the study is told, not that its last manifest could not be written either
            with contextlib.suppress(ResultFolderError):
                study.close("failed")
            raise
        return study.close("failed" if study.failures else "done")


def cost_label(all_variants: Sequence[Variant]) -> str | None:
    """State whose costs the rows hold: ``None`` where each model has its own.

    Where only some variants are charged as another architecture, or in another precision than the
    single one that trains, their labels name the knob.
    """
    scenarios = [variant.scenario for variant in all_variants]
    precisions = [each.clients.precision for each in scenarios]
    parts = [
        _told("cost_as", [each.model.cost_as and f"as {each.model.cost_as}" for each in scenarios]),
        _told("precision", [None if each == "fp32" else f"in {each}" for each in precisions]),
    ]
    return ", ".join(part for part in parts if part) or None


def _told(knob: str, named: Sequence[str | None]) -> str | None:
    """Join what variants are charged as by one knob; ``None`` where it changes no cost."""
    others = [name for name in dict.fromkeys(named) if name]
    told = ", ".join(others)
    return f"{told} where {knob} says so" if others and len(set(named)) > 1 else told or None


class _Study:
    """The manifest while runs go on: it hears what they say and is saved at every end of a run."""

    def __init__(
        self,
        folder: ResultFolder,
        scenario: Scenario,
        all_variants: list[Variant],
        inputs: dict[str, Any],
        reporter: Reporter,
        *,
        keys: Mapping[Key, str],
        store: Path | None,
        store_max_bytes: int | None,
        cohort: int | None,
        host: Host,
    ) -> None:
        self._folder = folder
        self.failures: list[str] = []
        kept = folder.earlier.kept
        self._num_kept = len(kept)
        self.tasks: list[RunTask] = []
        """Runs that are still to be done."""
        self._runs: dict[Key, dict[str, Any]] = {}
        for seed in scenario.seeds:
            for variant in all_variants:
                key = variant.name, seed
                if key in kept:
                    self._runs[key] = dict(kept[key])
                    host_s = float(kept[key].get("host_total_s", 0.0))
                    reporter.finish(variant.label, seed, KEPT, host_s)
                    continue
                self._runs[key] = {
                    "variant": variant.name,
                    "seed": seed,
                    "status": "waiting",
                    "key": keys[key],
                }
                self.tasks.append(
                    RunTask(
                        variant=variant,
                        seed=seed,
                        folder=folder.path / variant.name / f"seed{seed}",
                        store=store,
                        store_max_bytes=store_max_bytes,
                        states=folder.states_of(variant.name, seed),
                        cohort=cohort,
                        host=host,
                    )
                )
        self._reporter = reporter
        self._stopwatch = Stopwatch()
        self._started_s = time.perf_counter() - folder.earlier.host_total_s
        self._head = {
            "name": scenario.name,
            "seeds": list(scenario.seeds),
            "variants": [
                {
                    "name": variant.name,
                    "label": variant.label,
                    "method": variant.method,
                    "knobs": variant.told,
                }
                for variant in all_variants
            ],
            "targets": dict(scenario.server.targets),
            "target_split": scenario.server.target_split,
            "model": scenario.model.name,
            "cost_label": cost_label(all_variants),
            "timing_only": all(each.scenario.training.mode == "none" for each in all_variants),
            "code": code_digest(PACKAGES, LIBRARIES),
            **inputs,
            **provenance(),
        }

    def hear(self, message: Message) -> None:
        """Take in one message of a run."""
        task = self.tasks[message.index]
        entry = self._runs[task.variant.name, task.seed]
        if isinstance(message.content, RunStart):
            self._reporter.begin(message.content)
            return
        if isinstance(message.content, RunProgress):
            entry["status"] = "running"
            self._reporter.advance(message.content)
            return
        if message.kind == "failure":
            text = message.content
            entry.update(status="failed", error=cut_off(text, MAX_ERROR))
            where = f"{task.variant.name} seed {task.seed}"
            log = "" if message.is_fatal else self._log(where, text)
            told = f"{where}: failed: {message.summary}"
            self.failures.append(f"{shortened(told, MAX_LINE - len(log))}{log}")
            if message.is_fatal:
                raise RunFailedError(self.failures[-1])
        else:
            entry.update(status="done", **message.content)
        self._reporter.finish(
            task.variant.label,
            task.seed,
            entry["status"],
            entry.get("host_total_s", message.host_s),
        )
        self.save("running")

    def _log(self, where: str, text: str) -> str:
        """Keep a traceback; return how a message says where it is, or nothing on a full disk."""
        try:
            path = self._folder.add_to_log(log_entry(where, text))
        except ResultFolderError:
            return ""
        return f"; traceback: {shortened(str(path), MAX_LINE // 2)}"

    def save(self, status: str) -> None:
        """Replace the manifest."""
        self._folder.write_manifest(self._manifest(status))

    def _manifest(self, status: str) -> dict[str, Any]:
        host_s = time.perf_counter() - self._started_s
        return {
            **self._head,
            "status": status,
            "host_total_s": round(host_s, 3),
            "runs": list(self._runs.values()),
        }

    def close(self, status: str) -> StudyResult:
        """Write the last manifest; runs that had begun and did not end carry the study's status."""
        for entry in self._runs.values():
            if entry["status"] == "running":
                entry["status"] = status
        self._folder.write_last_manifest(self._manifest(status))
        done = {key: run for key, run in self._runs.items() if run["status"] == "done"}
        now = [run for key, run in done.items() if key not in self._folder.earlier.kept]
        return StudyResult(
            folder=self._folder.path,
            run_id=self._folder.run_id,
            status=status,
            num_done=len(done),
            num_kept=self._num_kept,
            failures=tuple(self.failures),
            host_time=self._stopwatch.read(now),
        )
