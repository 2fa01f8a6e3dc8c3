"""Speed of the training backend: ``python -m benchmarks.backend [--threads N] [--json]``.

The reference is a plain loop of transformers, peft and torch over the same steps: BERT of 4 layers
of width 128, 10 clients a round, 8 steps of 16 texts of 32 tokens, LoRA of rank 8, one thread.
Beside it the same round as jobs, in this process and on two worker processes, and a round that is
read from the store; and a round of ``head`` whose encoder is run once a text, against one where it
is run for every batch. The round is also trained several clients at once, and so are two rounds of
the built-in encoder: texts of their own lengths in batches of 16, as in the quickstart, and in
batches of 4. Seconds of the host a round, median over rounds that alternate; the start of processes
is left out. Seconds of processes need cores that nobody else uses. ``--threads``: of torch, for all
but the worker processes. ``--processor``: seconds of the processor that this process used, which
other work on the machine disturbs less.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import peft
import torch
import transformers

from fl.execution.cohort import CohortExecutor
from fl.execution.executor import Executor, InProcessExecutor
from fl.execution.processes import ProcessExecutor
from fl.execution.recipe import WorkerRecipe
from fl.execution.store import ResultStore
from fl.execution.worker_pool import WorkerPool
from fl.global_generators import seeded_generators
from fl.methods.head.config import HeadConfig
from fl.models.registry import find_model
from fl.training.batches import plan_batches
from fl.training.cost import CostModel
from fl.training.job import JobSettings, Start, TrainJob
from fl.training.worker import Worker
from scenarios.load import load
from scenarios.prepare import recipe_of
from scenarios.variants import variants

NUM_CLIENTS = 10
STEPS, BATCH_SIZE, NUM_TOKENS, RANK, RATE = 8, 16, 32, 8, 1e-3
REPEATS = 5
NUM_WORKERS = 2
_STUDY = """
name: backend
seeds: [1]
clients: {num_clients: 50, devices: {phone_mid: 1.0}}
network: {kind: constant, uplink_rate_bps: 1e7, downlink_rate_bps: 1e7}
data: {source: docstrings, partition: {kind: iid}, max_train_texts: 3000, max_test_texts: 800}
model: {name: MODEL, max_tokens: 32}
training: {local_steps: 8, batch_size: 16, learning_rate: 1e-3}
server:
  {mode: sync, num_rounds: ROUNDS, evaluate_every: ROUNDS, policy: {kind: random, num_clients: 10}}
methods: [{kind: fedit, rank: 8}]
"""


def bert(folder: Path) -> Path:
    """Save a BERT with random weights and the built-in tokenizer; return its folder."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(find_model("tiny-encoder"))
    config = transformers.BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=128,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=512,
        max_position_embeddings=64,
    )
    place = folder / "bert"
    with seeded_generators(0):
        transformers.BertModel(config).save_pretrained(place)
    tokenizer.save_pretrained(place)
    return place


def study_of(folder: Path, model: Path, *, num_rounds: int = 1) -> Path:
    """Write the scenario of a model; return its file."""
    study = folder / "backend.yaml"
    text = _STUDY.replace("MODEL", str(model)).replace("ROUNDS", str(num_rounds))
    study.write_text(text, encoding="utf-8")
    return study


def jobs_of(
    worker: Worker[Any], *, batch_size: int = BATCH_SIZE, min_tokens: int = NUM_TOKENS
) -> list[TrainJob]:
    """Return the jobs of a round, of texts that are not too short; steps of full ones are alike."""
    lengths = worker.train.tokens.lengths
    long = np.flatnonzero(lengths >= min_tokens)
    settings = JobSettings(
        local_steps=STEPS,
        local_epochs=None,
        batch_size=batch_size,
        learning_rate=RATE,
        weight_decay=0.0,
        max_gradient_norm=None,
    )
    rng = np.random.default_rng(0)
    return [
        TrainJob(
            model_key=worker.model_key,
            client_id=client_id,
            round=1,
            version=0,
            start=Start(
                tensors=worker.method.initial, trainable=tuple(sorted(worker.method.initial))
            ),
            samples=np.sort(rng.choice(long, size=60, replace=len(long) < 60)),
            settings=settings,
            seed=client_id,
        )
        for client_id in range(NUM_CLIENTS)
    ]


class PlainLoop:
    """The same steps with transformers' classifier, peft's LoRA and torch's AdamW."""

    def __init__(self, folder: Path, worker: Worker[Any], *, num_classes: int) -> None:
        base = transformers.AutoModelForSequenceClassification.from_pretrained(
            folder, num_labels=num_classes
        )
        config = peft.LoraConfig(
            r=RANK, target_modules=["query", "value"], modules_to_save=["classifier"]
        )
        self._model = peft.get_peft_model(base, config).eval()
        self._worker = worker
        self._named = {
            name: value for name, value in self._model.named_parameters() if value.requires_grad
        }
        self._start = {name: value.detach().clone() for name, value in self._named.items()}

    def round(self, jobs: list[TrainJob]) -> None:
        """Train one client after the other, each from the same values."""
        table = self._worker.train
        for job in jobs:
            with torch.no_grad():
                for name, value in self._named.items():
                    value.copy_(self._start[name])
            optimiser = torch.optim.AdamW(
                self._named.values(), lr=RATE, weight_decay=0.0, fused=True
            )
            plan = plan_batches(
                job.samples,
                batch_size=BATCH_SIZE,
                local_steps=STEPS,
                local_epochs=None,
                seed=job.seed,
            )
            for indices in plan:
                batch = table.batch(indices)
                found = self._model(
                    input_ids=batch.input_ids,
                    attention_mask=batch.attention_mask,
                    labels=batch.labels,
                )
                optimiser.zero_grad(set_to_none=True)
                found.loss.backward()
                optimiser.step()
                found.loss.item()
            _ = {name: value.detach().clone() for name, value in self._named.items()}


