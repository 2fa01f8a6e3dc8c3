"""What there is to tell of a reward beside its scores: for tables of a study."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from fl.rewards.config import FolderReward, RewardConfig, TrainedReward
from fl.rewards.held_out import HeldOut
from fl.rewards.reward import Reward


@dataclass(frozen=True, kw_only=True)
class RewardDescription:
    """One reward of a study."""

    name: str
    """``helpfulness``, ``safety`` or ``independent``."""
    kind: str
    """``trained``, ``folder``, ``rule``, or ``path.py:Class``."""
    pairs: str | None
    """Set or table of preference pairs; ``None`` where there is none."""
    num_train_pairs: int
    """Pairs that it was trained on here."""
    held_out: HeldOut | None
    """Accuracy on held-out pairs, with its interval; ``None`` where there are none."""
    memory_bytes: int
    """Bytes of its weights."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """How many pairs were left out, by the reason."""


def describe_reward(name: str, config: RewardConfig, reward: Reward) -> RewardDescription:
    """Return what there is to tell of a reward that was loaded with these settings."""
    return RewardDescription(
        name=name,
        kind=config.kind,
        pairs=config.pairs if isinstance(config, TrainedReward | FolderReward) else None,
        num_train_pairs=getattr(reward, "num_train_pairs", 0),
        held_out=getattr(reward, "held_out", None),
        memory_bytes=reward.memory_bytes,
        dropped=getattr(reward, "dropped", {}),
    )
