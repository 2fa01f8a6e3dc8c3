"""Rewards of written answers: models trained on preferences, rules, and a user's own."""

from pathlib import Path

from fl.rewards.config import FolderReward, OwnReward, RewardConfig, RewardsConfig, RuleReward
from fl.rewards.description import RewardDescription, describe_reward
from fl.rewards.own import own_reward
from fl.rewards.reward import Reward, Rewards
from fl.rewards.rules import RuleScores


def load_rewards(config: RewardsConfig, *, cache_dir: Path | None = None) -> Rewards:
    """Return the rewards of a scenario; what is not in the cache is trained.

    Parameters
    ----------
    config
        Settings.
    cache_dir
        Folder for reward models and harvested texts; the user's cache folder when ``None``.

    Raises
    ------
    ValueError
        One line: pairs, a model or code of the user's own that cannot be used.
    """
    return Rewards(
        **{
            name: load_reward(reward, f"rewards.{name}", cache_dir)
            for name, reward in config.named.items()
        }
    )


def describe(config: RewardsConfig, *, cache_dir: Path | None = None) -> list[RewardDescription]:
    """Return what there is to tell of each reward; arguments as of :func:`load_rewards`."""
    rewards = load_rewards(config, cache_dir=cache_dir)
    return [
        describe_reward(name, reward, rewards.named[name]) for name, reward in config.named.items()
    ]


def load_reward(config: RewardConfig, key: str, cache_dir: Path | None = None) -> Reward:
    """Return one reward; ``key`` is its place in the scenario, with which messages begin."""
    if isinstance(config, RuleReward):
        return RuleScores(config)
    if isinstance(config, OwnReward):
        return own_reward(config, key=key)
    from fl.rewards.trained import load_folder, load_trained  # noqa: PLC0415  torch, where needed

    if isinstance(config, FolderReward):
        return load_folder(config, key=key, cache_dir=cache_dir)
    return load_trained(config, key=key, cache_dir=cache_dir)
