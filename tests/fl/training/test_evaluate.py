"""Evaluation: batching by length changes no answer; the summary over clients."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fl.training.evaluate import accuracy_over_clients, predict_right
from fl.training.worker import Worker
from tests.fl.fakes import examples, install


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_answers_are_those_of_one_text_at_a_time(batch_size):
    method, module = install("fedit")
    table = examples(50)
    worker = Worker(module=module, method=method, train=table, model_key="key")
    generator = torch.Generator().manual_seed(1)
    model = {
        name: value + 0.3 * torch.randn(value.shape, generator=generator)
        for name, value in method.initial.items()
    }
    indices = np.array([40, 3, 3, *range(10, 30), 8, 2])
    right = predict_right(model, worker, examples=table, indices=indices, batch_size=batch_size)
    expected = []
    for index in indices:
        batch = table.batch(np.array([index]))
        scores = module(batch.input_ids, batch.attention_mask)
        expected.append(bool(scores.argmax() == batch.labels))
    assert right.tolist() == expected
    assert len(set(expected)) == 2


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_summary_over_clients(values):
    mean, std, worst = accuracy_over_clients(values)
    assert min(values) - 1e-12 <= worst <= mean + 1e-12
    assert mean == pytest.approx(np.mean(values))
    assert std == pytest.approx(np.std(values), abs=1e-12)


def test_worst_tenth_is_at_least_one_client_and_rounds_up():
    assert accuracy_over_clients([0.5, 0.1, 0.9])[2] == 0.1
    assert accuracy_over_clients(np.arange(20) / 20)[2] == pytest.approx(0.025)
    assert accuracy_over_clients(np.arange(21) / 21)[2] == pytest.approx(1 / 21)
