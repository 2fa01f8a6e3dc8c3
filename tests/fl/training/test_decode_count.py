"""A decode step by running it, against arithmetic by hand."""

import pytest
import torch

from fl.methods import install_method
from fl.methods.fedit.config import FeditConfig
from fl.models.shape_only import build_shapes
from fl.training.decode_count import count_decode, writes_cached
from tests.fl.fakes import VOCABULARY_SIZE, classifier, language_model
from tests.fl.training.closed_form import llama_cache_bytes, llama_decode_flop, llama_weights

TINY = {"hidden": 32, "feed_forward": 64, "layers": 2, "heads": 4, "kv_heads": 2}
LLAMA_1B = {"hidden": 2048, "feed_forward": 8192, "layers": 16, "heads": 32, "kv_heads": 8}


@pytest.mark.parametrize(("batch_size", "num_cached"), [(1, 1), (3, 7), (4, 11)])
def test_a_step_of_llama_costs_what_the_closed_form_says(batch_size, num_cached):
    found = count_decode(language_model(), batch_size=batch_size, num_cached=num_cached)
    shape = {"batch_size": batch_size, "num_keys": num_cached + 1}
    assert found.flop == llama_decode_flop(**TINY, vocabulary=VOCABULARY_SIZE, **shape)
    assert found.cache_bytes == llama_cache_bytes(**TINY, **shape)
    # Every weight once, of embeddings a row a text; five norms of a number a channel.
    weights = llama_weights(**TINY, vocabulary=VOCABULARY_SIZE) + 5 * 32
    assert found.frozen_bytes == 4 * (weights + batch_size * 32)
    assert found.trained_bytes == 0


def test_shapes_alone_cost_the_same():
    module = build_shapes("llama-3.2-1b", num_classes=2, task="generation", pooling="mean")
    found = count_decode(module, batch_size=8, num_cached=100)
    shape = {"batch_size": 8, "num_keys": 101}
    assert found.flop == llama_decode_flop(**LLAMA_1B, vocabulary=128256, **shape)
    assert found.cache_bytes == llama_cache_bytes(**LLAMA_1B, **shape)
    # Its output layer shares the table of embeddings, which is read as a whole.
    assert found.frozen_bytes == 4 * 1_235_814_400


def test_positions_are_looked_up_by_the_row():
    module = language_model("gpt2")
    whole = sum(each.nbytes for each in module.parameters())
    positions = module.encoder.wpe.weight
    found = count_decode(module, batch_size=3, num_cached=4)
    assert found.frozen_bytes == whole - positions.nbytes + positions[0].nbytes


def test_what_a_method_put_there_is_read_apart():
    module = language_model()
    method = install_method(FeditConfig(rank=4), module, generator=torch.Generator().manual_seed(0))
    plain = count_decode(language_model(), batch_size=2, num_cached=5)
    found = count_decode(module, batch_size=2, num_cached=5, trained=method.initial)
    adapters = sum(each.numel() for each in method.initial.values())
    assert found.trained_bytes == 4 * adapters
    assert found.frozen_bytes == plain.frozen_bytes
    assert found.flop == plain.flop + 2 * 2 * adapters


def test_counting_leaves_the_module_as_it_was():
    module = language_model()
    before = {name: each.clone() for name, each in module.named_parameters()}
    ids = torch.tensor([[1, 2, 3]])
    scores = module(ids, torch.ones_like(ids))
    count_decode(module, batch_size=2, num_cached=3)
    for name, each in module.named_parameters():
        assert torch.equal(each, before[name])
    assert torch.equal(module(ids, torch.ones_like(ids)), scores)


def test_a_classifier_writes_nothing():
    for call in (writes_cached, lambda module: count_decode(module, batch_size=1, num_cached=1)):
        with pytest.raises(TypeError, match=r"^module: must be a language model to write"):
            call(classifier())
