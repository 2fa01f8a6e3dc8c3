"""One run: network and federation on one clock, rows to disk as rounds end."""

import contextlib
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import simpy

from fl.clients.devices import Devices
from fl.data.class_counts import class_rows
from fl.data.shards import Shards
from fl.execution.host import PLAIN, Host
from fl.execution.pool_client import WorkerDiedError
from fl.execution.processes import Pool
from fl.execution.recipe import Loaded
from fl.execution.store import StoreWriteError
from fl.interrupts import interrupts_held
from fl.methods.base import Method
from fl.metrics import METRICS
from fl.models.backbone import Backbone
from fl.network import Network
from fl.policies import asks_clients
from fl.rows import (
    AnswerRow,
    ClassRow,
    ClientRow,
    DeviceRow,
    EvaluationRow,
    PrivacyRow,
    QuestionRow,
    RewardRow,
    RoundRow,
    ScoreRow,
)
from fl.server.build import Settings, build_federation
from fl.server.cost_twin import TwinMaker
from fl.server.federation import Federation, Progress, Recorder, ignore_progress
from fl.server.modes import check_server, run_server
from fl.server.state_place import StateFileError
from fl.training.worker import Worker
from netsim.transport.transfers import TransferRow
from scenarios.earlier_runs import file_bytes
from scenarios.errors import RunFailedError
from scenarios.network import (
    PLACE_ROWS,
    RunNetwork,
    background_counts,
    build_network,
    is_cellular,
    place_rows,
)
from scenarios.prepare import backbone_of, recipe_of, rewards_of, texts_of
from scenarios.progress import RunProgress, RunStart
from scenarios.recorder import EnergyRow, FolderRecorder, energy_rows
from scenarios.results import RunFolder
from scenarios.rules import measured_of
from scenarios.run_executor import MakeExecutor, executor_of, told_executor
from scenarios.schema import Scenario
from scenarios.shares import corpus_of, devices_of, facts_of, shards_of, streams_of
from scenarios.task import RunTask
from scenarios.variants import Variant
from scenarios.workers import Emit

_TWINS = TwinMaker()

ROW_TYPES: dict[str, type] = {
    "devices": DeviceRow,
    "classes": ClassRow,
    "rounds": RoundRow,
    "clients": ClientRow,
    "transfers": TransferRow,
    "evaluations": EvaluationRow,
    "energy": EnergyRow,
    "questions": QuestionRow,
    "privacy": PrivacyRow,
    "scores": ScoreRow,
    "rewards": RewardRow,
    "answers": AnswerRow,
    **PLACE_ROWS,
}
"""Files of a run by name, with the type of their rows."""
COST_FILES = ("rounds", "clients", "transfers", "evaluations", "energy", "questions")
"""Those whose rows hold seconds, bytes or joules: where these are a larger architecture's, or those
of devices that do not compute in single precision, last columns say so."""


def row_types(scenario: Scenario) -> dict[str, type]:
    """Return the files of a run of this scenario: those alone that it has rows for."""
    left_out = [] if is_cellular(scenario) else [*PLACE_ROWS]
    if not asks_clients(scenario.server.policy):
        left_out.append("questions")
    is_written = any(METRICS[name].is_written for name in measured_of(scenario))
    if scenario.rewards is None or not is_written:
        left_out.append("rewards")
    if scenario.server.generation.num_kept == 0 or not is_written:
        left_out.append("answers")
    if scenario.training.mode == "none":
        left_out.append("scores")
    is_private = scenario.server.privacy is not None or scenario.training.privacy is not None
    if not is_private or scenario.training.mode == "none":
        left_out.append("privacy")
    return {name: kind for name, kind in ROW_TYPES.items() if name not in left_out}


