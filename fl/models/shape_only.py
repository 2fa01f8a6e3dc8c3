"""A model as its shapes alone, on the meta device: what a larger architecture would cost.

Nothing is downloaded but a configuration, and no weight exists: tensors on the meta device have
shapes and types, no values. The shipped configurations hold the public sizes of their models, as
the configuration classes of transformers name them: Llama-3.2-1B as a public configuration lists
it, RoBERTa-base (arXiv:1907.11692), GPT-2 small, and Qwen2.5-0.5B and DeBERTa-v3-base
(arXiv:2111.09543) as recollected. Their numbers of parameters are tested. Settings on which no
shape depends are left out.
"""

from pathlib import Path
from typing import Any

import torch
import transformers
from torch import nn
from transformers import CONFIG_MAPPING, AutoModelForCausalLM

from fl.metrics import Task
from fl.models.classifier import TextClassifier
from fl.models.language import LanguageModel
from fl.models.pretrained import (
    MAX_REASON,
    bounded_size,
    check_kind,
    check_reachable,
    quiet_transformers,
    switch_dropout_off,
)
from fl.models.probe import short_text, unused_parameters
from fl.models.registry import SHAPES, SHAPES_FOLDER
from fl.problems import ModelError, one_line

NEEDED = (
    "vocab_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
)
"""Sizes without which transformers would take those of another model; a configuration may have its
own words for them."""


def build_shapes(name: str, *, num_classes: int, task: Task, pooling: str) -> nn.Module:
    """Build a model on the meta device, ready for a method to be installed in it.

    Parameters
    ----------
    name
        One of :data:`fl.models.registry.SHAPES`, a file or folder with a ``config.json``, or a hub
        id.
    num_classes
        Outputs of the head; not read for generation.
    task
        Classification puts a head on the encoder; generation takes the causal model.
    pooling
        What the head reads.

    Raises
    ------
    fl.problems.ModelError
        One line: no configuration is found, it lacks a size, or it is no model of text.
    """
    try:
        settings = _read(name)
        check_kind(settings, name=name, task=task)
        switch_dropout_off(settings)
        auto: Any = transformers.AutoModel if task == "classification" else AutoModelForCausalLM
        with quiet_transformers(), torch.random.fork_rng(devices=[]), bounded_size(name):
            with torch.device("meta"):
                loaded = auto.from_config(
                    settings, attn_implementation="eager", dtype=torch.float32
                )
            # Some models look for padding among ids, which have no values here.
            loaded.config.pad_token_id = None
            hidden_size = _drop_unused(loaded.base_model)
    except ModelError as error:
        raise ModelError(str(error).replace("model.name:", "model.cost_as:", 1)) from None
    except Exception as error:  # a configuration can be wrong in many ways, all of one meaning
        reason = f"{type(error).__name__}: {one_line(str(error), MAX_REASON)}"
        msg = f"model.cost_as: no model can be built from the configuration of {name!r}: {reason}"
        raise ModelError(msg) from None
    if task == "generation":
        return LanguageModel(loaded).eval()
    with torch.device("meta"):
        module = TextClassifier(
            loaded, num_classes=num_classes, hidden_size=hidden_size, pooling=pooling
        )
    return module.to("meta").eval()


def num_positions(module: nn.Module) -> int | None:
    """Return the most tokens of a text that the configuration allows; ``None``: it names none."""
    encoder = module.get_submodule("encoder")
    named = getattr(encoder.config, "max_position_embeddings", None)
    if not isinstance(named, int) or named <= 0:
        return None
    # Where the table of positions has a row for padding, texts begin behind it.
    tables = [
        layer
        for place, layer in encoder.named_modules()
        if place.endswith("position_embeddings") and isinstance(layer, nn.Embedding)
    ]
    first = max(
        (0 if each.padding_idx is None else each.padding_idx + 1 for each in tables), default=0
    )
    return named - first


def _read(name: str) -> transformers.PretrainedConfig:
    """Read a configuration and check that it gives every size."""
    place = _find(name)
    raw, _ = transformers.PretrainedConfig.get_config_dict(place)
    kind = raw.get("model_type")
    if not isinstance(kind, str) or kind not in CONFIG_MAPPING:
        found = "none" if kind is None else repr(kind)
        msg = (
            f"model.cost_as: the configuration of {name!r} needs a model_type that is known, "
            f"got {found}"
        )
        raise ModelError(msg)
    known: type[transformers.PretrainedConfig] = CONFIG_MAPPING[kind]
    defaults = known()
    lacking = [
        own
        for each in NEEDED
        if hasattr(defaults, own := known.attribute_map.get(each, each))
        and own not in raw
        # Of width null it is four times the model's, as in GPT-2.
        and getattr(defaults, own) is not None
    ]
    if lacking:
        msg = f"model.cost_as: the configuration of {name!r} ({kind}) lacks {', '.join(lacking)}"
        raise ModelError(msg)
    return known.from_dict(raw)


def _find(name: str) -> str:
    """Return the file of a configuration, or the hub id that it is asked of."""
    if name in SHAPES:
        return str(SHAPES_FOLDER / f"{name}.json")
    path = Path(name).expanduser()
    if path.is_dir():
        path = path / "config.json"
        if not path.is_file():
            msg = f"model.cost_as: folder {name!r} has no config.json"
            raise ModelError(msg)
    if path.is_file():
        return str(path)
    if path.suffix == ".json":
        msg = f"model.cost_as: no such file, got {name!r}"
        raise ModelError(msg)
    check_reachable(name, name=name)
    return name


def _drop_unused(encoder: transformers.PreTrainedModel) -> int:
    """Take out parts and parameters that no hidden state depends on; return its width.

    As :func:`fl.models.pretrained.load_pretrained` does, but for values, which do not exist here.
    """
    with torch.enable_grad():
        hidden = encoder(input_ids=short_text(encoder)).last_hidden_state
    unused = unused_parameters(encoder, hidden)
    for part, child in list(encoder.named_children()):
        names = {f"{part}.{each}" for each, _ in child.named_parameters()}
        if names and names <= unused:
            setattr(encoder, part, None)
    for key, parameter in list(encoder.named_parameters()):
        if key in unused:
            owner = encoder.get_submodule(key.rpartition(".")[0])
            leaf = key.rpartition(".")[2]
            delattr(owner, leaf)
            owner.register_buffer(leaf, parameter.detach(), persistent=False)
    return int(hidden.shape[-1])
