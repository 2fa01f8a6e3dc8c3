"""Memory: ``python -m benchmarks.memory [--json] [--clients NUM] [--states NUM] [--rounds NUM]``.

*Personal state*: what clients hold of LoRA of rank 8 in a model of the shape of BERT-base (12
layers of width 768, random weights), each its own values, all of them at once: bytes of the
backbone and what the process grows by with the clients, beside the bytes of their numbers.

*States on disk*: clients that hold values of their own of LoRA of rank 4 in a model
of one layer of width 64, of which 64 MB may be in memory: bytes of their numbers, bytes of their
files, and the most that the process grew by while all were written and all were read again.

*Rounds*: what a process holds in the course of a small run that trains and evaluates every round:
at a sixth of its rounds, when caches are full, and at its end.

Each is measured in a process of its own, as resident memory.
"""

import argparse
import gc
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import BertConfig, BertModel

from fl.global_generators import seeded_generators
from fl.methods import install_method
from fl.methods.local.config import LocalConfig
from fl.models.classifier import TextClassifier
from fl.payload import Tensors
from fl.server.personal import PersonalTensors
from fl.server.state_place import StatePlace
from fl.training.job import TrainResult
from scenarios import load
from scenarios.progress import RunProgress
from scenarios.single import run_single
from scenarios.task import RunTask
from scenarios.variants import variants

NUM_CLIENTS, NUM_STATES, NUM_ROUNDS, RANK = 1_000, 100_000, 300, 8
STATES_BUDGET_BYTES = 64_000_000
STATES_TARGET_BYTES = 250_000_000
"""Most that a process may grow by with states on disk, what is in memory of them included."""
TARGET_BYTES = 1_500_000_000
"""Most that the states of the clients may take beside the backbone."""
_STUDY = """
name: memory
seeds: [1]
clients: {num_clients: 10, devices: {phone_mid: 1.0}}
network: {kind: constant, uplink_rate_bps: 1e7, downlink_rate_bps: 1e7}
data: {source: docstrings, partition: {kind: iid}, max_train_texts: 200, max_test_texts: 50}
model: {name: tiny-encoder, max_tokens: 16}
training: {local_steps: 1, batch_size: 4, learning_rate: 1e-3}
server: {mode: sync, num_rounds: ROUNDS, policy: {kind: random, num_clients: 2}}
methods: [{kind: pftt, rank: 4, adapter_dim: 4}]
"""


def resident_bytes() -> int:
    """Return the resident memory of this process, garbage collected."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


@dataclass(frozen=True)
class _Trained:
    """A job that has run: the handle of its result."""

    tensors: Tensors

    def result(self) -> TrainResult:
        return TrainResult(
            tensors=self.tensors, mean_loss=0.0, rms_loss=0.0, num_samples=1, num_steps=1
        )

    def is_ready(self) -> bool:
        return True

    def drop(self) -> None:
        """Hold on: the values are somebody's."""


def of_clients(num_clients: int) -> dict[str, Any]:
    """Let every client hold values of its own; return what that takes."""
    before_bytes = resident_bytes()
    with seeded_generators(0):
        encoder = BertModel(BertConfig(), add_pooling_layer=False)
        module = TextClassifier(encoder, num_classes=4, hidden_size=768, pooling="mean")
    generator = torch.Generator().manual_seed(0)
    method = install_method(
        LocalConfig(rank=RANK), module, generator=generator, num_clients=num_clients
    )
    backbone_bytes = resident_bytes() - before_bytes
    personal = PersonalTensors(method)
    for client_id in range(num_clients):
        own = {name: value + 1.0 for name, value in method.initial.items()}
        personal.keep_sent(client_id, _Trained(own))
        personal.of(client_id)
    state_bytes = resident_bytes() - before_bytes - backbone_bytes
    held = personal.of(0)
    return {
        "num_clients": num_clients,
        "backbone_bytes": backbone_bytes,
        "state_bytes": state_bytes,
        "number_bytes": num_clients * sum(value.nbytes for value in held.values()),
        "is_within_target": state_bytes <= TARGET_BYTES * num_clients / NUM_CLIENTS,
    }