def run_single(task: RunTask, emit: Emit, *, pool: Pool | None = None) -> dict[str, Any]:
    """Do one run and write its rows; give its entry in the manifest.

    Parameters
    ----------
    task
        Variant, seed and place.
    emit
        Told of every round.
    pool
        Processes that run the jobs; ``None``: this one does.
    """
    host_started_s = time.perf_counter()
    num_rounds = task.variant.scenario.server.num_rounds
    emit(RunStart(variant=task.variant.label, seed=task.seed, num_rounds=num_rounds))

    def tell(progress: Progress) -> None:
        emit(
            RunProgress(
                variant=task.variant.label,
                seed=task.seed,
                round=progress.round,
                num_rounds=progress.num_rounds,
                simulated_s=progress.at_s,
                energy_j=progress.energy_j,
                metric=progress.metric,
                value=progress.value,
            )
        )

    marks = {name: _marks(task.variant.scenario) for name in COST_FILES}
    with RunFolder(task.folder, row_types(task.variant.scenario), marks=marks) as folder:
        recorder = FolderRecorder(folder)
        env, network, federation = assemble(
            task.variant,
            task.seed,
            recorder=recorder,
            on_progress=tell,
            make_executor=lambda recipe, make_worker: executor_of(task, recipe, make_worker, pool),
            host=task.host,
            states=task.states,
        )
        recorder.network = network
        host_start_s = time.perf_counter() - host_started_s
        try:
            folder.write("devices", federation.devices.rows())
            corpus = corpus_of(task.variant.scenario)
            names = corpus.class_names
            folder.write("classes", class_rows(federation.shards, corpus.train.labels, names))
            for name, rows in place_rows(network).items():
                folder.write(name, rows)
            check_server(federation)
            env.run(until=env.process(run_server(federation)))
        except StoreWriteError as error:
            told = f"{error.filename}: a result cannot be kept: {error.strerror}"
            msg = f"{told}; free space, use --store to keep results elsewhere, or --no-store"
            raise RunFailedError(msg) from error
        except StateFileError as error:
            msg = f"{error}; free space there, or use --out to go elsewhere"
            raise RunFailedError(msg) from error
        except WorkerDiedError as error:
            msg = f"{error}; what is done is kept: the same command goes on"
            raise RunFailedError(msg) from error
        except KeyboardInterrupt:
            with contextlib.suppress(Exception):  # an interrupted run has nothing else to say
                federation.write_finished()
            raise
        except (Exception, SystemExit) as error:
            error.add_note(f"at {env.now:g} s of simulated time")
            raise
        finally:
            # an interrupted run keeps the energy of its finished part, too
            with interrupts_held():
                recorder.write_network_rows()
                recorder.write_scores()
                folder.write("energy", energy_rows(network, until_s=env.now))
            federation.executor.close()
            federation.personal.place.close()
    host_total_s = time.perf_counter() - host_started_s
    host_train_s = federation.executor.host_training_s
    host_eval_s = federation.host_evaluation_s
    return {
        "host_total_s": round(host_total_s, 4),
        "host_train_s": round(host_train_s, 4),
        "host_eval_s": round(host_eval_s, 4),
        "host_write_s": round(folder.host_write_s, 4),
        "host_start_s": round(host_start_s, 4),
        "host_other_fraction": round(1 - (host_train_s + host_eval_s) / host_total_s, 4),
        "simulated_s": float(env.now),
        **background_counts(network),
        **told_executor(task, pool),
        "num_jobs_submitted": federation.executor.num_submitted,
        "num_jobs_computed": federation.executor.num_computed,
        "data": facts_of(task.variant.scenario),
        "model_digest": federation.worker.model_key,
        "file_bytes": file_bytes(task.folder),
    }


def _marks(scenario: Scenario) -> dict[str, str]:
    """Return what the costs of a scenario are those of, where it is not what trains."""
    cost_as, precision = scenario.model.cost_as, scenario.clients.precision
    marks = {} if cost_as is None else {"cost_as": cost_as}
    return marks if precision == "fp32" else {**marks, "precision": precision}


