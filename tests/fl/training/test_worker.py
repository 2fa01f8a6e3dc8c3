"""The one model in memory: what is put in, what is read out."""

import pytest
import torch

from tests.fl.training.jobs import worker_of


def test_missing_tensors_are_refused():
    worker = worker_of("fedit")
    with pytest.raises(ValueError, match="must be those that fedit installed"):
        worker.load({})


def test_values_are_put_in_and_those_to_train_are_copies():
    worker = worker_of("head")
    values = {name: torch.full_like(each, 2.5) for name, each in worker.method.initial.items()}
    (trained,) = worker.load(values, trainable=["head.bias"])
    assert trained is worker.parameters["head.bias"]
    assert trained.requires_grad
    assert not worker.parameters["head.weight"].requires_grad
    assert worker.parameters["head.weight"].data_ptr() == values["head.weight"].data_ptr()
    with torch.no_grad():
        trained += 1.0
    assert set(values["head.bias"].tolist()) == {2.5}
    read = worker.read(["head.bias"])
    assert set(read["head.bias"].tolist()) == {3.5}
    with torch.no_grad():
        trained += 1.0
    assert set(read["head.bias"].tolist()) == {3.5}


def test_nothing_is_trained_unless_it_is_named():
    worker = worker_of("head")
    worker.load(worker.method.initial, trainable=["head.bias"])
    assert worker.load(worker.method.initial) == []
    assert not any(each.requires_grad for each in worker.parameters.values())


def test_tables_and_keys():
    worker = worker_of("head")
    assert worker.table("train") is worker.train
    assert worker.table("test") is worker.test
    worker.check_key("key")
    with pytest.raises(ValueError, match="job was made for lock, worker holds key"):
        worker.check_key("lock")
