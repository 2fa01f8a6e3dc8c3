"""Virtual tokens before the text."""

import peft
import pytest
import torch

from fl.peft.prompt import add_prompt
from tests.fl.peft.architectures import tiny, tokens

KINDS = ["bert", "roberta", "gpt2", "llama", "deberta-v2"]


def with_prompt(name, *, num_tokens=5, seed=1):
    module = tiny(name)
    add_prompt(module, num_tokens=num_tokens, generator=torch.Generator().manual_seed(seed))
    return module


@pytest.mark.parametrize("name", KINDS)
def test_output_is_that_of_peft_at_the_texts_tokens(name):
    input_ids, mask = tokens()
    ours = with_prompt(name)
    settings = peft.PromptTuningConfig(
        task_type="FEATURE_EXTRACTION",
        num_virtual_tokens=5,
        token_dim=32,
        num_layers=2,
        num_attention_heads=4,
        num_transformer_submodules=1,
    )
    with torch.random.fork_rng(devices=[]):
        theirs = peft.get_peft_model(tiny(name).encoder, settings).eval()
    theirs.prompt_encoder["default"].embedding.weight.data = ours.encoder.prompt.data
    with torch.inference_mode():
        hidden = ours.encoder(input_ids=input_ids, attention_mask=mask).last_hidden_state
        expected = theirs(input_ids=input_ids, attention_mask=mask).last_hidden_state[:, 5:]
    assert hidden.shape == (2, 10, 32)
    torch.testing.assert_close(hidden, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
def test_pooling_counts_no_virtual_token(pooling):
    module = with_prompt("bert")
    module.pooling = pooling
    input_ids, mask = tokens()
    hidden = module.encoder(input_ids=input_ids, attention_mask=mask).last_hidden_state
    pooled = module.features(input_ids, mask)
    texts = [hidden[0], hidden[1, :6]]
    reduced = {"cls": lambda each: each[0], "last": lambda each: each[-1]}
    pick = reduced.get(pooling, lambda each: each.mean(dim=0))
    expected = torch.stack([pick(each) for each in texts])
    torch.testing.assert_close(pooled, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", KINDS)
def test_a_text_alone_scores_as_in_a_padded_batch(name):
    module = with_prompt(name)
    input_ids, mask = tokens()
    with torch.inference_mode():
        scores, alone = module(input_ids, mask), module(input_ids[1:, :6], mask[1:, :6])
        bare = tiny(name)(input_ids, mask)
    torch.testing.assert_close(alone, scores[1:], rtol=1e-5, atol=1e-6)
    assert not torch.allclose(scores, bare, atol=1e-4)


def test_first_values_are_embeddings_of_different_tokens():
    module = with_prompt("bert", num_tokens=20)
    words = module.encoder.base_layer.get_input_embeddings().weight
    rows = [int((words == vector).all(dim=1).nonzero()) for vector in module.encoder.prompt]
    assert len(set(rows)) == 20
    assert torch.equal(module.encoder.prompt, with_prompt("bert", num_tokens=20).encoder.prompt)
    other = with_prompt("bert", num_tokens=20, seed=2)
    assert not torch.equal(module.encoder.prompt, other.encoder.prompt)


def test_more_virtual_tokens_than_the_vocabulary_has_begin_it_anew():
    prompt = with_prompt("llama", num_tokens=61).encoder.prompt
    assert torch.equal(prompt[60], prompt[0])
