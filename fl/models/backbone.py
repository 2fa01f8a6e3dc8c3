"""One pretrained model in memory, made ready for a task.

Choices, the same for every architecture: float32; every dropout probability 0, so that a training
job is a function of its inputs alone; attention in its plain ("eager") form, whose matrix products
PyTorch's FLOP counter sees (on a CPU it does not count the fused kernel).
"""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from logging import ERROR as LOG_ERRORS_ONLY
from pathlib import Path
from typing import Any

import huggingface_hub
import numpy as np
import torch
import transformers
from torch import nn
from transformers import AutoModelForCausalLM
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_MASKED_LM_MAPPING,
)
from transformers.utils import logging

from fl.metrics import Task
from fl.models.classifier import TextClassifier, init_head
from fl.models.config import ModelConfig
from fl.models.language import LanguageModel
from fl.models.registry import find_model
from fl.problems import ModelError

HUB_TIMEOUT_S = 10.0
"""Longest wait for the hub to say that it knows a model."""
NO_CAUSAL_MODEL = (
    "model.name: {name!r} is a {kind} model, which writes no text; prompts with responses need a "
    "causal model"
)
OFFSET_POSITION_TYPES = frozenset({"roberta", "xlm-roberta", "camembert"})
"""Model types that count positions from their padding token's id plus one."""


@dataclass(frozen=True, kw_only=True)
class Backbone:
    """A loaded model with all that training and payloads need to know of it."""

    name: str
    """Name in the scenario."""
    module: TextClassifier | LanguageModel
    """Network in float32 and evaluation mode: ``module.encoder``, and on it a classification head
    or the output layer over the vocabulary."""
    tokenizer: transformers.PreTrainedTokenizerBase
    """Fast tokenizer of the same folder."""
    digest: str
    """SHA-256 over configuration, tokenizer and pretrained weights; the head is not part of it."""
    hidden_size: int
    """Width of the token vectors."""
    max_tokens: int
    """Longest text in tokens."""
    pad_token_id: int
    """Token that fills short texts; its mask is 0, so its value never matters."""


def load_backbone(
    config: ModelConfig,
    *,
    num_classes: int,
    rng: np.random.Generator,
    task: Task = "classification",
) -> Backbone:
    """Load a pretrained model: an encoder with a fresh head, or a causal model with its own.

    Parameters
    ----------
    config
        Which model, how it is pooled, how long texts may be.
    num_classes
        Outputs of the head, at least 2; not read for generation.
    rng
        Addressed generator that the head's first weights are drawn from.
    task
        Name the class of a text, or write the answer to a prompt.

    Raises
    ------
    fl.problems.ModelError
        One line: neither a folder nor reachable, no safetensors, not a text encoder, or a
        setting that this architecture cannot follow.
    """
    if task == "classification" and num_classes < 2:
        msg = f"num_classes: must be at least 2, got {num_classes}"
        raise ValueError(msg)
    place = find_model(config.name)
    loaded, tokenizer = _load_pretrained(place, name=config.name, task=task)
    _check_fit(config, loaded.config, task=task)
    hidden_size = int(loaded.config.hidden_size)
    module: TextClassifier | LanguageModel
    if task == "generation":
        encoder: Any = loaded.base_model
        output: Any = loaded.get_output_embeddings()  # type: ignore[no-untyped-call]
        module = LanguageModel(encoder, lm_head=output)
    else:
        module = TextClassifier(
            loaded, num_classes=num_classes, hidden_size=hidden_size, pooling=config.pooling
        )
        init_head(module, rng)
    module.eval()
    return Backbone(
        name=config.name,
        module=module,
        tokenizer=tokenizer,
        digest=_digest(loaded, tokenizer),
        hidden_size=hidden_size,
        max_tokens=config.max_tokens,
        pad_token_id=_pad_token_id(tokenizer),
    )


def _load_pretrained(
    place: str, *, name: str, task: Task
) -> tuple[transformers.PreTrainedModel, transformers.PreTrainedTokenizerBase]:
    is_folder = Path(place).is_dir()
    if not is_folder:
        _check_reachable(place, name=name)
    # transformers draws weights before it reads them; the global generator is left as it was.
    with _quiet_transformers(), torch.random.fork_rng(devices=[]):
        try:
            settings = transformers.AutoConfig.from_pretrained(place, trust_remote_code=False)
            _switch_dropout_off(settings)
            _check_task(settings, name=name, task=task)
            auto: Any = transformers.AutoModel if task == "classification" else AutoModelForCausalLM
            encoder, found = auto.from_pretrained(
                place,
                config=settings,
                attn_implementation="eager",
                dtype=torch.float32,
                trust_remote_code=False,
                use_safetensors=True,
                output_loading_info=True,
            )
            tokenizer = transformers.AutoTokenizer.from_pretrained(place, trust_remote_code=False)
        except ModelError:
            raise
        except Exception as error:  # a damaged folder fails in many ways, all of one meaning
            raise ModelError(_explain(name, error, is_folder=is_folder)) from None
    if not getattr(tokenizer, "is_fast", False):
        msg = f"model.name: {name!r} has no fast tokenizer (tokenizer.json)"
        raise ModelError(msg)
    missing = sorted(key for key in found["missing_keys"] if not key.startswith("pooler."))
    if missing:
        msg = (
            f"model.name: the files of {name!r} lack {len(missing)} weights of a "
            f"{settings.model_type} encoder, first {missing[0]}"
        )
        raise ModelError(msg)
    # The pooler feeds sentence-pair pretraining only: unused weights would count as trainable.
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None
    return encoder, tokenizer


