"""A small app of Flower over given batches; :mod:`benchmarks.flower` runs it.

It imports Flower, torch, transformers and peft alone, as it runs in an environment of its own:
``python -c 'import flower_app; flower_app.main()' FOLDER NUM_ROUNDS`` reads ``model/``,
``settings.json`` and ``client_<i>.npz`` from the folder, and prints host seconds as JSON: of each
round, and of the whole program.
"""

import json
import sys
import time
from functools import lru_cache
from pathlib import Path
from typing import Any

HOST_STARTED_S = time.perf_counter()

import numpy as np  # noqa: E402 -- what is imported counts as start
import peft  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from flwr.app import ArrayRecord, Context, Message, MetricRecord, RecordDict  # type: ignore[import-not-found]  # noqa: E402
from flwr.clientapp import ClientApp  # type: ignore[import-not-found]  # noqa: E402
from flwr.serverapp import Grid, ServerApp  # type: ignore[import-not-found]  # noqa: E402
from flwr.serverapp.strategy import FedAvg  # type: ignore[import-not-found]  # noqa: E402
from flwr.simulation import run_simulation  # type: ignore[import-not-found]  # noqa: E402


@lru_cache(maxsize=1)
def model(folder: Path) -> tuple[Any, dict[str, torch.nn.Parameter], dict[str, Any]]:
    """Make the model once in each process; return it, what is trained, and the settings."""
    torch.set_num_threads(1)
    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    base = transformers.AutoModelForSequenceClassification.from_pretrained(
        folder / "model", num_labels=settings["num_classes"]
    )
    config = peft.LoraConfig(
        r=settings["rank"], target_modules=["query", "value"], modules_to_save=["classifier"]
    )
    made = peft.get_peft_model(base, config).eval()
    named = {name: each for name, each in made.named_parameters() if each.requires_grad}
    return made, named, settings


def client_app(folder: Path) -> ClientApp:
    """Return what a client does: some steps on its batches, from the values that it is sent."""
    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        made, named, settings = model(folder)
        received = message.content["arrays"].to_torch_state_dict()
        with torch.no_grad():
            for name, value in named.items():
                value.copy_(received[name])
        optimiser = torch.optim.AdamW(
            named.values(), lr=settings["learning_rate"], weight_decay=0.0, fused=True
        )
        place = int(context.node_config["partition-id"]) % settings["num_files"]
        texts = np.load(folder / f"client_{place}.npz")
        losses = []
        for ids, mask, labels in zip(texts["ids"], texts["mask"], texts["labels"], strict=True):
            found = made(
                input_ids=torch.from_numpy(ids),
                attention_mask=torch.from_numpy(mask),
                labels=torch.from_numpy(labels),
            )
            optimiser.zero_grad(set_to_none=True)
            found.loss.backward()
            optimiser.step()
            losses.append(found.loss.item())
        arrays = ArrayRecord({name: value.detach().clone() for name, value in named.items()})
        metrics = MetricRecord({"num-examples": 1, "loss": float(np.mean(losses))})
        return Message(RecordDict({"arrays": arrays, "metrics": metrics}), reply_to=message)

    return app


def main() -> None:
    """Run the rounds and print what they took."""
    folder, num_rounds = Path(sys.argv[1]), int(sys.argv[2])
    ends_s: list[float] = []
    server = ServerApp()

    @server.main()
    def serve(grid: Grid, _: Context) -> None:
        _made, named, settings = model(folder)

        def note(_round: int, _arrays: ArrayRecord) -> None:
            ends_s.append(time.perf_counter())

        share = settings["clients_a_round"] / settings["num_clients"]
        FedAvg(fraction_train=share, fraction_evaluate=0.0).start(
            grid=grid,
            initial_arrays=ArrayRecord({name: value.detach() for name, value in named.items()}),
            num_rounds=num_rounds,
            evaluate_fn=note,
        )

    settings = json.loads((folder / "settings.json").read_text(encoding="utf-8"))
    run_simulation(
        server_app=server,
        client_app=client_app(folder),
        num_supernodes=settings["num_clients"],
        backend_config={"client_resources": {"num_cpus": 1.0, "num_gpus": 0.0}},
    )
    rounds_s = np.diff(ends_s).tolist()
    told = {"round_s": rounds_s, "whole_s": time.perf_counter() - HOST_STARTED_S}
    sys.stdout.write(f"\n{json.dumps(told)}\n")
