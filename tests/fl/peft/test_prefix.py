"""Keys and values before those of the text."""

import math

import pytest
import torch
import transformers

from fl.peft.prefix import add_prefix
from tests.fl.fakes import roberta_base_on_meta
from tests.fl.peft.architectures import tiny, tokens

KINDS = ["bert", "roberta", "gpt2", "llama"]


def with_prefix(name, *, num_tokens=5, projection_dim=None, seed=1):
    module = tiny(name)
    generator = torch.Generator().manual_seed(seed)
    names = add_prefix(
        module, num_tokens=num_tokens, projection_dim=projection_dim, generator=generator
    )
    parameters = dict(module.named_parameters())
    for added in names:  # larger than at the start, so that an error shows
        parameters[added].data.normal_(generator=generator)
    return module, names


def numbers(module, names):
    parameters = dict(module.named_parameters())
    return sum(parameters[name].numel() for name in names)


@pytest.mark.parametrize("name", ["gpt2", "llama"])
@pytest.mark.parametrize("projection_dim", [None, 7])
def test_output_is_that_of_a_decoder_whose_cache_holds_the_prefix(name, projection_dim):
    module, _ = with_prefix(name, num_tokens=5, projection_dim=projection_dim)
    plain, prefix = tiny(name).encoder, module.encoder.prefix
    heads = 2 if name == "llama" else 4  # two of LLaMA's four query heads share a key
    input_ids, mask = tokens()
    cache = transformers.DynamicCache(config=plain.config)
    with torch.no_grad():
        states = prefix(torch.arange(5)).view(1, 5, 4, heads, 8).expand(2, -1, -1, -1, -1)
        for layer in range(2):
            keys, values = states[:, :, 2 * layer], states[:, :, 2 * layer + 1]
            cache.update(keys.transpose(1, 2), values.transpose(1, 2), layer)
        expected = plain(
            input_ids=input_ids,
            attention_mask=torch.cat([torch.ones_like(mask[:, :5]), mask], dim=1),
            position_ids=torch.arange(10).expand(2, -1),
            past_key_values=cache,
        ).last_hidden_state
        hidden = module.encoder(input_ids=input_ids, attention_mask=mask).last_hidden_state
    visible = mask.bool()
    torch.testing.assert_close(hidden[visible], expected[visible], rtol=1e-5, atol=1e-5)


def test_first_attention_layer_of_bert_by_hand():
    module, _ = with_prefix("bert", num_tokens=3)
    encoder = module.encoder.base_layer
    layer = encoder.encoder.layer[0].attention.self
    seen = []
    layer.register_forward_hook(lambda *passed: seen.append((passed[1], passed[2][0])))
    input_ids, mask = tokens()
    with torch.no_grad():
        module.encoder(input_ids=input_ids, attention_mask=mask)
    (hidden,), context = seen[0]
    rows = module.encoder.prefix.embedding.weight
    base, heads, channels = layer.base_layer, 4, 8
    for text, length in enumerate((10, 6)):
        words = hidden[text, :length]
        keys = torch.cat([rows[:, :32], base.key(words)])
        values = torch.cat([rows[:, 32:64], base.value(words)])
        for head in range(heads):
            part = slice(head * channels, (head + 1) * channels)
            scores = base.query(words)[:, part] @ keys[:, part].T / math.sqrt(channels)
            expected = scores.softmax(dim=-1) @ values[:, part]
            torch.testing.assert_close(context[text, :length, part], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("projection_dim", [None, 7])
def test_a_text_alone_scores_as_in_a_padded_batch(name, projection_dim):
    module, _ = with_prefix(name, projection_dim=projection_dim)
    input_ids, mask = tokens()
    with torch.inference_mode():
        scores, alone = module(input_ids, mask), module(input_ids[1:, :6], mask[1:, :6])
        bare = tiny(name)(input_ids, mask)
    torch.testing.assert_close(alone, scores[1:], rtol=1e-5, atol=1e-6)
    assert not torch.allclose(scores, bare, atol=1e-4)


@pytest.mark.parametrize("name", KINDS)
def test_every_added_number_learns(name):
    module, names = with_prefix(name, projection_dim=7)
    module(*tokens()).square().sum().backward()
    for added in names:
        assert module.get_parameter(added).grad.abs().max() > 0


@pytest.mark.parametrize("name", KINDS)
def test_a_prefix_that_nobody_looks_at_changes_nothing(name):
    """Keys far from every query take no attention: the text has kept its positions."""
    module, _ = with_prefix(name, num_tokens=1)
    input_ids, mask = tokens()
    with torch.no_grad():
        rows = module.encoder.prefix.embedding.weight
        rows.zero_()
        scores_zero = module(input_ids, mask)
        for attention in _attentions(module):
            _hide_prefix(attention)
        scores = module(input_ids, mask)
        bare = tiny(name)(input_ids, mask)
    assert not torch.allclose(scores_zero, bare, atol=1e-5)
    torch.testing.assert_close(scores, bare, rtol=1e-5, atol=1e-6)


def _attentions(module):
    return [each for each in module.modules() if type(each).__name__ == "PrefixedAttention"]


def _hide_prefix(attention):
    def hide(_, args, kwargs):
        mask = kwargs["attention_mask"].clone()
        mask[..., :1] = torch.finfo(mask.dtype).min
        return args, {**kwargs, "attention_mask": mask}

    attention.base_layer.register_forward_pre_hook(hide, with_kwargs=True)


def test_numbers_on_roberta_base():
    generator, layers, width, tokens, hidden = torch.Generator(), 12, 768, 16, 512
    module = roberta_base_on_meta()
    names = add_prefix(module, num_tokens=tokens, projection_dim=None, generator=generator)
    assert numbers(module, names) == 2 * layers * tokens * width == 294_912
    module = roberta_base_on_meta()
    names = add_prefix(module, num_tokens=tokens, projection_dim=hidden, generator=generator)
    network = width * hidden + hidden + (hidden + 1) * 2 * layers * width
    assert numbers(module, names) == tokens * width + network


def test_starts_come_from_the_generator_alone():
    state = torch.random.get_rng_state()
    made = []
    for seed in (1, 1, 2):
        module = tiny("bert")
        add_prefix(
            module,
            num_tokens=400,
            projection_dim=None,
            generator=torch.Generator().manual_seed(seed),
        )
        made.append(module.encoder.prefix.embedding.weight.detach())
    assert torch.equal(torch.random.get_rng_state(), state)
    first, again, other = made
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert abs(float(first.std()) / 0.02 - 1) < 0.02  # 51,200 numbers: 6 standard errors


def test_attention_that_takes_no_cache_is_refused():
    module = tiny("deberta-v2")
    with pytest.raises(
        ValueError, match=r"^model\.name: prefixes need .*; DebertaV2Model has none$"
    ):
        add_prefix(module, num_tokens=3, projection_dim=None, generator=torch.Generator())


def test_fused_attention_is_refused():
    module = tiny("bert")
    module.encoder.config._attn_implementation = "sdpa"
    with pytest.raises(ValueError, match=r"^module: attention must be eager, got sdpa$"):
        add_prefix(module, num_tokens=3, projection_dim=None, generator=torch.Generator())
