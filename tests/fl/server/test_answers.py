"""Texts that are kept of what models write, and what clients earn with them."""

import numpy as np
import pytest

from fl.methods.fedit.config import FeditConfig
from fl.server.answers import split_answers
from fl.server.config import GenerationConfig
from fl.server.modes.sync import run_rounds
from fl.training.job import EvaluationResult
from tests.fl.fakes import SMALLEST, federation

KEPT = GenerationConfig(max_texts=4, max_tokens=5, num_kept=2)


def played(config, **options):
    made = federation(
        config, task="generation", num_rounds=1, generation=KEPT, metrics=("rouge_l",), **options
    )
    made.env.run(until=made.env.process(run_rounds(made)))
    return made


def test_the_first_answers_of_each_set_are_kept():
    scores = {"helpfulness": np.arange(5.0), "safety": -np.arange(5.0)}
    result = EvaluationResult(scores=scores, answers=tuple("abcde"))
    first, second = split_answers(result, [np.array([7, 3, 9]), np.array([1, 2])], num_kept=2)
    assert [(a.text_id, a.text, a.helpfulness, a.safety) for a in first] == [
        (7, "a", 0.0, 0.0),
        (3, "b", 1.0, -1.0),
    ]
    assert [(a.text_id, a.text) for a in second] == [(1, "d"), (2, "e")]


def test_every_model_leaves_its_answers_at_every_evaluation():
    made = played(FeditConfig(rank=2))
    rows = made.recorder.of_answers
    expected = {(r, c, k) for r in (0, 1) for c in (None, *made.client_ids) for k in range(2)}
    assert {(row.round, row.client_id, index % 2) for index, row in enumerate(rows)} == expected
    test, train = made.worker.test.tokens, made.worker.train.tokens
    for row in rows:
        table = test if row.client_id is None else train
        prompt, _ = table.prompt_and_answer(row.text_id)
        assert row.prompt == " ".join(f"w{token}" for token in prompt)
        assert len(row.answer.split()) <= KEPT.max_tokens
        assert (row.helpfulness, row.safety) == (None, None)
    assert made.recorder.of_rewards == []


def test_scores_of_kept_answers_are_those_of_the_rewards():
    made = played(SMALLEST["pfit"])
    for row in made.recorder.of_answers:
        words = [int(word[1:]) % 2 for word in row.answer.split()]
        assert row.helpfulness == pytest.approx(np.mean([each == 0 for each in words] or [0]))
        assert row.safety == pytest.approx(np.mean([each == 1 for each in words] or [0]))


def test_nothing_is_kept_unless_asked_for():
    made = federation(
        FeditConfig(rank=2),
        task="generation",
        num_rounds=1,
        generation=GenerationConfig(max_texts=4, max_tokens=5),
        metrics=("rouge_l",),
    )
    made.env.run(until=made.env.process(run_rounds(made)))
    assert made.recorder.of_answers == []
