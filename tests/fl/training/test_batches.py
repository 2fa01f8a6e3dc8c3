"""Which texts form which batch."""

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fl.data.table import TextTable
from fl.models.backbone import load_backbone
from fl.models.config import ModelConfig
from fl.training.batches import Examples, plan_batches
from tests.fl.fakes import answers, examples


@given(
    num_texts=st.integers(1, 30),
    batch_size=st.integers(1, 12),
    local_steps=st.integers(1, 20),
    seed=st.integers(0, 5),
)
def test_batches_by_steps_use_texts_evenly(num_texts, batch_size, local_steps, seed):
    samples = 100 + np.arange(num_texts)
    batches = plan_batches(
        samples, batch_size=batch_size, local_steps=local_steps, local_epochs=None, seed=seed
    )
    assert len(batches) == local_steps
    assert {len(batch) for batch in batches} == {min(batch_size, num_texts)}
    assert all(len(np.unique(batch)) == len(batch) for batch in batches)
    counts = np.bincount(np.concatenate(batches) - 100, minlength=num_texts)
    assert counts.max() - counts.min() <= 1


@given(num_texts=st.integers(1, 30), batch_size=st.integers(1, 12), epochs=st.integers(1, 4))
def test_batches_by_epochs_cover_every_text_each_time(num_texts, batch_size, epochs):
    batches = plan_batches(
        np.arange(num_texts), batch_size=batch_size, local_steps=None, local_epochs=epochs, seed=1
    )
    counts = np.bincount(np.concatenate(batches), minlength=num_texts)
    assert set(counts) == {epochs}
    assert len(batches) == epochs * math.ceil(num_texts / min(batch_size, num_texts))


def test_length_of_a_job_must_be_given_once():
    with pytest.raises(ValueError, match="give exactly one"):
        plan_batches(np.arange(3), batch_size=2, local_steps=1, local_epochs=1, seed=0)
    with pytest.raises(ValueError, match="at least 1 text"):
        plan_batches(np.arange(0), batch_size=2, local_steps=1, local_epochs=None, seed=0)


def planned(**settings):
    return plan_batches(
        np.arange(10, 17), **{"local_steps": None, "local_epochs": None, **settings}
    )


def test_passes_are_shuffled_anew_and_follow_from_the_seed():
    first, second = (
        np.concatenate(planned(batch_size=7, local_epochs=2, seed=seed)) for seed in (3, 4)
    )
    assert sorted(first[:7]) == sorted(first[7:]) == list(range(10, 17))
    assert first[:7].tolist() != first[7:].tolist()
    assert first.tolist() != second.tolist()
    again = np.concatenate(planned(batch_size=7, local_epochs=2, seed=3))
    assert again.tolist() == first.tolist()


def test_the_last_batch_of_a_pass_is_smaller_by_epochs_and_filled_by_steps():
    assert [len(batch) for batch in planned(batch_size=3, local_epochs=2, seed=0)] == [3, 3, 1] * 2
    by_steps = planned(batch_size=3, local_steps=5, seed=0)
    assert [len(batch) for batch in by_steps] == [3] * 5
    # Of seven texts, the first seven drawn are one whole pass, the next seven another.
    drawn = np.concatenate(by_steps)
    assert sorted(drawn[:7]) == sorted(drawn[7:14]) == list(range(10, 17))


def test_passes_that_end_with_a_batch_are_those_of_epochs():
    by_steps = plan_batches(np.arange(6), batch_size=3, local_steps=6, local_epochs=None, seed=5)
    by_epochs = plan_batches(np.arange(6), batch_size=3, local_steps=None, local_epochs=3, seed=5)
    assert [each.tolist() for each in by_steps] == [each.tolist() for each in by_epochs]


def test_a_batch_is_padded_to_its_longest_text():
    table = examples(20)
    chosen = np.array([3, 7, 11])
    batch = table.batch(chosen)
    lengths = table.tokens.lengths[chosen]
    assert batch.input_ids.shape == (3, lengths.max())
    assert batch.attention_mask.sum(dim=1).tolist() == lengths.tolist()
    assert batch.labels.tolist() == table.labels[chosen].tolist()
    for row, text in enumerate(chosen):
        start, end = table.tokens.offsets[text : text + 2]
        assert batch.input_ids[row, : lengths[row]].tolist() == table.tokens.ids[start:end].tolist()
        assert not batch.input_ids[row, lengths[row] :].any()


def test_labels_of_prompts_are_the_tokens_of_their_answers():
    table = answers(20)
    batch = table.batch(np.array([5, 2]))
    for row, text in enumerate((5, 2)):
        start, length = table.tokens.answer_starts[text], table.tokens.lengths[text]
        asked = batch.labels[row] >= 0
        assert asked.sum() == length - start
        assert batch.labels[row][asked].tolist() == batch.input_ids[row, start:length].tolist()


def test_rejected_answers_have_the_prompts_of_the_others():
    backbone = load_backbone(
        ModelConfig(name="tiny-decoder", max_tokens=32),
        num_classes=0,
        rng=np.random.default_rng(0),
        task="generation",
    )
    keys = {"texts": ("mean(a, axis)", "plot(x)"), "labels": np.zeros(2, dtype=np.int64)}
    own, worse = ("Return the mean.", "Plot x."), ("Plot the whole of it.", "Return the mean.")
    found = Examples.of(TextTable(**keys, responses=own, rejected=worse), backbone)
    for row in range(2):
        prompt, answer = found.tokens.prompt_and_answer(row)
        same_prompt, other = found.rejected.prompt_and_answer(row)
        assert prompt == same_prompt
        assert backbone.tokenizer.decode(answer, skip_special_tokens=True) == own[row]
        assert backbone.tokenizer.decode(other, skip_special_tokens=True) == worse[row]
    assert Examples.of(TextTable(**keys, responses=own), backbone).rejected is None


def test_some_prompts_are_those_of_smallest_hash_and_more_hold_fewer():
    table = answers(200)
    texts = np.arange(40, 140)
    drawn = [table.some(texts, most=most) for most in (1, 7, 50, 99)]
    for fewer, more in itertools.pairwise(drawn):
        assert np.array_equal(more[: len(fewer)], fewer)
    assert set(drawn[1]) == set(texts[np.argsort(table.hashes[texts])][:7])
    assert table.some(texts, most=100) is texts
    assert np.array_equal(table.some(texts[::-1], most=7), drawn[1])


def test_hashes_are_those_of_the_prompts_whatever_the_model():
    texts = tuple(f"mean(a{each}, axis)" for each in range(20))
    table = TextTable(
        texts=texts, responses=("Return the mean.",) * 20, labels=np.zeros(20, dtype=np.int64)
    )
    drawn = []
    for max_tokens in (8, 32):
        config = ModelConfig(name="tiny-decoder", max_tokens=max_tokens)
        backbone = load_backbone(
            config, num_classes=0, rng=np.random.default_rng(0), task="generation"
        )
        drawn.append(Examples.of(table, backbone).some(np.arange(20), most=5))
    assert np.array_equal(*drawn)
    other = replace(table, responses=("Otherwise.",) * 20)
    assert np.array_equal(Examples.of(other, backbone).some(np.arange(20), most=5), drawn[0])
    with pytest.raises(ValueError, match="hashes"):
        replace(Examples.of(other, backbone), hashes=None).some(np.arange(20), most=5)