def assemble(
    variant: Variant,
    seed: int,
    *,
    recorder: Recorder,
    on_progress: Callable[[Progress], None] = ignore_progress,
    make_executor: MakeExecutor | None = None,
    host: Host = PLAIN,
    states: Path | None = None,
) -> tuple[simpy.Environment, RunNetwork, Federation]:
    """Put the network and the federation of one run on one clock at 0 s; nothing has happened yet.

    Raises
    ------
    ValueError
        If data, model, devices or a user's own code do not allow the run; one line says why.
    """
    scenario = variant.scenario
    num_classes = len(corpus_of(scenario).class_names)
    env = simpy.Environment()
    network = build_network(scenario, env, seed=seed)
    federation = federate(
        scenario,
        seed=seed,
        env=env,
        network=network,
        backbone=backbone_of(scenario, num_classes=num_classes, seed=seed),
        shards=shards_of(scenario, seed=seed),
        devices=devices_of(scenario, streams_of(seed)),
        recorder=recorder,
        on_progress=on_progress,
        make_executor=make_executor,
        host=host,
        states=states,
    )
    return env, network, federation


def federate(
    scenario: Scenario,
    *,
    seed: int,
    env: simpy.Environment,
    network: Network,
    backbone: Backbone,
    shards: Shards,
    devices: Devices,
    recorder: Recorder,
    on_progress: Callable[[Progress], None] = ignore_progress,
    make_executor: MakeExecutor | None = None,
    host: Host = PLAIN,
    states: Path | None = None,
) -> Federation:
    """Put the federation of a scenario of one method together from loaded parts.

    Parameters
    ----------
    scenario, seed
        Whose settings and randomness.
    env, network
        Clock, and what moves bytes on it.
    backbone
        Fresh: the method is installed in it, in place.
    shards, devices
        By client id.
    recorder, on_progress
        Told of rows and rounds.
    make_executor
        Makes who runs the jobs; ``None``: this process, every one of them.
    host
        What of the machine they run on.
    states
        Folder for what clients hold of their own, as of :func:`fl.server.build.build_federation`.

    Raises
    ------
    ValueError
        If the method does not suit the backbone, or a device does not hold its largest step.
    """
    texts = texts_of(scenario, backbone=backbone)
    rewards = None if scenario.rewards is None else rewards_of(scenario.rewards)
    loaded = Loaded(backbone=backbone, train=texts.train, test=texts.test, rewards=rewards)
    recipe = recipe_of(scenario, seed=seed, host=host)
    # Costs are counted on this one, whatever jobs run on.
    worker = recipe.build(loaded, runs_jobs=False)

    def make_worker() -> Worker[Method]:
        if recipe.is_plain:
            return worker
        fresh = backbone_of(scenario, num_classes=len(corpus_of(scenario).class_names), seed=seed)
        return recipe.build(replace(loaded, backbone=fresh))

    longest, model = int(texts.train.tokens.lengths.max()), scenario.model
    twin = None
    if model.cost_as is not None:
        twin = _TWINS.make(
            model.cost_as,
            scenario.methods[0],
            num_classes=len(corpus_of(scenario).class_names),
            is_generation=scenario.data.task == "generation",
            pooling=model.pooling,
            num_clients=scenario.clients.num_clients,
            max_tokens=longest,
            lora=scenario.training.lora,
        )
    return build_federation(
        Settings(
            method=scenario.methods[0],
            training=scenario.training,
            server=scenario.server,
            precision=scenario.clients.precision,
            throttling=scenario.clients.throttling,
            availability=scenario.clients.availability,
            battery=scenario.clients.battery,
            faults=scenario.faults,
        ),
        env=env,
        network=network,
        streams=streams_of(seed),
        worker=worker,
        shards=shards,
        devices=devices,
        recorder=recorder,
        on_progress=on_progress,
        twin=twin,
        executor=None if make_executor is None else make_executor(recipe, make_worker),
        states=states,
    )