def matmul_flop_per_s() -> float:
    """Return the rate of one thread at products of matrices that fit the cache of a core."""
    size, count = 384, 40
    first, second = torch.ones(size, size), torch.ones(size, size)
    best_s = float("inf")
    for _ in range(5):
        started_s = time.perf_counter()
        for _ in range(count):
            torch.mm(first, second)
        best_s = min(best_s, time.perf_counter() - started_s)
    return 2.0 * size**3 * count / best_s


def round_flop(worker: Worker[Any], jobs: list[TrainJob]) -> int:
    """Return the operations of a round as the cost model counts them."""
    tokens = worker.train.tokens
    cost = CostModel(worker.module, max_tokens=int(tokens.lengths.max()))
    return sum(
        cost.job_flop(
            job.start.trainable,
            batches=plan_batches(
                job.samples,
                batch_size=BATCH_SIZE,
                local_steps=STEPS,
                local_epochs=None,
                seed=job.seed,
            ),
            lengths=tokens.lengths,
            answer_lengths=None,
            tensors=job.start.tensors,
        )
        for job in jobs
    )


def run_round(executor: Executor, jobs: list[TrainJob]) -> None:
    """Submit all jobs of a round, then take their results."""
    handles = [executor.submit(job) for job in jobs]
    for handle in handles:
        handle.result()


def measure(*, threads: int = 1, clock: Callable[[], float] = time.perf_counter) -> dict[str, Any]:
    """Return seconds a round, and ratios to the plain loop."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        model = bert(folder)
        [variant] = variants(load(study_of(folder, model)))
        recipe = recipe_of(variant.scenario, seed=1)
        worker = recipe.build()
        jobs = jobs_of(worker)
        plain = PlainLoop(model, worker, num_classes=int(worker.train.labels.max()) + 1)
        head, head_anew = (_of_head(recipe) for _ in range(2))
        head_anew.__dict__["_features"] = {}  # as if the encoder could change
        head_jobs = jobs_of(head)
        small = replace(recipe, model=replace(recipe.model, name="tiny-encoder", max_tokens=64))
        small_worker = small.build()
        mixed_jobs = jobs_of(small_worker, min_tokens=1)
        short_jobs = jobs_of(small_worker, min_tokens=1, batch_size=4)
        together, small_together = CohortExecutor(worker), CohortExecutor(small_worker)
        torch.set_num_threads(threads)
        store = ResultStore(folder / "store")
        pool = WorkerPool(NUM_WORKERS)
        ways: dict[str, Callable[[], None]] = {
            "plain": lambda: plain.round(jobs),
            "inline": lambda: run_round(InProcessExecutor(worker), jobs),
            "cohort": lambda: run_round(together, jobs),
            "process": lambda: run_round(ProcessExecutor(pool.here, recipe), jobs),
            "stored": lambda: run_round(InProcessExecutor(worker, store=store), jobs),
            "head_anew": lambda: run_round(InProcessExecutor(head_anew), head_jobs),
            "head": lambda: run_round(InProcessExecutor(head), head_jobs),
            "mixed": lambda: run_round(InProcessExecutor(small_worker), mixed_jobs),
            "mixed_cohort": lambda: run_round(small_together, mixed_jobs),
            "short": lambda: run_round(InProcessExecutor(small_worker), short_jobs),
            "short_cohort": lambda: run_round(small_together, short_jobs),
        }
        found_s: dict[str, list[float]] = {name: [] for name in ways}
        for repeat in range(REPEATS + 1):
            for name, way in ways.items():
                started_s = clock()
                way()
                if repeat:  # the first is to start processes, fill the store and caches
                    found_s[name].append(clock() - started_s)
        pool.close()
    seconds = {name: statistics.median(each) for name, each in found_s.items()}
    limit_s = round_flop(worker, jobs) / matmul_flop_per_s()
    ratios = {
        f"{name}_over_plain": round(seconds["plain"] / seconds[name], 2)
        for name in ("inline", "cohort", "process", "stored")
    }
    return {
        **{f"{name}_s": round(each, 4) for name, each in seconds.items()},
        **ratios,
        "matmul_limit_s": round(limit_s, 4),
        "inline_part_of_limit": round(limit_s / seconds["inline"], 2),
        "head_over_head_anew": round(seconds["head_anew"] / seconds["head"], 1),
        "mixed_cohort_over_inline": round(seconds["mixed"] / seconds["mixed_cohort"], 2),
        "short_cohort_over_inline": round(seconds["short"] / seconds["short_cohort"], 2),
    }


def _of_head(recipe: WorkerRecipe) -> Worker[Any]:
    return replace(recipe, method=HeadConfig()).build()


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    parser.add_argument("--threads", type=int, default=1, help="of torch (default: 1)")
    parser.add_argument("--processor", action="store_true", help="seconds of the processor")
    options = parser.parse_args()
    clock = time.process_time if options.processor else time.perf_counter
    found = measure(threads=options.threads, clock=clock)
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:<20} {value}")


if __name__ == "__main__":
    main()
