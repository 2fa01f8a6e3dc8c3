"""Reward models in folders: reading any, and keeping trained ones so that none is trained twice.

A folder of the cache is what transformers saves of a model and its tokenizer, beside
``held_out.json``: what the model is worth, and the SHA-256 of every file and of itself. It appears
whole or not at all; one whose files are not those that were written is as good as none.
"""

import hashlib
import json
import logging
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import save_file

from fl.models.pretrained import quiet_transformers, read_weights, switch_dropout_off
from fl.problems import ModelError, one_line
from fl.rewards.held_out import HeldOut

logger = logging.getLogger(__name__)

NOTES = "held_out.json"
"""File beside a model in the cache."""
Loaded = tuple[transformers.PreTrainedModel, transformers.PreTrainedTokenizerBase]
"""Sequence classifier with one output, and its fast tokenizer."""


def read_classifier(folder: Path, *, name: str, key: str) -> Loaded:
    """Read a sequence classifier with one output and its tokenizer.

    In float32 and evaluation mode, with plain ("eager") attention, whose operations can be counted,
    and without dropout. No code of its author runs and nothing is unpickled.

    Parameters
    ----------
    folder
        Where it lies.
    name
        The folder as the scenario has it, for messages.
    key
        Key of the setting that names it.

    Raises
    ------
    fl.problems.ModelError
        One line: no such folder, no safetensors, another number of outputs, weights that are
        missing, or no fast tokenizer.
    """
    if not folder.is_dir():
        msg = f"{key}: {name!r} is no folder"
        raise ModelError(msg)
    auto = transformers.AutoModelForSequenceClassification
    # transformers draws weights before it reads them; the global generator is left as it was.
    with quiet_transformers(), torch.random.fork_rng(devices=[]):
        try:
            settings = transformers.AutoConfig.from_pretrained(folder, trust_remote_code=False)
            _check_outputs(settings, name=name, key=key)
            switch_dropout_off(settings)
            model, found = read_weights(auto, folder, settings, name=name)
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        except ModelError:
            raise
        except Exception as error:  # a damaged folder fails in many ways, all of one meaning
            reason = one_line(str(error), 200)
            msg = f"{key}: folder {name!r} cannot be loaded as a safetensors classifier: {reason}"
            raise ModelError(msg) from None
    if missing := sorted(found["missing_keys"]):
        msg = f"{key}: the files of {name!r} lack {len(missing)} weights, first {missing[0]}"
        raise ModelError(msg)
    if not getattr(tokenizer, "is_fast", False):
        msg = f"{key}: {name!r} has no fast tokenizer (tokenizer.json)"
        raise ModelError(msg)
    if model.config.pad_token_id is None:
        model.config.pad_token_id = tokenizer.pad_token_id or 0
    return model.eval(), tokenizer


def _check_outputs(settings: transformers.PretrainedConfig, *, name: str, key: str) -> None:
    if settings.num_labels != 1:
        msg = (
            f"{key}: a reward model has 1 output (num_labels in config.json), "
            f"{name!r} has {settings.num_labels}"
        )
        raise ModelError(msg)


def weights_digest(model: transformers.PreTrainedModel) -> str:
    """Return the SHA-256 of a model's kind and weights."""
    digest = hashlib.sha256(type(model).__name__.encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


def read_entry(folder: Path, *, key: str) -> tuple[Loaded, Mapping[str, Any]] | None:
    """Return a model of the cache with its notes; ``None`` where there is none that is whole."""
    if not folder.is_dir():
        return None
    try:
        notes = json.loads((folder / NOTES).read_text(encoding="utf-8"))
        if notes.pop("digest") != _notes_digest(notes):
            msg = f"{NOTES} is not the file that was written"
            raise ValueError(msg)  # noqa: TRY301
        for name, digest in notes["files"].items():
            if hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest:
                msg = f"{name} is not the file that was written"
                raise ValueError(msg)  # noqa: TRY301
        return read_classifier(folder, name=str(folder), key=key), notes
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        reason = one_line(str(error), 200)
        logger.warning("%s cannot be read (%s); the reward model is trained again", folder, reason)
        return None


def write_entry(
    folder: Path,
    model: transformers.PreTrainedModel,
    tokenizer: transformers.PreTrainedTokenizerBase,
    *,
    held_out: HeldOut,
    notes: Mapping[str, Any],
) -> None:
    """Keep a model in the cache: written beside its final name, then renamed: none sees a half.

    An entry that is there is replaced. Where nothing can be written, that is said and no more.
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}."))
    except OSError as error:
        logger.warning("%s cannot be written (%s); set AIRTUNE_CACHE to a folder", folder, error)
        return
    try:
        model.config.save_pretrained(draft)
        weights = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
        save_file(weights, draft / "model.safetensors", metadata={"format": "pt"})
        tokenizer.save_pretrained(draft)
        files = {
            path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(draft.iterdir())
        }
        whole = {**notes, "held_out": asdict(held_out), "files": files}
        whole["digest"] = _notes_digest(whole)
        (draft / NOTES).write_text(f"{json.dumps(whole, indent=2)}\n", encoding="utf-8")
        shutil.rmtree(folder, ignore_errors=True)
        draft.rename(folder)
    except OSError as error:
        logger.warning("%s cannot be written (%s); set AIRTUNE_CACHE to a folder", folder, error)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _notes_digest(notes: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(notes, sort_keys=True).encode()).hexdigest()
