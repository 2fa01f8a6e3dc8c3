"""Settings of the model that is fine-tuned."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, MinLen

from fl.metrics import Task
from fl.problems import Problem


@dataclass(frozen=True, kw_only=True)
class ModelConfig:
    """A pretrained encoder or causal model, and how it reads texts."""

    name: Annotated[str, MinLen(1)]
    """Built-in name (``tiny-encoder``, ``tiny-decoder``, ``minilm``), folder with a model, or hub
    id."""
    pooling: Literal["mean", "cls"] = "mean"
    """What the head reads: the mean over the text's tokens, or its first token."""
    max_tokens: Annotated[int, Ge(4)] = 64
    """Longest text in tokens, special tokens included; longer ones are cut."""


def find_problems(config: ModelConfig, *, task: Task) -> list[Problem]:
    """Find settings without effect on what models learn."""
    if task == "classification" or config.pooling == "mean":
        return []
    rule = f"has no effect where texts are written, got {config.pooling}; leave it out"
    return [Problem(("model", "pooling"), rule)]
