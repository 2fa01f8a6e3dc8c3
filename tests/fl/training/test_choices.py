"""Multiple choice: the answer of lowest mean loss, among those of the data or of a domain."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from fl.models.tokens import TokenTable
from fl.training.batches import Examples
from fl.training.choices import MAX_CHOICES, find_choices
from fl.training.evaluate import run_evaluation
from fl.training.job import EvaluationJob
from fl.training.worker import Worker
from tests.fl.fakes import examples, install, language_model

ANSWERS = [(7, 8, 2), (9, 2), (11, 12, 13, 2)]


def table_of(rows, domains=None):
    """Texts from pairs of prompt and answer, in tokens."""
    texts = [[*prompt, *answer] for prompt, answer in rows]
    tokens = TokenTable(
        ids=np.concatenate(texts).astype(np.int32),
        offsets=np.concatenate([[0], np.cumsum([len(text) for text in texts])]),
        pad_token_id=0,
        answer_starts=np.array([len(prompt) for prompt, _ in rows], dtype=np.int32),
    )
    labels = np.zeros(len(rows), dtype=np.int64)
    domains = None if domains is None else np.array(domains)
    return Examples(tokens=tokens, labels=labels, domains=domains)


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(5)
    prompts = [rng.integers(14, 55, size=size).tolist() for size in rng.integers(2, 7, size=24)]
    return table_of([(prompt, ANSWERS[n % 3]) for n, prompt in enumerate(prompts)])


def worker_of(train, test=None, module=None):
    method, module = install("fedit", module or language_model())
    generator = torch.Generator().manual_seed(1)
    model = {
        name: value + 0.3 * torch.randn(value.shape, generator=generator)
        for name, value in method.initial.items()
    }
    test = train if test is None else test
    return Worker(module=module, method=method, train=train, test=test, model_key="key"), model


def scores_of(worker, model, samples, *, batch_size=7):
    job = EvaluationJob(
        model_key="key",
        tensors=model,
        table="train",
        samples=samples,
        batch_size=batch_size,
        is_choice=True,
    )
    return run_evaluation(job, worker).scores


def mean_loss(worker, prompt, answer):
    ids = torch.tensor([[*prompt, *answer]])
    with torch.no_grad():
        scores = worker.module(ids, torch.ones_like(ids))[0, len(prompt) - 1 : -1]
        return float(torch.nn.functional.cross_entropy(scores, torch.tensor(answer)))


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_the_answer_of_lowest_mean_loss_is_chosen(table, batch_size):
    worker, model = worker_of(table)
    samples = np.array([5, 0, 5, *range(10, 24)])
    scores = scores_of(worker, model, samples, batch_size=batch_size)
    worker.load(model)
    expected, by_sum = [], []
    for index in samples:
        prompt, true = table.tokens.prompt_and_answer(int(index))
        losses = [mean_loss(worker, prompt, answer) for answer in ANSWERS]
        sums = [loss * len(answer) for loss, answer in zip(losses, ANSWERS, strict=True)]
        expected.append(ANSWERS[int(np.argmin(losses))] == tuple(true))
        by_sum.append(ANSWERS[int(np.argmin(sums))] == tuple(true))
    assert scores["chosen_right"].tolist() == expected
    assert 0 < sum(expected) < len(samples)
    assert by_sum != expected
    assert scores["chosen"].tolist() == [1.0] * len(samples)


def test_choices_are_those_of_the_domain(table):
    rows = [table.tokens.prompt_and_answer(index) for index in range(4)]
    answers = [(7, 2), (8, 2), (9, 2), (10, 2)]
    own = table_of(
        [(prompt, answer) for (prompt, _), answer in zip(rows, answers, strict=True)], [3, 3, 5, 5]
    )
    assert find_choices(own) == {3: ((7, 2), (8, 2)), 5: ((9, 2), (10, 2))}
    worker, model = worker_of(own)
    scores = scores_of(worker, model, np.arange(4))
    worker.load(model)
    for index, (prompt, _) in enumerate(rows):
        others = answers[:2] if index < 2 else answers[2:]
        losses = [mean_loss(worker, prompt, answer) for answer in others]
        assert scores["chosen_right"][index] == (others[int(np.argmin(losses))] == answers[index])


def test_answers_of_the_test_table_are_choices_too(table):
    other = table_of([([20, 21], (30, 2))])
    assert find_choices(table, other) == {0: tuple(sorted([*ANSWERS, (30, 2)]))}


@pytest.mark.parametrize("num_answers", [1, MAX_CHOICES + 1])
def test_free_text_is_no_choice(num_answers):
    rows = [([20, 21], (number, 2)) for number in range(3, 3 + num_answers)]
    with pytest.raises(ValueError, match=f"needs 2 to 20 distinct answers .* got {num_answers} in"):
        find_choices(table_of(rows))


def test_only_a_language_model_chooses():
    table = examples(20)
    method, module = install("fedit")
    worker = Worker(module=module, method=method, train=table, test=table, model_key="key")
    with pytest.raises(TypeError, match="module: must be a language model, got"):
        scores_of(worker, method.initial, np.arange(2))


def test_a_job_that_chooses_is_another_job(table):
    job = EvaluationJob(
        model_key="key", tensors={}, table="train", samples=np.arange(2), batch_size=4
    )
    assert job.digest() != replace(job, is_choice=True).digest()
    assert len(table.labels) == 24
