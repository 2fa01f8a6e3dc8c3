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
    """Built-in name (``tiny-encoder``, ``tiny-decoder``, ``minilm``, ``smollm2``), folder with a
    model, or hub id."""
    pooling: Literal["mean", "cls", "last"] = "mean"
    """What the head reads: the mean over the text's tokens, its first token, or its last one, which
    in a causal model has seen all others."""
    max_tokens: Annotated[int, Ge(4)] = 64
    """Longest text in tokens, special tokens included; longer ones are cut."""
    chat_template: Literal["auto", "always", "never"] = "auto"
    """Whether prompts and answers are laid out as a dialogue by the tokenizer's chat template:
    where it has one, always (a tokenizer without one is refused), or never."""
    cost_as: Annotated[str, MinLen(1)] | None = None
    """Larger architecture whose bytes, operations and memory are charged in place of the model's,
    under the same settings of the methods; the model trains all the same. ``llama-3.2-1b``,
    ``qwen2.5-0.5b``, ``roberta-base``, ``gpt2``, ``deberta-v3-base``, a file or folder with a
    ``config.json``, or a hub id. Texts have as many tokens as those of the model. The model's own
    costs when empty."""


def find_problems(config: ModelConfig, *, task: Task) -> list[Problem]:
    """Find settings without effect on what models learn or cost."""
    problems = []
    if config.cost_as == config.name:
        rule = f"has no effect: {config.name} is the model that trains; leave it out"
        problems.append(Problem(("model", "cost_as"), rule))
    if task == "generation" and config.pooling != "mean":
        rule = f"has no effect where texts are written, got {config.pooling}; leave it out"
        problems.append(Problem(("model", "pooling"), rule))
    if task == "classification" and config.chat_template != "auto":
        rule = f"has no effect where texts are classified, got {config.chat_template}; leave it out"
        problems.append(Problem(("model", "chat_template"), rule))
    return problems
