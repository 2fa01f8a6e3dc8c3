"""A worker's key moves with everything that decides what its jobs give."""

import dataclasses

import numpy as np
import pytest
import torch

from fl.execution.recipe import build_worker
from fl.methods.fedit.config import FeditConfig
from fl.methods.head.config import HeadConfig
from fl.training.config import TrainingConfig
from tests.fl.fakes import backbone, examples, streams


def made(config=None, *, seed=7, train=None, test=None, change=None, **training):
    base = backbone()
    if change is not None:
        base = dataclasses.replace(base, **change)
    return build_worker(
        config or HeadConfig(),
        backbone=base,
        train=examples(20) if train is None else train,
        test=examples(10) if test is None else test,
        training=TrainingConfig(local_steps=1, **training),
        streams=streams(seed),
        num_clients=3,
    )


def test_equal_arguments_make_equal_workers():
    one, other = made(FeditConfig()), made(FeditConfig())
    assert one.model_key == other.model_key
    for name, value in one.method.initial.items():
        assert torch.equal(value, other.method.initial[name])
    assert not one.module.training


@pytest.mark.parametrize(
    "changes",
    [
        {"config": HeadConfig(proximal_weight=0.5)},
        {"config": FeditConfig()},
        {"seed": 8},
        {"train": examples(20, seed=5)},
        {"test": examples(11)},
        {"change": {"digest": "another"}},
    ],
    ids="-".join,
)
def test_the_key_moves_with(changes):
    assert made(**changes).model_key != made().model_key


def test_the_key_does_not_move_with_a_label_nor_with_how_long_a_job_is():
    assert made(HeadConfig(label="first")).model_key == made(HeadConfig(label="b")).model_key
    assert made(learning_rate=0.5, batch_size=3).model_key == made().model_key


def test_labels_of_texts_count():
    table = examples(20)
    labels = table.labels.copy()
    labels[3] = (labels[3] + 1) % 3
    assert made(train=dataclasses.replace(table, labels=labels)).model_key != made().model_key
    same = dataclasses.replace(table, labels=np.array(table.labels))
    assert made(train=same).model_key == made().model_key
