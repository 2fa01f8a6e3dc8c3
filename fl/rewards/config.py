"""Settings of the rewards of a written answer, and how much each client cares for which."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, MinLen, Predicate

from fl.own_code import names_a_class
from fl.problems import Problem

REWARDS = ("helpfulness", "safety", "independent")
"""Names of all rewards that a study may have; the first two always."""
BUILT_IN_PAIRS = ("right_summaries", "private_names")
"""Sets of preference pairs that are made of the docstrings of installed packages."""
Rule = Literal["length", "no_private_names", "no_repetition", "prompt_words", "format"]
"""Rules that score an answer without a model."""
RULE_SETTINGS: dict[Rule, str] = {
    "length": "num_words",
    "no_repetition": "ngram",
    "format": "pattern",
}
"""The one setting of each rule that has one."""


@dataclass(frozen=True, kw_only=True)
class TrainedReward:
    """A reward model trained here on preference pairs, once, then read from the cache."""

    pairs: Annotated[str, MinLen(1)]
    """``right_summaries`` (the summary of a function is better than that of another),
    ``private_names`` (a summary is better without names such as ``_fetch``), or a table with the
    columns ``prompt``, ``chosen`` and ``rejected``: parquet, csv, tsv, jsonl."""
    part: Annotated[str, MinLen(1)] | None = None
    """Column of the table that says which part a pair belongs to; when empty, one prompt in five is
    held out, by its hash."""
    train_parts: Annotated[tuple[str, ...], MinLen(1)] = ("train",)
    """Names in that column of the pairs to train on, less those whose prompt is held out."""
    test_parts: Annotated[tuple[str, ...], MinLen(1)] = ("test",)
    """Names in that column of the held-out pairs."""
    max_test_pairs: Annotated[int, Ge(2)] = 2_000
    """Most held-out pairs that are scored; of more, those of smallest hash. An accuracy over so
    many is known to within 2.2 %."""
    backbone: Annotated[str, MinLen(1)] = "tiny-encoder"
    """What the reward model is made of: ``tiny-encoder``, ``minilm``, a folder, or a hub id; it
    gets a head with one output, and all its weights are trained."""
    steps: Annotated[int, Ge(1)] = 200
    """Steps of the optimiser."""
    batch_size: Annotated[int, Ge(1)] = 32
    """Pairs a step."""
    learning_rate: Annotated[float, Gt(0)] = 5e-4
    """Of AdamW, constant after the first tenth of the steps, over which it rises."""
    max_tokens: Annotated[int, Ge(8)] = 64
    """Longest prompt with answer; a longer pair is left out of training and held-out accuracy, of a
    longer text that is scored the prompt loses its beginning, then the answer its end."""
    seed: Annotated[int, Ge(0)] = 0
    """Of the head's first weights and the order of the pairs."""
    kind: Literal["trained"] = "trained"
    """Name of this way to score."""


@dataclass(frozen=True, kw_only=True)
class FolderReward:
    """A reward model on disk: a sequence classifier of transformers with one output."""

    path: Annotated[str, MinLen(1)]
    """Folder with ``config.json``, ``model.safetensors`` and ``tokenizer.json``."""
    pairs: Annotated[str, MinLen(1)] | None = None
    """Preference pairs, as of a ``trained`` reward, whose held-out part says how often it is right
    and how to standardise it; without them, scores are its outputs as they are."""
    part: Annotated[str, MinLen(1)] | None = None
    """As of a ``trained`` reward."""
    train_parts: Annotated[tuple[str, ...], MinLen(1)] = ("train",)
    """As of a ``trained`` reward; only to leave shared prompts out."""
    test_parts: Annotated[tuple[str, ...], MinLen(1)] = ("test",)
    """As of a ``trained`` reward."""
    max_test_pairs: Annotated[int, Ge(2)] = 2_000
    """As of a ``trained`` reward."""
    max_tokens: Annotated[int, Ge(8)] = 128
    """Longest prompt with answer; of a longer one the prompt loses its beginning, then the answer
    its end."""
    kind: Literal["folder"] = "folder"
    """Name of this way to score."""


@dataclass(frozen=True, kw_only=True)
class RuleReward:
    """A rule that scores an answer between 0 and 1; its scores are used as they are."""

    rule: Rule
    """``length``: 1 at the wanted length, less by the relative error, 0 from twice the length on;
    ``no_private_names``: 1 / (1 + n) for n names such as ``_fetch``; ``no_repetition``: distinct
    runs of words over all; ``prompt_words``: part of the prompt's words that the answer has;
    ``format``: 1 where the whole answer matches a pattern, else 0. An empty answer scores 0 under
    each of them but ``no_private_names``."""
    num_words: Annotated[int, Ge(1)] | None = None
    """Wanted length, of ``length``."""
    ngram: Annotated[int, Ge(1)] | None = None
    """Words in a run, of ``no_repetition``; 3 when empty."""
    pattern: Annotated[str, MinLen(1)] | None = None
    """Regular expression of Python, of ``format``."""
    kind: Literal["rule"] = "rule"
    """Name of this way to score."""


