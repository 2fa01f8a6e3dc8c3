"""Recipes: settings of a method as its authors' public code has them; no torch here.

``{kind: fedsa_lora, recipe: authors}`` fills in what a scenario leaves out of the method, and its
settings of training stand in place of those of ``training`` for this method alone. A recipe holds
what was read in code and no more: what it does not name is as the scenario says.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What one method's authors set."""

    method: Mapping[str, Any]
    """Settings of the method, as in a scenario."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Settings of ``training``, as in a scenario; mappings are merged key by key."""
    source: str
    """Repository in which they were read."""
    lacks: str = ""
    """What the source leaves open, in a few words."""

    @property
    def line(self) -> str:
        """The recipe in one line, as the method's card has it."""
        told = [f"`{key}: {_told(value)}`" for key, value in self.method.items()]
        told += [f"`training.{key}: {_told(value)}`" for key, value in _flat(self.training)]
        rest = f" {self.lacks}" if self.lacks else ""
        return f"**Recipe.** `recipe: authors` sets {', '.join(told)} [code: {self.source}].{rest}"


RECIPES: Mapping[str, Recipe] = {
    "fedit": Recipe(
        method={"learning_rate": 3e-4, "rank": 16, "alpha": 16},
        training={
            "local_steps": None,
            "local_epochs": 10,
            "batch_size": 64,
            "lora": {"targets": "query"},
        },
        source="JayZhang42/FederatedGPT-Shepherd",
        lacks="Its optimiser and schedule were not read.",
    ),
    "fedsa_lora": Recipe(
        method={"learning_rate": 2e-2, "rank": 8, "alpha": 16},
        training={
            "local_steps": 10,
            "local_epochs": None,
            "batch_size": 128,
            "lora": {"dropout": 0.05},
        },
        source="Pengxin-Guo/FedSA-LoRA",
        lacks="Its optimiser is its framework's default, which was not read.",
    ),
    "flora": Recipe(
        method={"rank": 16, "alpha": 32},
        source="ATP-1010/FederatedLLM",
        lacks="Its rate, optimiser and schedule were not read.",
    ),
    "bitfit": Recipe(
        method={"learning_rate": 1e-3},
        training={"local_steps": None, "local_epochs": 1, "batch_size": 32},
        source="SMILELab-FL/FedPETuning",
        lacks="On MRPC its rate is 5e-3. Its optimiser and schedule were not read.",
    ),
    "fedamole": Recipe(
        method={
            "learning_rate": 5e-5,
            "rank": 8,
            "alpha": 16,
            "clients_per_expert": 2,
            "max_experts": 8,
            "top_k": 2,
            "balance_weight": 1e-3,
        },
        training={
            "local_steps": 200,
            "local_epochs": None,
            "batch_size": 1,
            "optimiser": {"kind": "adamw"},
            "weight_decay": 0.0,
            "rate_schedule": {"kind": "exponential", "factor": 0.99},
            "lora": {"dropout": 0.05},
        },
        source="zyc140345/FedAMoLE",
        lacks="Its optimiser is Adam: AdamW without decay.",
    ),
}
"""By kind of method."""


def _flat(values: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Return nested settings by dotted key, those that only make room for others left out."""
    found: list[tuple[str, Any]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            found += [(f"{key}.{inner}", each) for inner, each in _flat(value)]
        elif value is not None:
            found.append((key, value))
    return found


def _told(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
