"""What a run needs of its model before its clock starts: tokens, backbone; loaded once a process.

Everything here can fail on bad input, and does so before a result folder exists.
"""

from dataclasses import dataclass
from functools import lru_cache

from fl.data.config import DataConfig
from fl.data.corpus import Corpus
from fl.execution.host import PLAIN, Host
from fl.execution.recipe import WorkerRecipe
from fl.models.backbone import Backbone, load_backbone
from fl.models.config import ModelConfig
from fl.rewards import load_rewards
from fl.rewards.config import RewardsConfig
from fl.rewards.description import RewardDescription, describe_reward
from fl.rewards.reward import Rewards
from fl.training.batches import Examples
from netsim.streams import Purpose, stream
from scenarios.schema import Scenario
from scenarios.shares import corpus_of, source_of, streams_of

_MAX_TEXTS = 2
"""Data sets that are kept as tokens."""


@dataclass(frozen=True, kw_only=True)
class Texts:
    """The data set of a scenario as text and as tokens of its model."""

    corpus: Corpus
    train: Examples
    """What clients share."""
    test: Examples
    """Common test set."""


def texts_of(scenario: Scenario, *, backbone: Backbone) -> Texts:
    """Load and tokenise the texts of a scenario; a second call costs nothing.

    Parameters
    ----------
    scenario
        Whose data and model.
    backbone
        The model of the scenario; only its tokenizer is used.
    """
    key = (source_of(scenario), scenario.model)
    texts = _TEXTS.get(key)
    if texts is None:
        corpus = corpus_of(scenario)
        texts = Texts(
            corpus=corpus,
            train=Examples.of(corpus.train, backbone),
            test=Examples.of(corpus.test, backbone),
        )
        if len(_TEXTS) == _MAX_TEXTS:
            del _TEXTS[next(iter(_TEXTS))]
        _TEXTS[key] = texts
    return texts


def backbone_of(scenario: Scenario, *, num_classes: int, seed: int) -> Backbone:
    """Load a fresh backbone for one run: a method will put its tensors into it."""
    rng = stream(seed, Purpose.MODEL_INIT)
    return load_backbone(scenario.model, num_classes=num_classes, rng=rng, task=scenario.data.task)


def recipe_of(scenario: Scenario, *, seed: int, host: Host = PLAIN) -> WorkerRecipe:
    """Return how the worker of a run is made, in this process or in another one.

    Parameters
    ----------
    scenario, seed
        Whose settings and randomness.
    host
        What of the machine its jobs run on.
    """
    return WorkerRecipe(
        method=scenario.methods[0],
        data=source_of(scenario),
        model=scenario.model,
        training=scenario.training,
        num_clients=scenario.clients.num_clients,
        rewards=scenario.rewards,
        streams=streams_of(seed),
        host=host,
    )


@lru_cache(maxsize=2)
def rewards_of(config: RewardsConfig) -> Rewards:
    """Load what scores answers; a second call costs nothing."""
    return load_rewards(config)


def reward_facts(config: RewardsConfig) -> dict[str, str]:
    """Say in a line what each reward is, and how often a model is right on held-out pairs."""
    rewards = rewards_of(config)
    return {
        name: _told(describe_reward(name, reward, rewards.named[name]))
        for name, reward in config.named.items()
    }


def _told(reward: RewardDescription) -> str:
    words = reward.kind if reward.pairs is None else f"{reward.kind}, {reward.pairs}"
    held_out = reward.held_out
    if held_out is None:
        return words
    return (
        f"{words}: right for {held_out.accuracy:.3f} ({held_out.low:.3f} to {held_out.high:.3f}) "
        f"of {held_out.num_pairs} held-out pairs"
    )


_TEXTS: dict[tuple[DataConfig, ModelConfig], Texts] = {}