def of_states(num_clients: int) -> dict[str, Any]:
    """Let clients hold more than memory is given for; return what that takes."""
    config = BertConfig(
        vocab_size=100,
        hidden_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=128,
    )
    with seeded_generators(0):
        encoder = BertModel(config, add_pooling_layer=False)
        module = TextClassifier(encoder, num_classes=4, hidden_size=64, pooling="mean")
    generator = torch.Generator().manual_seed(0)
    method = install_method(
        LocalConfig(rank=4), module, generator=generator, num_clients=num_clients
    )
    first = {
        name: torch.rand(value.shape, generator=generator)
        for name, value in method.initial_personal(0).items()
    }
    with tempfile.TemporaryDirectory() as folder:
        place = StatePlace(Path(folder) / "states", budget_bytes=STATES_BUDGET_BYTES)
        personal = PersonalTensors(method, place)
        before_bytes, most_bytes, started_s = resident_bytes(), 0, time.process_time()
        for client_id in range(num_clients):
            personal.keep(client_id, {name: value * client_id for name, value in first.items()})
            if client_id % (num_clients // 10) == 0:
                most_bytes = max(most_bytes, resident_bytes())
        num_right = 0
        for client_id in range(num_clients):
            held = personal.of(client_id)
            num_right += all(torch.equal(held[each], first[each] * client_id) for each in first)
            if client_id % (num_clients // 10) == 0:
                most_bytes = max(most_bytes, resident_bytes())
        file_bytes = sum(each.stat().st_size for each in Path(folder).rglob("*.safetensors"))
    growth_bytes = most_bytes - before_bytes
    return {
        "num_clients": num_clients,
        "number_bytes": num_clients * sum(value.nbytes for value in first.values()),
        "file_bytes": file_bytes,
        "growth_bytes": growth_bytes,
        "num_right": num_right,
        "processor_s": round(time.process_time() - started_s, 1),
        "is_within_target": growth_bytes <= STATES_TARGET_BYTES,
    }


def of_rounds(num_rounds: int) -> dict[str, Any]:
    """Run a small study; return what the process holds early and at the end."""
    early, held = num_rounds // 6, list[int]()

    def look(progress: object) -> None:
        if isinstance(progress, RunProgress) and progress.round in {early, num_rounds}:
            held.append(resident_bytes())

    with tempfile.TemporaryDirectory() as place:
        study = Path(place) / "memory.yaml"
        study.write_text(_STUDY.replace("ROUNDS", str(num_rounds)), encoding="utf-8")
        [variant] = variants(load(study))
        task = RunTask(variant=variant, seed=1, folder=Path(place) / "run")
        run_single(task, look)
    early_bytes, end_bytes = held
    return {
        "num_rounds": num_rounds,
        "early_round": early,
        "early_bytes": early_bytes,
        "end_bytes": end_bytes,
        "growth": round(end_bytes / early_bytes - 1.0, 4),
    }


_PARTS: dict[str, tuple[Callable[[int], dict[str, Any]], int]] = {
    "clients": (of_clients, NUM_CLIENTS),
    "states": (of_states, NUM_STATES),
    "rounds": (of_rounds, NUM_ROUNDS),
}
"""What is measured, and of how many."""


def measure(numbers: Mapping[str, int]) -> dict[str, Any]:
    """Measure each in a process of its own."""
    return {what: _apart(what, number) for what, number in numbers.items()}


def _apart(what: str, number: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.memory", "--only", what, f"--{what}", str(number)]
    told = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(told.stdout)
    return found


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")
    for what, (_, number) in _PARTS.items():
        parser.add_argument(f"--{what}", type=int, default=number)
    parser.add_argument("--only", choices=[*_PARTS], help="in this process, as JSON")
    options = parser.parse_args()
    if options.only is not None:
        print(json.dumps(_PARTS[options.only][0](getattr(options, options.only))))
        return
    all_found = measure({what: getattr(options, what) for what in _PARTS})
    if options.json:
        print(json.dumps(all_found))
        return
    for what, figures in all_found.items():
        for name, value in figures.items():
            print(f"{what:<8} {name:<16} {value}")


if __name__ == "__main__":
    main()
