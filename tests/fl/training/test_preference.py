"""Direct preference optimisation: by hand, against trl, and at its optimum in closed form."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from datasets import Dataset

from fl.clients.work import Work
from fl.data.shards import GivenShards, Shard
from fl.global_generators import seeded_generators
from fl.models.language import LanguageModel
from fl.training.cost import CostModel
from fl.training.preference import PreferenceOptimisation, preference_losses
from tests.fl.fakes import answers, classifier
from tests.fl.models import zoo
from tests.fl.training.alignment import SETTINGS, aligned, moved
from tests.fl.training.test_policy_against_trl import Recorded, small_llama
from tests.fl.training.test_policy_optimisation import same

KL_WEIGHT = 0.4


def pairs(num_texts=12):
    """Prompts with an answer, and a worse one of other tokens and another length."""
    better = answers(num_texts)
    texts = [better.tokens.prompt_and_answer(index) for index in range(num_texts)]
    rng = np.random.default_rng(4)
    worse = [
        [*prompt, *rng.integers(3, 50, size=1 + index % 4)]
        for index, (prompt, _) in enumerate(texts)
    ]
    table = replace(
        better.tokens,
        ids=np.concatenate(worse).astype(np.int32),
        offsets=np.concatenate([[0], np.cumsum([len(text) for text in worse])]),
    )
    return replace(better, rejected=table)


def preferring(module=None, *, train=None, names=None, settings=SETTINGS, kl_weight=KL_WEIGHT):
    """Return (procedure, worker, job) of a client that learns from pairs."""
    train = pairs() if train is None else train
    _, worker, job = aligned(module, train=train, names=names, settings=settings)
    procedure = PreferenceOptimisation(
        settings=settings, kl_weight=kl_weight, method=worker.method, train=train
    )
    return procedure, worker, job


def test_losses_by_hand():
    new = torch.tensor([[-1.0, -2.0], [-1.0, 0.0], [-3.0, -1.0], [-2.0, 0.0]])
    reference = torch.tensor([[-2.0, -2.0], [-1.5, 0.0], [-1.0, -1.0], [-2.0, 0.0]])
    found = preference_losses(new, reference, kl_weight=0.5)
    wanted = [math.log(1 + math.exp(-0.5 * each)) for each in (1.0 + 2.0, 0.5 - 0.0)]
    assert found.tolist() == pytest.approx(wanted)


def test_result_is_a_function_of_the_job_alone():
    procedure, worker, job = preferring()
    job = moved(job)
    first = procedure.run(job, worker)
    torch.rand(3)
    other = procedure.run(replace(job, seed=8), worker)
    again = procedure.run(job, worker)
    assert same(first.tensors, again.tensors)
    assert (first.mean_loss, first.rms_loss) == (again.mean_loss, again.rms_loss)
    assert not same(first.tensors, other.tensors)
    assert (first.num_steps, first.num_samples) == (3, 12)


def test_steps_of_its_own_go_before_those_of_training():
    procedure, worker, job = preferring()
    own = replace(procedure, num_steps=2)
    epochs = replace(own, settings=replace(SETTINGS, local_steps=None, local_epochs=5))
    for each in (own, epochs):
        assert len(each.plan(job.samples, seed=1).steps) == 2
    assert own.run(job, worker).num_steps == 2


def test_first_loss_of_the_reference_is_log_2():
    procedure, worker, job = preferring(settings=replace(SETTINGS, local_steps=1))
    found = procedure.run(job, worker)
    assert found.mean_loss == pytest.approx(math.log(2))
    assert found.rms_loss == pytest.approx(math.log(2))


def test_loss_and_gradient_are_those_of_trl(monkeypatch, tmp_path):
    import trl  # noqa: PLC0415 -- slow to import

    causal = small_llama()
    reference = copy.deepcopy(causal)
    module = LanguageModel(causal)
    names = [name for name, _ in module.named_parameters() if "layers.1." in name]
    procedure, worker, job = preferring(
        module, names=names, settings=replace(SETTINGS, local_steps=1, batch_size=5)
    )
    job = moved(job, scale=0.3)
    recorded = Recorded(monkeypatch)
    procedure.run(job, worker)
    worker.load(job.start.tensors)
    tokenizer = zoo.tokenizer(is_decoder=True)
    tokenizer.pad_token = "[PAD]"
    args = trl.DPOConfig(
        str(tmp_path),
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        report_to=[],
        disable_tqdm=True,
        beta=KL_WEIGHT,
        precompute_ref_log_probs=False,
    )
    rows = {"prompt": ["a"], "chosen": ["b"], "rejected": ["c"]}
    with seeded_generators(3):
        trainer = trl.DPOTrainer(
            copy.deepcopy(causal),
            copy.deepcopy(reference),
            args=args,
            processing_class=tokenizer,
            train_dataset=Dataset.from_dict(rows),
        )
    (batch,) = procedure.plan(job.samples, seed=job.seed).steps
    texts = [
        table.prompt_and_answer(int(index))
        for table in (worker.train.tokens, worker.train.rejected)
        for index in batch
    ]
    longest = max(len(prompt) + len(own) for prompt, own in texts)
    ids, mask, written = torch.zeros((3, 10, longest), dtype=torch.int64)
    for row, (prompt, own) in enumerate(texts):
        length = len(prompt) + len(own)
        ids[row, :length] = torch.tensor([*prompt, *own])
        mask[row, :length] = 1
        written[row, len(prompt) : length] = 1
    model = trainer.model.train()
    parameters = [model.get_parameter(name.replace("encoder.", "model.", 1)) for name in names]
    for parameter in parameters:
        parameter.requires_grad_(True)
    loss = trainer._compute_loss(
        model,
        {"input_ids": ids, "attention_mask": mask, "completion_mask": written},
        return_outputs=False,
    )
    assert recorded.losses[0] == pytest.approx(loss.item(), abs=2e-6)
    assert abs(loss.item() - math.log(2)) > 1e-2
    for name, wanted in zip(names, torch.autograd.grad(loss, parameters), strict=True):
        assert torch.allclose(recorded.gradients[0][name], wanted, rtol=1e-3, atol=1e-6), name


def test_two_tokens_end_where_the_odds_are_those_of_the_preferences():
    """Three of four pairs prefer one token: its log-odds move by log(3) / kl_weight."""
    better = answers(4)
    prompt = [5, 7]
    chosen, rejected = [[*prompt, 8]] * 3 + [[*prompt, 9]], [[*prompt, 9]] * 3 + [[*prompt, 8]]

    def table(texts):
        return replace(
            better.tokens,
            ids=np.concatenate(texts).astype(np.int32),
            offsets=np.arange(5) * 3,
            answer_starts=np.full(4, 2, dtype=np.int32),
        )

    train = replace(better, tokens=table(chosen), rejected=table(rejected))
    procedure, worker, job = preferring(
        train=train,
        names=["lm_head.weight"],
        settings=replace(SETTINGS, local_steps=200, batch_size=4, learning_rate=0.03),
        kl_weight=0.5,
    )

    def log_odds():
        with torch.no_grad():
            ids = torch.tensor([prompt])
            scores = worker.module(ids, torch.ones_like(ids))[0, -1]
        return float(scores[8] - scores[9])

    worker.load(job.start.tensors)
    before = log_odds()
    found = procedure.run(job, worker)
    worker.load(found.tensors)
    assert log_odds() - before == pytest.approx(math.log(3) / 0.5, abs=0.02)


def test_work_is_of_both_answers_in_both_models():
    procedure, worker, job = preferring()
    plan = procedure.plan(job.samples, seed=1)
    cost = CostModel(worker.module, max_tokens=20)
    wanted = 0
    for batch in plan.steps:
        texts = [
            table.prompt_and_answer(int(index))
            for table in (worker.train.tokens, worker.train.rejected)
            for index in batch
        ]
        shape = {
            "batch_size": len(texts),
            "num_tokens": max(len(prompt) + len(own) for prompt, own in texts),
            "num_asked": sum(len(own) for _, own in texts),
            "tensors": job.start.tensors,
        }
        wanted += cost.step_flop((), **shape) + cost.step_flop(job.start.trainable, **shape)
    assert procedure.work(plan, job.start, cost).flop == wanted


def test_the_largest_step_has_the_most_pairs_of_the_longest_texts():
    procedure, worker, job = preferring()
    cost, start = CostModel(worker.module, max_tokens=20), job.start
    shards = GivenShards([Shard(train=job.samples, test=job.samples[:1])])
    found = procedure.largest(shards, start, cost)
    tables = (worker.train.tokens, worker.train.rejected)
    longest = max(int(table.lengths.max()) for table in tables)
    assert (found.num_texts, found.num_tokens) == (8, longest)
    step = cost.count(
        start.trainable,
        batch_size=8,
        num_tokens=longest,
        num_asked=4 * sum(int(table.answer_lengths.max()) for table in tables),
        tensors=start.tensors,
    )
    trained_bytes = sum(each.nbytes for each in start.tensors.values())
    assert found.step.memory_bytes() == step.memory_bytes() + trained_bytes
    assert found.writing == Work()


def test_what_cannot_be_learned_from_is_refused():
    procedure, worker, job = preferring()
    bare = replace(procedure, train=replace(procedure.train, rejected=None))
    with pytest.raises(ValueError, match=r"^data\.rejected: "):
        bare.run(job, worker)
    with pytest.raises(ValueError, match=r"^settings: "):
        procedure.run(replace(job, settings=replace(SETTINGS, batch_size=2)), worker)
    with pytest.raises(TypeError, match=r"^module: must be a language model"):
        procedure.run(job, replace(worker, module=classifier()))
