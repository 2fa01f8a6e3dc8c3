"""The costs of parts of jobs: each as counted shape by shape, together those of the whole."""

import numpy as np
import pytest

from fl.training.cost import CostModel
from fl.training.split_cost import SplitCost
from tests.fl.fakes import MAX_TOKENS, classifier, language_model
from tests.fl.training.test_split_count import installed


@pytest.mark.parametrize("cut_layer", [1, 2, 3])
@pytest.mark.parametrize(("make", "is_writing"), [(classifier, False), (language_model, True)])
def test_parts_of_any_shape_sum_to_the_whole(make, is_writing, cut_layer):
    module = make(layers=3)
    trainable = installed(module)
    whole = CostModel(module, max_tokens=MAX_TOKENS)
    parts = SplitCost(whole, cut_layer=cut_layer)
    for texts, tokens in ((1, 1), (3, 5), (8, MAX_TOKENS)):
        shape = {"batch_size": texts, "num_tokens": tokens}
        shape |= {"num_asked": texts if is_writing else None}
        client, before, server = (
            each.step_flop(trainable, **shape)
            for each in (parts.client, parts.before, parts.server)
        )
        assert client + server == whole.step_flop(trainable, **shape)
        assert 0 < before < client
        assert client == parts.client.count(trainable, **shape).flop  # by counting, not by fitting
    assert parts.has_all_blocks == (cut_layer == 3)
    assert parts.width(trainable, {}, is_writing=is_writing) == 32


def test_jobs_cost_the_sum_of_their_steps():
    module = classifier()
    trainable = installed(module)
    whole = CostModel(module, max_tokens=MAX_TOKENS)
    parts = SplitCost(whole, cut_layer=1)
    batches = [np.array([0, 1]), np.array([2])]
    job = {"batches": batches, "lengths": np.array([4, 9, 6])}
    found = parts.client.job_flop(trainable, **job)
    by_step = [(2, 9), (1, 6)]
    assert found == sum(
        parts.client.count(trainable, batch_size=size, num_tokens=tokens).flop
        for size, tokens in by_step
    )
    assert found + parts.server.job_flop(trainable, **job) == whole.job_flop(trainable, **job)


def test_steps_are_counted_once_for_all_parts():
    module = classifier()
    trainable = installed(module)
    whole = CostModel(module, max_tokens=MAX_TOKENS)
    parts = SplitCost(whole, cut_layer=1)
    shape = {"batch_size": 2, "num_tokens": 3}
    for part in (parts.client, parts.before, parts.server):
        part.step_flop(trainable, **shape)
    num_counted = len(whole.counted.split)
    SplitCost(whole, cut_layer=1).server.step_flop(trainable, **shape)
    assert len(whole.counted.split) == num_counted == 5
