"""What decides the rows of a run beside its settings: our code, libraries, files of models."""

import hashlib
import sys
from collections.abc import Iterator
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

from fl.models.registry import SHAPES, find_model
from fl.rewards.config import FolderReward, RewardConfig, TrainedReward
from scenarios.schema import Scenario

_SOURCES = (".py", ".json", ".csv")
"""Ends of the names of files that decide what our code does."""


@lru_cache(maxsize=4)
def code_digest(packages: tuple[str, ...], libraries: tuple[str, ...]) -> str:
    """Return the SHA-256 of packages of ours, and of the versions of libraries and Python.

    Read once a process: code that changes on disk meanwhile is not the code that runs.
    """
    root = Path(__file__).parents[1]
    digest = hashlib.sha256(repr((sys.version, *map(version, libraries))).encode())
    for package in packages:
        for file in sorted((root / package).rglob("*")):
            if file.suffix in _SOURCES:
                digest.update(f"{file.relative_to(root)} ".encode())
                digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def rewards_of(scenario: Scenario) -> list[RewardConfig]:
    """Return the settings of the rewards, where there are any."""
    return [] if scenario.rewards is None else list(scenario.rewards.named.values())


def model_files(scenario: Scenario) -> Iterator[tuple[str, int, int] | None]:
    """Yield path, size and time of change of the files of a model; ``None`` for one of the hub.

    Raises
    ------
    OSError
        A file cannot be looked at.
    ValueError
        A path can be none.
    """
    name, cost_as = find_model(scenario.model.name), scenario.model.cost_as
    others = [] if cost_as is None or cost_as in SHAPES else [cost_as]
    rewards = rewards_of(scenario)
    others += [find_model(each.backbone) for each in rewards if isinstance(each, TrainedReward)]
    others += [reward.path for reward in rewards if isinstance(reward, FolderReward)]
    for place in (name, *others):
        path = Path(place).expanduser()
        if not path.exists():
            yield None
            continue
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            stat = file.stat()
            yield str(file), stat.st_size, stat.st_mtime_ns
