"""Make a shipped model anew: ``python -m fl.models.pretrain tiny-decoder --out DIR``.

The folder holds what transformers reads (weights in half precision, as safetensors) and
``recipe.json``, the numbers it was made with. It depends on the installed packages, the recipe, and
the kind of processor only.
"""

import argparse
import json
import logging
from dataclasses import asdict, replace
from pathlib import Path

import torch

from fl.models import pretrain_decoder, pretrain_encoder

MODELS = {"tiny-encoder": pretrain_encoder, "tiny-decoder": pretrain_decoder}
"""Module of each model: its ``Recipe`` and what ``pretrain`` makes of it."""


def main() -> None:
    """Read the command line and pretrain."""
    parser = argparse.ArgumentParser(prog="python -m fl.models.pretrain", description=__doc__)
    parser.add_argument("model", choices=sorted(MODELS))
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    for key in ("steps", "seed", "num-threads"):
        parser.add_argument(f"--{key}", type=int, help="that of the recipe when not given")
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    module = MODELS[arguments.model]
    given = {key: getattr(arguments, key) for key in ("steps", "seed", "num_threads")}
    recipe = replace(
        module.Recipe(), **{key: value for key, value in given.items() if value is not None}
    )
    torch.set_num_threads(recipe.num_threads)
    torch.use_deterministic_algorithms(True)  # noqa: FBT003
    module.pretrain(recipe, arguments.out)
    (arguments.out / "recipe.json").write_text(json.dumps(asdict(recipe), indent=2) + "\n")


if __name__ == "__main__":
    main()
