"""Sparse attention: dense where the window covers the text, else exactly what is in sight."""

import pytest
import torch

from fl.models.attention_window import AttentionWindow
from fl.models.language import LanguageModel
from fl.models.pretrained import load_pretrained
from fl.models.sparse_attention import use_sparse_attention, visible
from fl.problems import ModelError
from tests.fl.fakes import install, language_model
from tests.fl.models import zoo
from tests.fl.models.test_sampling import LIMITS, PROMPTS, spread, without_cache

SMALL = AttentionWindow(window=3, num_first=2)
REFUSED = {"bloom", "mamba", "mistral", "gemma2"}
"""Models whose attention is sparse by itself, or that take no other mask than that of padding."""


def batch():
    ids = torch.tensor([[7, 9, 4, 8, 11, 30, 22, 5, 6], [3, 9, 4, 15, 6, 2, 0, 0, 0]])
    mask = torch.ones_like(ids)
    mask[1, 6:] = 0
    return ids, mask


def sees(query, key, attention):
    return key <= query and (query - key < attention.window or key < attention.num_first)


@pytest.mark.parametrize("num_tokens", [1, 2, 4, 5, 6, 30])
@pytest.mark.parametrize(("window", "num_first"), [(1, 0), (3, 2), (4, 0), (1, 5)])
def test_pairs_are_those_in_sight(window, num_first, num_tokens):
    attention = AttentionWindow(window=window, num_first=num_first)
    pairs = [
        [sees(query, key, attention) for key in range(num_tokens)] for query in range(num_tokens)
    ]
    count = sum(map(sum, pairs))
    assert attention.attended_pairs(num_tokens) == count
    assert attention.keys_of(num_tokens) == sum(pairs[-1])
    share = count / (num_tokens * (num_tokens + 1) / 2)
    assert attention.attended_fraction(num_tokens) == pytest.approx(share)
    mask = torch.ones((1, num_tokens), dtype=torch.bool)
    assert visible(mask, num_tokens, attention)[0].tolist() == pairs
    last = visible(mask, 1, attention)[0]
    assert last.tolist() == pairs[-1:]


def test_padding_is_never_seen_and_is_no_first_token():
    mask = torch.tensor([[0, 0, 1, 1, 1, 1, 1]], dtype=torch.bool)
    found = visible(mask, 7, AttentionWindow(window=2, num_first=1))[0]
    assert found[6].tolist() == [False, False, True, False, False, True, True]
    assert found[3].tolist() == [False, False, True, True, False, False, False]
    flipped = visible(mask.flip(1), 7, AttentionWindow(window=2, num_first=1))[0]
    assert flipped[4].tolist() == [True, False, False, True, True, False, False]


@pytest.mark.parametrize("name", sorted(zoo.DECODERS))
def test_any_architecture_is_dense_where_the_window_covers_or_is_refused(name, tmp_path):
    folder = zoo.save(tmp_path, name)
    causal, _ = load_pretrained(str(folder), name=name, task="generation")
    module = spread(LanguageModel(causal), scale=4.0).eval()
    ids, mask = batch()
    with torch.inference_mode():
        dense = module(ids, mask)
    written = module.write(PROMPTS, **LIMITS)
    names = [each for each, _ in module.named_parameters()]
    if name in REFUSED:
        with pytest.raises(ModelError, match=r"^attention: .*Model "):
            use_sparse_attention(module, window=20, num_first=0)
        with torch.inference_mode():
            assert torch.equal(module(ids, mask), dense)
        return
    use_sparse_attention(module, window=20, num_first=0)
    assert [each for each, _ in module.named_parameters()] == names
    with torch.inference_mode():
        assert torch.equal(module(ids, mask)[mask.bool()], dense[mask.bool()])
    assert module.write(PROMPTS, **LIMITS) == written


@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_what_is_out_of_sight_has_no_say(architecture):
    module = spread(language_model(architecture), scale=4.0)
    ids, mask = batch()
    shown = torch.tensor(
        [[[sees(query, key, SMALL) for key in range(9)] for query in range(9)]] * 2
    )
    shown &= mask[:, None].bool()
    added = torch.zeros(shown.shape).masked_fill(~shown, torch.finfo(torch.float32).min)
    with torch.inference_mode():
        dense = module(ids, mask)
        wanted = module.causal(input_ids=ids, attention_mask=added[:, None]).logits
        use_sparse_attention(module, window=3, num_first=2)
        found = module(ids, mask)
    there = mask.bool()
    assert torch.allclose(found[there], wanted[there], atol=1e-6)
    assert not torch.allclose(found[there], dense[there], atol=1e-2)
    assert torch.equal(found[:, :5][there[:, :5]], dense[:, :5][there[:, :5]])


@pytest.mark.parametrize("kind", ["fedit", "prompt_tuning", "prefix_tuning"])
@pytest.mark.parametrize("architecture", ["llama", "gpt2"])
def test_cache_changes_no_token(architecture, kind):
    module = spread(language_model(architecture), scale=3.0)
    use_sparse_attention(module, window=3, num_first=2)
    written = module.write(PROMPTS, **LIMITS)
    assert written == without_cache(module, PROMPTS)
    install(kind, module)
    limits = {**LIMITS, "num_tokens": 5}
    assert module.write(PROMPTS, **limits) == without_cache(module, PROMPTS, num_tokens=5)


def test_gradients_pass():
    module = language_model()
    use_sparse_attention(module, window=3, num_first=2)
    module(*batch()).square().sum().backward()
    weight = module.get_parameter("encoder.layers.0.self_attn.q_proj.weight")
    assert float(weight.grad.abs().max()) > 0
