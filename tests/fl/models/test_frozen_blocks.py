"""Blocks below all that is trained: run once for the same texts, to the bit, in every decoder."""

import contextlib

import pytest
import torch

import fl.training.policy_optimisation
import fl.training.preference
from fl.models.architecture import transformer_blocks
from fl.models.frozen_blocks import blocks_below, of_the_same_texts
from fl.models.language import LanguageModel
from fl.models.pretrained import load_pretrained
from fl.peft.last_blocks import last_block_names
from fl.training.policy_settings import PolicySettings
from tests.fl.fakes import language_model
from tests.fl.models import zoo
from tests.fl.training.alignment import aligned, moved
from tests.fl.training.test_preference import preferring

WITHOUT_BLOCKS = {"mamba"}
"""Models without attention have no blocks that are known."""
TEXTS = (
    torch.tensor([[7, 9, 4, 8, 11], [3, 9, 4, 0, 0]]),
    torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]),
)


def decoder(name, folder):
    loaded, _ = load_pretrained(zoo.save(folder, name), name=name, task="generation")
    module = LanguageModel(loaded)
    module.requires_grad_(requires_grad=False)
    return module.eval()


def two_passes(module, trained, *, shared):
    """Return scores of a pass with other values of what is trained, and scores and gradients."""
    parameters = {name: dict(module.named_parameters())[name] for name in trained}
    first = {name: each.data for name, each in parameters.items()}
    context = of_the_same_texts(module, trained) if shared else contextlib.nullcontext()
    with context:
        for each in parameters.values():
            each.data = 0.9 * each.data
        with torch.no_grad():
            reference = module(*TEXTS)
        for name, each in parameters.items():
            each.data = first[name]
            each.requires_grad = True
        scores = module(*TEXTS)
        gradients = torch.autograd.grad(scores.square().mean(), list(parameters.values()))
    for each in parameters.values():
        each.requires_grad = False
    return [reference, scores.detach(), *gradients]


@pytest.mark.parametrize("name", sorted(zoo.DECODERS.keys() - WITHOUT_BLOCKS))
def test_passes_are_those_of_the_whole_model(name, tmp_path):
    module = decoder(name, tmp_path)
    trained = last_block_names(module, 1)
    assert len(blocks_below(module, trained)) == 1
    whole = two_passes(module, trained, shared=False)
    shared = two_passes(module, trained, shared=True)
    assert all(torch.equal(*each) for each in zip(whole, shared, strict=True))
    assert not torch.equal(shared[0], shared[1])
    assert torch.equal(module(*TEXTS), whole[1]), "nothing of it remains"


def calls(module):
    """Count how often attention is run, block by block."""
    counts = []
    for place, block in enumerate(transformer_blocks(module)):
        counts.append(0)

        def count(*_, place=place):
            counts[place] += 1

        module.get_submodule(block.query).register_forward_hook(count)
    return counts


def test_blocks_below_are_run_once():
    module = language_model()
    counts = calls(module)
    two_passes(module, last_block_names(module, 1), shared=True)
    assert counts == [1, 2]


@pytest.mark.parametrize("extra", ["embed", "layers.0."])
def test_nothing_is_kept_above_what_is_trained(extra):
    module = language_model()
    lower = next(name for name, _ in module.named_parameters() if extra in name)
    trained = [*last_block_names(module, 1), lower]
    assert blocks_below(module, trained) == []
    counts = calls(module)
    two_passes(module, trained, shared=True)
    assert counts == [2, 2]


def test_a_pass_that_fails_leaves_the_model_as_it_was():
    module = language_model()
    wanted = module(*TEXTS)

    def fail_within():
        with of_the_same_texts(module, last_block_names(module, 1)):
            module(TEXTS[0] * 0 + 5, TEXTS[1])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_within()
    assert torch.equal(module(*TEXTS), wanted)


@pytest.mark.parametrize("algorithm", ["grpo", "rloo", "ppo", "pairs"])
def test_jobs_are_those_of_whole_passes(algorithm, monkeypatch):
    def trained():
        if algorithm == "pairs":
            procedure, worker, job = preferring()
        else:
            policy = PolicySettings(algorithm=algorithm, max_new_tokens=8, num_epochs=2)
            procedure, worker, job = aligned(policy=policy)
        counts = calls(worker.module)
        result = procedure.run(moved(job), worker)
        return result, counts

    shared, few = trained()
    for place in (fl.training.policy_optimisation, fl.training.preference):
        monkeypatch.setattr(place, "of_the_same_texts", lambda *_: contextlib.nullcontext())
    whole, many = trained()
    assert few[0] < few[1] == many[1] == many[0]
    assert shared.mean_loss == whole.mean_loss
    assert all(torch.equal(each, whole.tensors[name]) for name, each in shared.tensors.items())
