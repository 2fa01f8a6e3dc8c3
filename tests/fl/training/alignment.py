"""Small worlds of rewards: a method that trains given tensors, rewards of words, a tokenizer."""

from dataclasses import dataclass, field, replace

import numpy as np
import torch

from fl.models.tokens import TokenTable
from fl.rewards.reward import Rewards
from fl.training.batches import Examples
from fl.training.job import JobSettings, Start, TrainJob
from fl.training.policy_optimisation import PolicyOptimisation
from fl.training.policy_settings import PolicySettings
from fl.training.worker import Worker
from tests.fl.fakes import VOCABULARY_SIZE, language_model

SETTINGS = JobSettings(
    local_steps=3,
    local_epochs=None,
    batch_size=4,
    learning_rate=1e-3,
    weight_decay=0.0,
    max_gradient_norm=None,
)


class Words:
    """A tokenizer whose tokens are words."""

    def __init__(self, eos_token_id=2):
        self.eos_token_id = eos_token_id

    def decode(self, ids, *, skip_special_tokens):
        return " ".join(f"w{token}" for token in ids)


@dataclass
class Counting:
    """Rewards an answer with the value of its words, one after the other."""

    value: object
    digest: str = "counting"
    memory_bytes: int = 0
    seen: list = field(default_factory=list)

    def scores(self, prompts, responses):
        self.seen.append((list(prompts), list(responses)))
        return np.array([float(self.value(text.split())) for text in responses])

    def flop(self, *, num_texts, num_tokens):
        return 0


class Slice:
    """A method that trains some tensors of the model, with a weight of its own for each client."""

    kind = "slice"

    def __init__(self, module, names, *, weight=0.5, prox=0.0):
        parameters = dict(module.named_parameters())
        self.initial = {name: parameters[name].detach().clone() for name in names}
        self.weight = weight
        self.prox = prox

    def reward_weight(self, start):
        return float(start.client_outputs.get("weight", torch.tensor(self.weight)))

    def penalty(self, parameters, start):
        if not self.prox:
            return None
        return self.prox * sum(
            (value - start.tensors[name]).square().sum() for name, value in parameters.items()
        )

    def trained_texts(self, samples, *, batch_size):
        return samples

    def finish_batches(self, samples, *, batch_size):
        return []

    def finish(self, trained, job, worker):
        return dict(job.start.client_outputs)


def prompts(num_texts=12, *, longest=6, seed=0, vocabulary_size=VOCABULARY_SIZE):
    rng = np.random.default_rng(seed)
    starts = rng.integers(2, longest + 1, size=num_texts)
    lengths = starts + 2
    return Examples(
        tokens=TokenTable(
            ids=rng.integers(3, vocabulary_size, size=lengths.sum()).astype(np.int32),
            offsets=np.concatenate([[0], np.cumsum(lengths)]),
            pad_token_id=0,
            answer_starts=starts.astype(np.int32),
        ),
        labels=np.zeros(num_texts, dtype=np.int64),
    )


def different_words(words):
    return len(set(words)) / 8


def even_words(words):
    return sum(int(word[1:]) % 2 == 0 for word in words) / 8


def aligned(
    module=None,
    *,
    names=None,
    policy=None,
    weight=0.5,
    prox=0.0,
    helpfulness=different_words,
    safety=even_words,
    train=None,
    tokenizer=None,
    settings=SETTINGS,
    **fields,
):
    """Return (procedure, worker, job) of a client that learns from rewards."""
    module = language_model() if module is None else module
    for parameter in module.parameters():
        parameter.requires_grad = False
    if names is None:
        names = [name for name, _ in module.named_parameters() if "layers.1." in name]
    method = Slice(module, names, weight=weight, prox=prox)
    train = prompts() if train is None else train
    worker = Worker(
        module=module,
        method=method,
        train=train,
        test=train,
        tokenizer=Words() if tokenizer is None else tokenizer,
        rewards=Rewards(helpfulness=Counting(helpfulness), safety=Counting(safety)),
        model_key="key",
    )
    procedure = PolicyOptimisation(
        settings=settings,
        policy=PolicySettings(max_new_tokens=8) if policy is None else policy,
        method=method,
        train=train,
        **fields,
    )
    job = TrainJob(
        model_key="key",
        client_id=3,
        round=2,
        version=1,
        start=Start(tensors=dict(method.initial), trainable=tuple(sorted(names))),
        samples=np.arange(len(train.tokens)),
        settings=settings,
        seed=5,
    )
    return procedure, worker, job


def moved(job, seed=1, scale=0.05):
    """Return the job with a start away from the reference."""
    generator = torch.Generator().manual_seed(seed)
    tensors = {
        name: value + scale * torch.randn(value.shape, generator=generator)
        for name, value in job.start.tensors.items()
    }
    return replace(job, start=replace(job.start, tensors=tensors))
