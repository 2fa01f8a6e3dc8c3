"""Methods whose clients learn from rewards, each with a preference of its own.

How much helpfulness counts for a client is a number that it keeps: it is among its personal
tensors, reaches its jobs as a client output, and is in no layer and no payload.
"""

from collections.abc import Collection
from dataclasses import dataclass

import torch

from fl.methods.averaging import AveragingMethod
from fl.methods.base import ServerState
from fl.payload import Payload, Tensors
from fl.rewards.reward import HelpfulnessOf
from fl.training.job import Start, TrainJob
from fl.training.local_work import ModelInMemory

HELPFULNESS = "preference.helpfulness"
"""Name of the client's weight among its personal tensors."""


@dataclass(frozen=True, kw_only=True)
class AligningMethod(AveragingMethod):
    """An averaging method whose jobs follow rewards; implements ``AlignsPolicy``."""

    helpfulness_of: HelpfulnessOf
    keeps_tuned: bool = False
    """Whether a client uses the shared tensors as it has trained them last, not as the server holds
    them. Its next job begins at the server's all the same."""

    @property
    def self_trained(self) -> Collection[str]:
        """Name the personal tensors, the client's weight, and what it keeps of its training."""
        return (*self.own, HELPFULNESS, *self._tuned)

    def initial_personal(self, client_id: int) -> Tensors:
        """Return the untrained personal tensors and the weight of the client."""
        weight = torch.tensor([self.helpfulness_of(client_id)], dtype=torch.float64)
        return {**super().initial_personal(client_id), HELPFULNESS: weight}

    def start(self, download: Payload | None, personal: Tensors, *, version: int) -> Start:
        """Begin as averaging does; the weight goes along."""
        start = super().start(download, self._pick(personal, self.own), version=version)
        return Start(
            tensors=start.tensors,
            trainable=start.trainable,
            client_outputs={HELPFULNESS: personal[HELPFULNESS]},
        )

    def reward_weight(self, start: Start) -> float:
        """Return how much helpfulness counts for the client."""
        return float(start.client_outputs[HELPFULNESS][0])

    def finish(self, trained: Tensors, job: TrainJob, worker: ModelInMemory) -> Tensors:
        """Hand the weight on as it is."""
        return job.start.client_outputs

    def personal(self, trained: Tensors) -> Tensors:
        """Return the tensors that stay, the weight among them."""
        tuned = {name: trained[shared] for name, shared in self._tuned.items()}
        return {**super().personal(trained), HELPFULNESS: trained[HELPFULNESS], **tuned}

    def personal_model(self, state: ServerState, personal: Tensors) -> Tensors:
        """Return the shared tensors, the server's or as the client tuned them, and its own."""
        model = super().personal_model(state, self._pick(personal, self.own))
        tuned = {shared: personal[name] for name, shared in self._tuned.items() if name in personal}
        return {**model, **tuned}

    @property
    def _tuned(self) -> dict[str, str]:
        """Map the names under which trained shared tensors are kept to their own."""
        return {f"tuned.{name}": name for name in self.shared} if self.keeps_tuned else {}
