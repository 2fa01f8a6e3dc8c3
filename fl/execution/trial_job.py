"""What trials of methods share: a worker on two texts, and its first job, of one step."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float

from fl.methods import MethodConfig, install_method
from fl.methods.base import Method
from fl.models.backbone import Backbone
from fl.models.lora_settings import DEFAULT_LORA, LoraSettings
from fl.rewards.reward import Rewards
from fl.training.batches import Examples
from fl.training.job import JobSettings, Start, TrainJob
from fl.training.worker import Worker

MODEL_KEY = "trial"
SEED = 1
"""Of the job."""
SETTINGS = JobSettings(
    local_steps=1,
    local_epochs=None,
    batch_size=2,
    learning_rate=1e-5,
    weight_decay=0.0,
    max_gradient_norm=None,
)


class _InTurn:
    """A reward for a trial: 0 and 1 in turn, so that answers differ in worth."""

    digest = "trial"
    memory_bytes = 0

    def scores(
        self, prompts: Sequence[str], responses: Sequence[str]
    ) -> Float[np.ndarray, " text"]:
        """Return 0 for the first answer, 1 for the next, and so on."""
        return np.arange(len(responses)) % 2.0

    def flop(self, *, num_texts: int, num_tokens: int) -> int:
        """Return the operations: none."""
        return 0


def trial_worker(
    config: MethodConfig,
    *,
    backbone: Backbone,
    examples: Examples,
    num_clients: int,
    seed: int,
    lora: LoraSettings = DEFAULT_LORA,
) -> Worker[Method]:
    """Install a method in a backbone, in place, and return what runs its jobs on a few texts.

    Parameters
    ----------
    config
        Settings of the method.
    backbone
        Of no use for another method afterwards.
    examples
        Trained and tested on.
    num_clients
        Clients of the federation.
    seed
        Of the method's first values.
    lora
        Of low-rank adaptations.

    Raises
    ------
    ValueError
        A setting or an own class that does not suit the backbone.
    """
    generator = torch.Generator().manual_seed(seed)
    method = install_method(
        config.for_trial(),
        backbone.module,
        generator=generator,
        num_clients=num_clients,
        lora=lora,
    )
    backbone.module.eval()
    return Worker(
        module=backbone.module,
        method=method,
        train=examples,
        test=examples,
        tokenizer=backbone.tokenizer,
        rewards=Rewards(helpfulness=_InTurn(), safety=_InTurn()) if config.uses_rewards else None,
        model_key=MODEL_KEY,
    )


def trial_job(start: Start, worker: Worker[Method], *, version: int) -> TrainJob:
    """Return the job of client 0 that trains one step on all texts of a worker from ``start``."""
    return TrainJob(
        model_key=MODEL_KEY,
        client_id=0,
        round=version + 1,
        version=version,
        start=start,
        samples=np.arange(len(worker.train.labels)),
        settings=SETTINGS,
        seed=SEED,
    )
