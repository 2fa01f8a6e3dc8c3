"""One pretrained model in memory, made ready for a task."""

import hashlib
from dataclasses import dataclass

import numpy as np
import transformers
from torch import nn

from fl.metrics import Task
from fl.models.chat import ChatLayout, end_of_text, read_layout
from fl.models.classifier import TextClassifier, init_head
from fl.models.config import ModelConfig
from fl.models.language import LanguageModel
from fl.models.pretrained import NO_CAUSAL_MODEL, load_pretrained
from fl.models.probe import ModelFacts, probe
from fl.models.registry import find_model
from fl.problems import ModelError


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
    facts: ModelFacts
    """Width, positions, token types: what a forward pass of the encoder shows."""
    max_tokens: int
    """Longest text in tokens."""
    pad_token_id: int
    """Token that fills short texts; its mask is 0, so its value never matters."""
    chat: ChatLayout | None = None
    """How prompts and answers are laid out; one under the other where ``None``."""

    def check_room(self, extra_positions: int, *, kind: str) -> None:
        """Refuse texts that have no room beside what a method puts before them.

        Parameters
        ----------
        extra_positions
            Positions that the method takes.
        kind
            Its name, for the message.

        Raises
        ------
        fl.problems.ModelError
            There are too few positions.
        """
        positions = self.facts.num_positions if extra_positions else None
        if positions is not None and self.max_tokens + extra_positions > positions:
            msg = (
                f"model.max_tokens: must be at most {positions - extra_positions} with the "
                f"{extra_positions} virtual tokens of {kind}, as {self.name!r} has "
                f"{positions} positions, got {self.max_tokens}"
            )
            raise ModelError(msg)


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
    loaded, tokenizer = load_pretrained(find_model(config.name), name=config.name, task=task)
    encoder: transformers.PreTrainedModel = loaded.base_model  # type: ignore[assignment]
    facts = probe(encoder)
    _check_fit(config, facts, task=task, kind=loaded.config.model_type)
    module: TextClassifier | LanguageModel
    if task == "generation":
        module = LanguageModel(loaded)
    else:
        module = TextClassifier(
            loaded, num_classes=num_classes, hidden_size=facts.hidden_size, pooling=config.pooling
        )
        init_head(module, rng)
    module.eval()
    chat = None if task == "classification" else _make_writer(loaded, tokenizer, config=config)
    return Backbone(
        name=config.name,
        module=module,
        tokenizer=tokenizer,
        digest=_digest(loaded, tokenizer),
        facts=facts,
        max_tokens=config.max_tokens,
        pad_token_id=_pad_token_id(tokenizer, facts),
        chat=chat,
    )


def _make_writer(
    causal: transformers.PreTrainedModel,
    tokenizer: transformers.PreTrainedTokenizerBase,
    *,
    config: ModelConfig,
) -> ChatLayout | None:
    """Read the chat template, and make the token that ends an answer the tokenizer's own end."""
    chat = None
    if config.chat_template != "never":
        is_needed = config.chat_template == "always"
        chat = read_layout(tokenizer, name=config.name, is_needed=is_needed)
    ends = getattr(causal.generation_config, "eos_token_id", None)
    ends = ends if isinstance(ends, list) else [ends]
    last = end_of_text(tokenizer, ends=ends) if chat is None else chat.end_token
    if last:
        tokenizer.eos_token = last
    return chat


def _check_fit(config: ModelConfig, facts: ModelFacts, *, task: Task, kind: str) -> None:
    """Refuse what this architecture cannot do."""
    if task == "generation" and not facts.is_causal:
        raise ModelError(NO_CAUSAL_MODEL.format(name=config.name, kind=kind))
    if config.pooling == "cls" and facts.is_causal and task == "classification":
        msg = (
            f"model.pooling: cls reads the first token, which sees no other in a causal model "
            f"({kind}); use mean"
        )
        raise ModelError(msg)
    if config.pooling == "last" and not facts.is_causal:
        msg = (
            f"model.pooling: last is for causal models, whose last token has seen the others; "
            f"{kind} is none, use mean or cls"
        )
        raise ModelError(msg)
    if facts.num_positions is not None and config.max_tokens > facts.num_positions:
        msg = (
            f"model.max_tokens: must be at most {facts.num_positions}, the positions of "
            f"{config.name!r}, got {config.max_tokens}"
        )
        raise ModelError(msg)


def _pad_token_id(tokenizer: transformers.PreTrainedTokenizerBase, facts: ModelFacts) -> int:
    """Return the padding token; any token serves where the model has none, as its mask is 0."""
    own = tokenizer.pad_token_id
    return int(own) if own is not None and own < facts.vocabulary_size else 0


def _digest(encoder: nn.Module, tokenizer: transformers.PreTrainedTokenizerBase) -> str:
    digest = hashlib.sha256()
    digest.update(type(encoder).__name__.encode())
    digest.update(tokenizer.backend_tokenizer.to_str().encode())
    for key, tensor in sorted(encoder.state_dict().items()):
        digest.update(f"{key} {tuple(tensor.shape)}".encode())
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()
