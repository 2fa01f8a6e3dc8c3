"""Probabilities of written tokens against one text at a time."""

import pytest
import torch

from fl.training.completions import Completions, log_probabilities
from tests.fl.fakes import language_model

PROMPTS = [[7, 9, 4], [15, 6], [3, 9, 4, 8]]
WRITTEN = [[5, 6, 7, 8], [], [11]]


def laid_out(*, stop_id):
    return Completions.of(
        PROMPTS,
        WRITTEN,
        num_tokens=4,
        stop_id=stop_id,
        pad_id=0,
        device=torch.device("cpu"),
    )


def test_the_token_that_ends_a_text_is_written_too():
    found = laid_out(stop_id=2)
    assert found.is_written.sum(dim=1).tolist() == [4, 1, 2]
    assert found.tokens.tolist() == [[5, 6, 7, 8], [2, 0, 0, 0], [11, 2, 0, 0]]
    assert found.input_ids[1].tolist() == [15, 6, 2, 0, 0, 0, 0]
    assert found.attention_mask.sum(dim=1).tolist() == [7, 3, 6]


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_probabilities_are_those_of_one_text_at_a_time(architecture):
    module = language_model(architecture)
    completions = laid_out(stop_id=2)
    found = log_probabilities(module, completions, temperature=0.6)
    assert found.requires_grad
    for row, (prompt, own) in enumerate(zip(PROMPTS, WRITTEN, strict=True)):
        answer = own if len(own) == 4 else [*own, 2]
        ids = torch.tensor([[*prompt, *answer]])
        scores = module(ids, torch.ones_like(ids))[0, len(prompt) - 1 : -1]
        wanted = torch.log_softmax(scores / 0.6, dim=-1)[range(len(answer)), answer]
        assert torch.allclose(found[row, : len(answer)], wanted, atol=1e-5)
        assert not found[row, len(answer) :].any()
