"""Evaluation: batching by length changes no score; what a language model writes is compared."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn import functional

from fl.models.rouge import rouge_l
from fl.training.evaluate import run_evaluation, sum_scores
from fl.training.job import EvaluationJob
from fl.training.worker import Worker
from tests.fl.fakes import answers, examples, install, language_model


def worker_of(table, module=None):
    method, module = install("fedit", module)
    generator = torch.Generator().manual_seed(1)
    model = {
        name: value + 0.3 * torch.randn(value.shape, generator=generator)
        for name, value in method.initial.items()
    }
    other = examples(5, seed=3)
    worker = Worker(module=module, method=method, train=table, test=other, model_key="key")
    return worker, model


def scores_of(worker, model, indices, **options):
    job = EvaluationJob(model_key="key", tensors=model, table="train", samples=indices, **options)
    return run_evaluation(job, worker).scores


INDICES = np.array([40, 3, 3, *range(10, 30), 8, 2])


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_answers_are_those_of_one_text_at_a_time(batch_size):
    table = examples(50)
    worker, model = worker_of(table)
    scores = scores_of(worker, model, INDICES, batch_size=batch_size)
    expected = []
    for index in INDICES:
        batch = table.batch(np.array([index]))
        found = worker.module(batch.input_ids, batch.attention_mask)
        expected.append(bool(found.argmax() == batch.labels))
    assert scores["right"].tolist() == expected
    assert len(set(expected)) == 2
    assert scores["texts"].tolist() == [1.0] * len(INDICES)


@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_nats_are_those_of_the_answers_of_one_text_at_a_time(batch_size):
    table = answers(50)
    worker, model = worker_of(table, language_model())
    scores = scores_of(worker, model, INDICES, batch_size=batch_size)
    for row, index in enumerate(INDICES):
        prompt, answer = table.tokens.prompt_and_answer(int(index))
        ids = torch.tensor([[*prompt, *answer]])
        found = worker.module(ids, torch.ones_like(ids))[0, len(prompt) - 1 : -1]
        nats = functional.cross_entropy(found, torch.tensor(answer), reduction="sum")
        assert scores["nats"][row] == pytest.approx(float(nats), rel=1e-5)
        assert scores["tokens"][row] == len(answer)


def test_loss_of_a_batch_is_the_mean_over_its_tokens():
    table = answers(50)
    worker, model = worker_of(table, language_model())
    scores = scores_of(worker, model, INDICES, batch_size=8)
    loss = worker.module.loss(table.batch(INDICES))
    assert float(loss) == pytest.approx(scores["nats"].sum() / scores["tokens"].sum(), rel=1e-5)


def test_writing_is_greedy_and_stops():
    module = language_model()
    first, second = [3, 9, 4], [5, 6]
    together = module.write([first, second], num_tokens=6, stop_id=None, pad_id=0)
    ids = list(first)
    for token in together[0]:
        scores = module(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.int64))
        assert int(scores[0, -1].argmax()) == token
        ids.append(token)
    assert [len(text) for text in together] == [6, 6]
    stop = together[0][2]
    stopped = module.write([first, second], num_tokens=6, stop_id=stop, pad_id=0)
    assert stopped[0] == together[0][: together[0].index(stop)]


class Words:
    """A tokenizer whose tokens are words."""

    eos_token_id = None

    def decode(self, ids, *, skip_special_tokens):
        assert skip_special_tokens
        return " ".join(f"w{token}" for token in ids)


def test_what_is_written_is_compared_with_the_answer():
    table = answers(20)
    worker, model = worker_of(table, language_model())
    worker = replace(worker, tokenizer=Words())
    scores = scores_of(worker, model, np.arange(5), batch_size=2, max_new_tokens=4)
    worker.load(model)
    for index in range(5):
        prompt, answer = table.tokens.prompt_and_answer(index)
        (own,) = worker.module.write([prompt], num_tokens=4, stop_id=None, pad_id=0)
        texts = [" ".join(f"w{token}" for token in ids) for ids in (own, answer)]
        assert scores["rouge_l"][index] == pytest.approx(rouge_l(*texts))
        assert scores["exact"][index] == (texts[0] == texts[1])
    assert scores["written"].tolist() == [1.0] * 5


@pytest.mark.parametrize("lacks", ["tokenizer", "language model"])
def test_only_a_language_model_with_a_tokenizer_writes(lacks):
    if lacks == "tokenizer":
        worker, model = worker_of(answers(20), language_model())
    else:
        worker, model = worker_of(examples(20))
        worker = replace(worker, tokenizer=Words())
    with pytest.raises(TypeError, match="module: must be a language model with a tokenizer, got"):
        scores_of(worker, model, np.arange(2), batch_size=2, max_new_tokens=4)


def test_rouge_l_by_hand():
    # Longest common subsequence "the cat mat": precision 3/3, recall 3/6.
    assert rouge_l("The cat, mat!", "the cat sat on the mat") == pytest.approx(2 / 3)
    assert rouge_l("", "the cat") == 0.0
    assert rouge_l("a dog", "a dog") == 1.0


def test_sums_go_part_by_part():
    scores = {"right": np.array([1.0, 0.0, 1.0]), "texts": np.ones(3)}
    assert sum_scores(scores, [1, 2]) == [
        {"right": 1.0, "texts": 1.0},
        {"right": 1.0, "texts": 2.0},
    ]
    assert not math.isnan(sum_scores(scores, [3])[0]["right"])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
@pytest.mark.parametrize("options", [{}, {"max_new_tokens": 3}, {"is_choice": True}])
def test_a_model_that_diverged_is_refused_in_one_line(bad, options):
    worker, model = worker_of(answers(20), language_model())
    name = next(name for name in model if name.endswith("lora_B"))
    model[name][1, 0] = bad
    with pytest.raises(FloatingPointError) as raised:
        scores_of(worker, model, np.arange(4), batch_size=2, **options)
    told = str(raised.value)
    assert told.startswith(f"evaluation: {name} of the model is not finite, training has diverged")
    assert "\n" not in told