def _check_reachable(hub_id: str, *, name: str) -> None:
    """Fail at once where the hub cannot serve this model, instead of after minutes of retries."""
    try:
        if huggingface_hub.try_to_load_from_cache(hub_id, "config.json") is None:
            huggingface_hub.HfApi().model_info(hub_id, timeout=HUB_TIMEOUT_S)
    except Exception as error:
        raise ModelError(_explain(name, error, is_folder=False)) from None


def _explain(name: str, error: Exception, *, is_folder: bool) -> str:
    """Say in one line why a model did not load."""
    reason = " ".join(str(error).split())
    reason = reason if len(reason) <= 200 else f"{reason[:197]}..."
    if is_folder:
        return f"model.name: folder {name!r} cannot be loaded as a safetensors model: {reason}"
    return (
        f"model.name: {name!r} is neither a folder nor reachable on the hub; "
        f"give a folder, or a built-in name ({reason})"
    )


def _switch_dropout_off(settings: transformers.PretrainedConfig) -> None:
    for key, value in settings.to_dict().items():
        if isinstance(value, float) and ("dropout" in key or "layerdrop" in key):
            setattr(settings, key, 0.0)


def _check_fit(config: ModelConfig, settings: transformers.PretrainedConfig, *, task: Task) -> None:
    """Refuse what this architecture cannot do."""
    if getattr(settings, "is_encoder_decoder", False) or not hasattr(settings, "hidden_size"):
        msg = (
            f"model.name: {config.name!r} is a {settings.model_type} model; "
            "an encoder or a decoder of text is needed, not a pair of both"
        )
        raise ModelError(msg)
    if task == "generation" and getattr(settings, "final_logit_softcapping", None) is not None:
        msg = f"model.name: {config.name!r} caps its scores, which is not supported; use another"
        raise ModelError(msg)
    if config.pooling == "cls" and _is_writing(settings) and task == "classification":
        msg = (
            f"model.pooling: cls reads the first token, which sees no other in a causal model "
            f"({settings.model_type}); use mean"
        )
        raise ModelError(msg)
    longest = num_positions(settings)
    if longest is not None and config.max_tokens > longest:
        msg = (
            f"model.max_tokens: must be at most {longest}, the positions of {config.name!r}, "
            f"got {config.max_tokens}"
        )
        raise ModelError(msg)


def _is_writing(settings: transformers.PretrainedConfig) -> bool:
    """Tell whether a model's tokens see only those before them; BERT may, but does not."""
    kind = type(settings)
    return kind in MODEL_FOR_CAUSAL_LM_MAPPING and kind not in MODEL_FOR_MASKED_LM_MAPPING


def _check_task(settings: transformers.PretrainedConfig, *, name: str, task: Task) -> None:
    if task == "generation" and not _is_writing(settings):
        raise ModelError(NO_CAUSAL_MODEL.format(name=name, kind=settings.model_type))


def num_positions(settings: transformers.PretrainedConfig) -> int | None:
    """Give the tokens that a model has positions for; ``None`` if it names no limit."""
    longest = getattr(settings, "max_position_embeddings", None)
    if longest is not None and settings.model_type in OFFSET_POSITION_TYPES:
        longest -= settings.pad_token_id + 1
    return longest


def _pad_token_id(tokenizer: transformers.PreTrainedTokenizerBase) -> int:
    """Give the padding token; any token serves where the tokenizer has none, its mask is 0."""
    return 0 if tokenizer.pad_token_id is None else int(tokenizer.pad_token_id)


def _digest(encoder: nn.Module, tokenizer: transformers.PreTrainedTokenizerBase) -> str:
    digest = hashlib.sha256()
    digest.update(type(encoder).__name__.encode())
    digest.update(tokenizer.backend_tokenizer.to_str().encode())
    for key, tensor in sorted(encoder.state_dict().items()):
        digest.update(f"{key} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()


@contextlib.contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Keep progress bars and advice of the library off the user's screen while loading."""
    level, had_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity(LOG_ERRORS_ONLY)
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if had_bars:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]
