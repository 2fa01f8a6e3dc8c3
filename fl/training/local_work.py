"""What local training asks of a method: the part of a method that runs on the client."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from jaxtyping import Int

from fl.models.classifier import TextClassifier
from fl.models.language import LanguageModel
from fl.payload import Tensors
from fl.training.batches import Examples
from fl.training.job import Start, TrainJob
from fl.training.objective import Objective


class ModelInMemory(Protocol):
    """The model and the training texts that a method may use after training."""

    @property
    def module(self) -> TextClassifier | LanguageModel:
        """Backbone with the method installed, in evaluation mode."""

    @property
    def train(self) -> Examples:
        """Table that the samples of a job index."""

    def load(self, tensors: Tensors) -> object:
        """Put values into the model: one for every installed tensor."""


class LocalWork(Protocol):
    """The tensors that a method installed, and what it does beside the optimiser's steps.

    :class:`fl.methods.base.Method` extends it by what the server does.
    """

    @property
    def kind(self) -> str:
        """Name in the scenario."""

    @property
    def initial(self) -> Tensors:
        """Value of every installed tensor before any training."""

    @property
    def objective(self) -> Objective:
        """What its jobs optimise."""

    def penalty(self, parameters: Tensors, start: Start) -> torch.Tensor | None:
        """Return what is added to the loss of a step, a differentiable scalar; ``None``: 0.

        Parameters
        ----------
        parameters
            The trained tensors as they are at this step, by name. The forward pass of the step has
            run: layers may have kept what the penalty needs of it.
        start
            Where the job began.
        """

    def trained_texts(
        self, samples: Int[np.ndarray, " text"], *, batch_size: int
    ) -> Int[np.ndarray, " text"]:
        """Return the texts of a shard that steps train on, at least one.

        By place in the shard alone: equally many other texts are parted at the same places.
        """

    def finish_batches(
        self, samples: Int[np.ndarray, " text"], *, batch_size: int
    ) -> Sequence[Int[np.ndarray, " text"]]:
        """Return the texts that :meth:`finish` passes forward, batch by batch: its cost."""

    def finish(self, trained: Tensors, job: TrainJob, worker: ModelInMemory) -> Tensors:
        """Return what the client computes after its steps, named and shaped as announced.

        A pure function of its arguments. The worker holds the trained values when this is called,
        and may be loaded with others.
        """


class AlignsPolicy(LocalWork, Protocol):
    """A method whose clients learn from rewards, each with a preference of its own."""

    def reward_weight(self, start: Start) -> float:
        """Return how much helpfulness counts for the client, in [0, 1]; safety counts the rest."""