@dataclass(frozen=True, kw_only=True)
class OwnReward:
    """A class in a file, with ``scores(prompts, responses)``; all keys beside are its arguments."""

    kind: Annotated[str, Predicate(names_a_class)]
    """File and class: ``path.py:Class``."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Arguments of the class; in a file they stand beside ``kind``."""


RewardConfig = TrainedReward | FolderReward | RuleReward | OwnReward
"""Any way to score an answer; told apart by ``kind``."""


@dataclass(frozen=True, kw_only=True)
class RewardsConfig:
    """What answers are rewarded for, and how much each client cares for which."""

    helpfulness: RewardConfig
    """How helpful an answer is."""
    safety: RewardConfig
    """How safe an answer is."""
    independent: RewardConfig | None = None
    """A third score of the same answers from which nobody learns, measured as
    ``independent_reward``. Where it falls while the others rise, models have learnt what misleads
    a reward, not what is wanted."""
    helpfulness_weights: (
        Literal["spread"] | Annotated[tuple[Annotated[float, Ge(0), Le(1)], ...], MinLen(1)]
    ) = "spread"
    """Weight of helpfulness of each client; 1 less it is that of safety. ``spread``: evenly from 0
    to 1 over the clients (0.5 for one alone); or a list, dealt to them in turn."""

    @property
    def named(self) -> Mapping[str, RewardConfig]:
        """All rewards that are given, by name."""
        found = {name: getattr(self, name) for name in REWARDS}
        return {name: reward for name, reward in found.items() if reward is not None}

    def weight_of(self, client_id: int, num_clients: int) -> float:
        """Return the weight of helpfulness of a client, in [0, 1].

        Examples
        --------
        >>> rule = RuleReward(rule="no_private_names")
        >>> config = RewardsConfig(helpfulness=rule, safety=rule)
        >>> [config.weight_of(client_id, 5) for client_id in range(5)]
        [0.0, 0.25, 0.5, 0.75, 1.0]
        """
        if self.helpfulness_weights != "spread":
            return float(self.helpfulness_weights[client_id % len(self.helpfulness_weights)])
        return 0.5 if num_clients == 1 else client_id / (num_clients - 1)


def find_problems(
    config: RewardsConfig, *, num_clients: int, path: tuple[str, ...] = ("rewards",)
) -> list[Problem]:
    """Name every broken rule of these settings that needs no model and no pairs to be seen.

    Parameters
    ----------
    config
        Settings, each field within its own bounds.
    num_clients
        Clients of the scenario, at least 1.
    path
        Where the settings stand.
    """
    problems = [
        Problem((*path, name, key), rule)
        for name, reward in config.named.items()
        for key, rule in _find_reward_problems(reward)
    ]
    weights = config.helpfulness_weights
    if weights != "spread" and len(weights) > num_clients:
        rule = f"must be at most clients.num_clients = {num_clients} weights, got {len(weights)}"
        problems.append(Problem((*path, "helpfulness_weights"), rule))
    return problems


def _find_reward_problems(config: RewardConfig) -> Iterator[tuple[str, str]]:
    if isinstance(config, RuleReward):
        yield from _find_rule_problems(config)
    elif isinstance(config, TrainedReward | FolderReward):
        yield from _find_pairs_problems(config)


def _find_rule_problems(config: RuleReward) -> Iterator[tuple[str, str]]:
    own = RULE_SETTINGS.get(config.rule)
    for key in RULE_SETTINGS.values():
        value = getattr(config, key)
        if key != own and value is not None:
            yield key, f"has no effect when rule is {config.rule}, got {value!r}; leave it out"
    if own in ("num_words", "pattern") and getattr(config, own) is None:
        yield own, f"must be given when rule is {config.rule}"
    if own == "pattern" and config.pattern is not None:
        try:
            re.compile(config.pattern)
        except re.error as error:
            yield "pattern", f"must be a regular expression ({error}), got {config.pattern!r}"


def _find_pairs_problems(config: TrainedReward | FolderReward) -> Iterator[tuple[str, str]]:
    for key, default in (("train_parts", ("train",)), ("test_parts", ("test",))):
        value = getattr(config, key)
        if config.part is None and value != default:
            yield key, f"has no effect without part, got {list(value)}; set part to a column"
    if config.pairs is None or config.pairs in BUILT_IN_PAIRS:
        if config.part is not None:
            yield "part", f"has no effect without a table of pairs, got {config.part!r}"
        return
    shared = sorted(set(config.train_parts) & set(config.test_parts))
    if shared:
        yield "test_parts", f"must be other parts than train_parts, got {shared[0]!r} in both"
