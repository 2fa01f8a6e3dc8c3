"""The digest of a job changes with every field of it, and with nothing else."""

import subprocess
import sys
from dataclasses import fields, is_dataclass, replace

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fl.training.job import EvaluationJob, JobSettings, Start, TrainJob
from fl.training.optimiser_settings import AdamW, Sgd
from fl.training.rate_schedule import CONSTANT_RATE, CosineRate, ExponentialRate, LinearRate
from fl.training.sample_privacy import SamplePrivacy

WORDS = st.text(st.characters(codec="utf-8"), max_size=5)
NUMBERS = st.integers(0, 2**63 - 1)
FLOATS = st.floats(0, 1, allow_nan=False)
SAMPLES = st.lists(st.integers(0, 99), max_size=5).map(np.array)
KINDS = st.sampled_from((torch.float32, torch.float64, torch.bfloat16))
NAMES = st.sampled_from(("a", "b", "c.weight"))


@st.composite
def tensors_of_a_kind(draw):
    kind, shape = draw(KINDS), draw(st.sampled_from(((2,), (2, 1), (1, 2), ())))
    values = draw(st.lists(st.floats(-4, 4, width=16), min_size=2, max_size=2))
    return torch.tensor(values)[: 2 if shape else 1].reshape(shape).to(kind)


TENSORS = st.dictionaries(NAMES, tensors_of_a_kind(), max_size=2)
STARTS = st.builds(
    Start,
    tensors=TENSORS,
    trainable=st.lists(NAMES, unique=True).map(lambda names: tuple(sorted(names))),
    client_outputs=TENSORS,
)
SETTINGS = st.builds(
    JobSettings,
    local_steps=st.none() | st.integers(1, 9),
    local_epochs=st.none() | st.integers(1, 9),
    batch_size=st.integers(1, 99),
    learning_rate=FLOATS,
    weight_decay=FLOATS,
    max_gradient_norm=st.none() | FLOATS,
    optimiser=st.sampled_from(
        (AdamW(), Sgd(), Sgd(momentum=0.5), Sgd(momentum=0.5, nesterov=True))
    ),
    step_schedule=st.sampled_from((CONSTANT_RATE, ExponentialRate(), LinearRate(), CosineRate())),
    warmup_steps=st.integers(0, 9),
    decays_norms_and_biases=st.booleans(),
    micro_batch_size=st.none() | st.integers(1, 9),
    lora_dropout=FLOATS,
    backbone_dropout=FLOATS,
    privacy=st.none() | st.builds(SamplePrivacy, clip_norm=FLOATS, noise_multiplier=FLOATS),
)
OF_TRAINING = {
    "model_key": WORDS,
    "client_id": NUMBERS,
    "round": NUMBERS,
    "version": NUMBERS,
    "start": STARTS,
    "samples": SAMPLES,
    "settings": SETTINGS,
    "seed": NUMBERS,
}
OF_EVALUATION = {
    "model_key": WORDS,
    "tensors": TENSORS,
    "table": st.sampled_from(("train", "test")),
    "samples": SAMPLES,
    "batch_size": st.integers(1, 99),
    "max_new_tokens": st.none() | st.integers(1, 99),
    "is_choice": st.booleans(),
}
JOBS = ((TrainJob, OF_TRAINING), (EvaluationJob, OF_EVALUATION))


def plain(value):
    """A value to compare by: all that is in it, types and shapes included."""
    if is_dataclass(value):
        return [(each.name, plain(getattr(value, each.name))) for each in fields(value)]
    if isinstance(value, dict):
        return sorted((name, plain(each)) for name, each in value.items())
    if isinstance(value, torch.Tensor):
        bits = value.contiguous().reshape(-1).view(torch.uint8).tolist()
        return [str(value.dtype), list(value.shape), bits]
    if isinstance(value, np.ndarray):
        return value.tolist()
    return repr(value)


def test_no_field_is_left_out():
    for kind, strategies in JOBS:
        assert {each.name for each in fields(kind)} == strategies.keys()
    for kind, strategy in ((Start, STARTS), (JobSettings, SETTINGS)):
        made = strategy.wrapped_strategy if hasattr(strategy, "wrapped_strategy") else strategy
        assert {each.name for each in fields(kind)} == set(made.kwargs)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_jobs_that_differ_in_a_field_have_other_digests(data):
    for kind, strategies in JOBS:
        job = kind(**{name: data.draw(each) for name, each in strategies.items()})
        for name, strategy in strategies.items():
            other = replace(job, **{name: data.draw(strategy)})
            is_equal = plain(getattr(other, name)) == plain(getattr(job, name))
            assert (other.digest() == job.digest()) == is_equal, name
        for inner in ("start", "settings") if kind is TrainJob else ():
            value, fresh = getattr(job, inner), data.draw(strategies[inner])
            for each in fields(value):
                mixed = replace(value, **{each.name: getattr(fresh, each.name)})
                other = replace(job, **{inner: mixed})
                assert (other.digest() == job.digest()) == (plain(mixed) == plain(value)), each.name


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_equal_jobs_have_equal_digests_however_they_lie_in_memory(data):
    for kind, strategies in JOBS:
        job = kind(**{name: data.draw(each) for name, each in strategies.items()})
        twin = replace(job, samples=np.repeat(job.samples.astype(np.int32), 2)[::2])
        if kind is EvaluationJob:
            twin = replace(twin, tensors=spread(job.tensors))
        else:
            start = replace(
                job.start,
                tensors=spread(job.start.tensors),
                client_outputs=spread(job.start.client_outputs),
            )
            twin = replace(twin, start=start)
        assert twin.digest() == job.digest()


def spread(tensors):
    """The same tensors, in another order, every other number in memory, with a gradient."""
    twins = {}
    for name, value in reversed(tensors.items()):
        wide = torch.stack([value, torch.zeros_like(value)], dim=-1)
        twins[name] = wide[..., 0].requires_grad_()
    return twins


_ELSEWHERE = """
import numpy as np, torch
from fl.training.job import EvaluationJob
job = EvaluationJob(model_key="key", tensors={name: torch.ones(2) for name in "cab"}, table="test",
                    samples=np.arange(3), batch_size=2)
print(job.digest())
"""


def test_the_digest_is_the_same_in_every_process():
    job = EvaluationJob(
        model_key="key",
        tensors={name: torch.ones(2) for name in "abc"},
        table="test",
        samples=np.arange(3),
        batch_size=2,
    )
    told = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == job.digest()
