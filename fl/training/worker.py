"""The one model in memory: a backbone, a method's tensors in it, and the texts it trains on."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, Literal, TypeVar

import numpy as np
import torch
import transformers
from jaxtyping import Int
from torch import nn

from fl.models.batch import Batch
from fl.models.classifier import TextClassifier
from fl.models.language import LanguageModel
from fl.models.passes import AS_THEY_ARE, Passes
from fl.payload import Tensors
from fl.rewards.reward import HelpfulnessOf, Rewards, equal_weights
from fl.training.batches import Examples
from fl.training.choices import Choices, find_choices
from fl.training.frozen_features import FrozenFeatures
from fl.training.local_work import LocalWork

HEAD = frozenset({"head.weight", "head.bias"})
"""Tensors of the head of a classifier."""

Work_co = TypeVar("Work_co", bound=LocalWork, covariant=True)


@dataclass(frozen=True, kw_only=True)
class Worker(Generic[Work_co]):
    """What runs jobs and evaluations; nothing shows of one in the next.

    However many clients there are, they take turns in ``module``: their tensors are put in place
    of the installed ones, which costs no copy of the backbone.
    """

    module: TextClassifier | LanguageModel
    """Backbone with the method installed, frozen, in evaluation mode."""
    method: Work_co
    train: Examples
    """Table that clients' texts are rows of."""
    test: Examples
    """Common test set."""
    tokenizer: transformers.PreTrainedTokenizerBase | None = None
    """Turns what a language model writes into text; not needed otherwise."""
    rewards: Rewards | None = None
    """Score what is written, where a study rewards it."""
    helpfulness_of: HelpfulnessOf = equal_weights
    """How much helpfulness counts for a client, by its id; safety counts the rest."""
    passes: Passes = AS_THEY_ARE
    """How forward passes are computed."""
    model_key: str
    """Names everything above; jobs made for another key are refused."""

    @property
    def device(self) -> torch.device:
        """Where the model lies; batches go there, results come back to the CPU."""
        return next(self.module.parameters()).device

    def computing(self) -> AbstractContextManager[None]:
        """Let passes of the model be computed as this worker's settings say."""
        return self.passes.applied(self.module)

    def table(self, name: Literal["train", "test"]) -> Examples:
        """Return the texts that jobs index under this name."""
        return self.train if name == "train" else self.test

    def batch(self, name: Literal["train", "test"], indices: Int[np.ndarray, " text"]) -> Batch:
        """Return some texts of a table, as the model takes them.

        Where nothing but the head is the method's, the rest of the model is run once a text.
        """
        features = self._features.get(name)
        return self.table(name).batch(indices) if features is None else features.batch(indices)

    @cached_property
    def _features(self) -> Mapping[str, FrozenFeatures]:
        """Features of the texts by table, where they stay the same; else nothing."""
        module = self.module
        if not isinstance(module, TextClassifier) or not set(self.method.initial) <= HEAD:
            return {}
        return {
            "train": FrozenFeatures(module, self.train),
            "test": FrozenFeatures(module, self.test),
        }

    def decode(self, tokens: Sequence[int]) -> str:
        """Return tokens as text, special ones left out.

        Raises
        ------
        TypeError
            If the worker has no tokenizer.
        """
        if self.tokenizer is None:
            msg = "tokenizer: text is made of tokens by one, got None"
            raise TypeError(msg)
        return str(self.tokenizer.decode(list(tokens), skip_special_tokens=True))

    def check_key(self, model_key: str) -> None:
        """Refuse a job that was made for another worker.

        Raises
        ------
        ValueError
            If the keys differ.
        """
        if model_key != self.model_key:
            msg = f"model_key: job was made for {model_key}, worker holds {self.model_key}"
            raise ValueError(msg)

    @cached_property
    def parameters(self) -> Mapping[str, nn.Parameter]:
        """All parameters by name: the same objects from job to job, only their values change."""
        return dict(self.module.named_parameters())

    @cached_property
    def choices(self) -> Choices:
        """Answers that multiple choice is among.

        Raises
        ------
        ValueError
            The data has too few or too many distinct answers.
        """
        return find_choices(self.train, self.test)

    def load(self, tensors: Tensors, *, trainable: Sequence[str] = ()) -> list[nn.Parameter]:
        """Put these values into the model; give the parameters to train, same order.

        Those to be trained are copied, so that the values given stay as they are.

        A value may differ in shape from the one it replaces (a client's own rank): layers read
        their sizes from their weights.

        Raises
        ------
        ValueError
            If not exactly the installed tensors are given: what the last model left would remain.
        """
        if tensors.keys() != self.method.initial.keys():
            odd = sorted(tensors.keys() ^ self.method.initial.keys())
            msg = f"tensors: must be those that {self.method.kind} installed, differs in {odd}"
            raise ValueError(msg)
        parameters, device = self.parameters, self.device
        trained = frozenset(trainable)
        for name in sorted(tensors):
            value = tensors[name].detach()
            if device.type != "cpu":
                value = value.to(device)
            parameters[name].requires_grad = False
            parameters[name].grad = None
            # What is not trained is only read: it needs no copy.
            parameters[name].data = value.clone() if name in trained else value
        for name in trainable:
            parameters[name].requires_grad = True
        return [parameters[name] for name in trainable]

    def read(self, names: Sequence[str]) -> dict[str, torch.Tensor]:
        """Copy the values of some installed tensors out of the model."""
        return {name: self.parameters[name].detach().clone().cpu() for name in names}
