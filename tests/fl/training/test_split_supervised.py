"""What crosses the cut in every step, by hand."""

import numpy as np
import pytest

from fl.methods.fedit.config import FeditConfig
from fl.methods.splitlora.config import SplitloraConfig
from fl.training.config import TrainingConfig
from tests.fl.fakes import federation

WIDTH = 32


def job_of(played, client_id=0):
    method, state = played.method, played.method.initial_state()
    download = method.download(state, client_id=client_id)
    start = method.start(download, method.initial_personal(client_id), version=0)
    plan = played.procedure.plan(played.shards[client_id].train, seed=5)
    return plan, start


@pytest.mark.parametrize(("activations", "size"), [("fp32", 4), ("fp16", 2), ("bf16", 2)])
def test_bytes_of_texts_that_are_classified(activations, size):
    played = federation(SplitloraConfig(activations=activations))
    plan, start = job_of(played)
    lengths = played.worker.train.tokens.lengths
    for batch, made in zip(
        plan.steps, played.procedure.exchanges(plan, start, played.cost), strict=True
    ):
        numbers = len(batch) * lengths[batch].max() * WIDTH
        assert made.downlink_bytes == numbers * size
        # A length and a class of each text.
        assert made.uplink_bytes == numbers * size + 2 * len(batch) * 4


def test_with_all_blocks_at_the_client_pooled_vectors_go_up():
    played = federation(SplitloraConfig(cut_layer=2))
    plan, start = job_of(played)
    for batch, made in zip(
        plan.steps, played.procedure.exchanges(plan, start, played.cost), strict=True
    ):
        assert made.downlink_bytes == len(batch) * WIDTH * 4
        assert made.uplink_bytes == made.downlink_bytes + len(batch) * 4


@pytest.mark.parametrize("cut_layer", [1, 2])
def test_bytes_of_texts_that_are_written(cut_layer):
    played = federation(SplitloraConfig(cut_layer=cut_layer), task="generation")
    plan, start = job_of(played)
    tokens = played.worker.train.tokens
    for batch, made in zip(
        plan.steps, played.procedure.exchanges(plan, start, played.cost), strict=True
    ):
        num_asked = tokens.answer_lengths[batch].sum()
        if cut_layer == 1:
            vectors, others = len(batch) * tokens.lengths[batch].max(), num_asked + 2 * len(batch)
        else:
            vectors = others = num_asked
        assert made.downlink_bytes == vectors * WIDTH * 4
        assert made.uplink_bytes == made.downlink_bytes + others * 4


@pytest.mark.parametrize("task", ["classification", "generation"])
@pytest.mark.parametrize("cut_layer", [1, 2])
def test_both_sides_compute_what_a_client_alone_would(task, cut_layer):
    alone = federation(FeditConfig(), task=task)
    played = federation(SplitloraConfig(cut_layer=cut_layer), task=task)
    plan, start = job_of(played)
    made = played.procedure.exchanges(plan, start, played.cost)
    work = played.procedure.work(plan, start, played.cost)
    whole = alone.procedure.work(*job_of(alone), alone.cost)
    assert work.flop == sum(each.before.flop + each.after.flop for each in made)
    assert work.flop + sum(each.server_flop for each in made) == whole.flop
    assert all(each.before.flop > 0 and each.after.flop > 0 for each in made)
    samples = [played.shards[each].train for each in range(4)]
    works = played.procedure.works(samples, start, played.cost, seed=5)
    assert works[0] == work


def test_each_pass_of_a_step_crosses_the_cut():
    training = TrainingConfig(local_steps=2, batch_size=8, micro_batch_size=3)
    alone = federation(FeditConfig(), training=training)
    played = federation(SplitloraConfig(), training=training)
    plan, start = job_of(played)
    made = played.procedure.exchanges(plan, start, played.cost)
    assert [(each.uplink_bytes - each.downlink_bytes) // 8 for each in made] == [3, 3, 2] * 2
    work = played.procedure.work(plan, start, played.cost)
    assert work.flop == sum(each.before.flop + each.after.flop for each in made)
    whole = alone.procedure.work(*job_of(alone), alone.cost)
    assert work.flop + sum(each.server_flop for each in made) == whole.flop


def test_the_server_takes_the_time_of_its_operations():
    settings = {"server_flop_per_s": 2e9}
    played = federation(SplitloraConfig(**settings))
    plan, start = job_of(played)
    for made in played.procedure.exchanges(plan, start, played.cost):
        assert made.server_s == made.server_flop / 2e9 > 0
    played = federation(SplitloraConfig())
    assert {each.server_s for each in played.procedure.exchanges(*job_of(played), played.cost)} == {
        0.0
    }


def test_the_largest_step_is_that_of_the_client():
    alone, played = (federation(each).facts() for each in (FeditConfig(), SplitloraConfig()))
    assert played.largest_step_flop < alone.largest_step_flop
    assert played.peak_memory_bytes < alone.peak_memory_bytes
    assert (played.largest_batch, played.longest_text) == (alone.largest_batch, alone.longest_text)


def test_plans_are_those_of_a_client_alone():
    alone, played = federation(FeditConfig()), federation(SplitloraConfig())
    for one, other in zip(job_of(alone)[0].steps, job_of(played)[0].steps, strict=True):
        np.testing.assert_array_equal(one, other)
