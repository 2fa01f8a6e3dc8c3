"""Dropout of a job: drawn from its seed alone, gone when it ends."""

import logging
from dataclasses import replace

import pytest
import torch

from fl.execution import cohort as cohort_module
from fl.execution.cohort import CohortExecutor
from fl.execution.run_job import run_job
from fl.methods.fedit.config import FeditConfig
from fl.methods.head.config import HeadConfig
from fl.methods.pfit.config import PfitConfig
from fl.models.lora_settings import LoraSettings
from fl.training.config import TrainingConfig, find_problems, find_unsuited
from fl.training.dropout import dropout_on, dropout_places
from tests.fl.fakes import classifier, federation, language_model
from tests.fl.methods.products import play

BOTH = {"lora": LoraSettings(dropout=0.3), "backbone_dropout": 0.2}


def played(config=None, **changes):
    training = TrainingConfig(local_steps=3, batch_size=8, learning_rate=1e-2, **changes)
    made = federation(config or FeditConfig(), training=training, num_rounds=1, cohort=2)
    jobs = [job for job, _ in play(made)]
    return made, jobs


def moved(result):
    return torch.cat([value.flatten() for _, value in sorted(result.tensors.items())])


@pytest.mark.parametrize("changes", [*({key: value} for key, value in BOTH.items()), BOTH])
def test_a_job_drops_the_same_wherever_it_runs(changes):
    made, (job, other) = played(**changes)
    first = run_job(job, made.worker)
    torch.rand(17)  # another place in the global stream
    run_job(other, made.worker)
    again = run_job(job, made.worker)
    assert torch.equal(moved(first), moved(again))
    assert (first.mean_loss, first.rms_loss) == (again.mean_loss, again.rms_loss)
    seeded = run_job(replace(job, seed=job.seed + 1), made.worker)
    assert not torch.equal(moved(first), moved(seeded))
    plain, (same, _) = played()
    assert not torch.equal(moved(first), moved(run_job(same, plain.worker)))
    assert not any(part.training for part in made.worker.module.modules())


@pytest.mark.parametrize("make", [classifier, language_model])
def test_the_backbone_drops_so_much_while_it_trains_and_nothing_afterwards(make):
    module = make().eval()
    places = dropout_places(module)
    before = [getattr(part, name) for part, name in places]
    ids = torch.arange(24).reshape(2, 12)
    asked = () if make is classifier else ((torch.tensor([0, 1]), torch.tensor([5, 5])),)
    plain = module(ids, torch.ones_like(ids), *asked)
    with dropout_on(module, backbone=0.5):
        assert {getattr(part, name) for part, name in places} == {0.5}
        seen = [module(ids, torch.ones_like(ids), *asked) for _ in range(2)]
    assert not torch.equal(*seen)
    assert not torch.equal(seen[0], plain)
    assert [getattr(part, name) for part, name in places] == before
    assert torch.equal(module(ids, torch.ones_like(ids), *asked), plain)
    with dropout_on(module, backbone=0.0):
        assert torch.equal(module(ids, torch.ones_like(ids), *asked), plain)


def test_features_below_a_head_are_dropped_anew_in_every_pass():
    made, (job, _) = played(HeadConfig(), backbone_dropout=0.5)
    dropped = run_job(job, made.worker)
    plain, (same, _) = played(HeadConfig())
    assert dropped.mean_loss != pytest.approx(run_job(same, plain.worker).mean_loss, rel=1e-3)


def test_a_cohort_runs_such_jobs_one_by_one_to_the_bit(caplog):
    cohort_module._tell.cache_clear()
    made, jobs = played(**BOTH)
    executor = CohortExecutor(made.worker)
    handles = [executor.submit(job) for job in jobs]
    with caplog.at_level(logging.WARNING):
        found = [handle.result() for handle in handles]
    assert "what is dropped is drawn for each job" in caplog.text
    for job, each in zip(jobs, found, strict=True):
        assert torch.equal(moved(each), moved(run_job(job, made.worker)))


def test_what_cannot_act_is_refused():
    def rules(config, *methods):
        return [(each.path[-1], each.message) for each in find_problems(config, methods=methods)]

    lora = TrainingConfig(local_steps=1, lora=LoraSettings(rank_stabilised=True, dropout=0.1))
    assert [key for key, _ in rules(lora, HeadConfig())] == ["rank_stabilised", "dropout"]
    assert rules(lora, HeadConfig(), FeditConfig()) == []
    backbone = TrainingConfig(local_steps=1, backbone_dropout=0.1)
    assert list(find_unsuited(backbone, method=FeditConfig())) == []
    (problem,) = find_unsuited(backbone, method=PfitConfig())
    assert problem.path[-1] == "backbone_dropout"
    assert problem.message.startswith("must be 0: pfit compares with a reference")
