"""A step counted either side of a cut: the parts sum to the step, and each is what lies there."""

import pytest
import torch
from transformers import AlbertConfig, AlbertModel

from fl.methods import install_method
from fl.methods.fedit.config import FeditConfig
from fl.models.classifier import TextClassifier
from fl.training.split_count import count_split_step
from fl.training.step_count import count_step
from tests.fl.fakes import NUM_CLASSES, classifier, language_model

SHAPES = [(1, 1, 1), (2, 7, 3), (5, 12, 30)]


def installed(module):
    method = install_method(FeditConfig(), module, generator=torch.Generator().manual_seed(0))
    return tuple(sorted(method.initial))


def shape_of(module, texts, tokens, asked):
    num_asked = None if isinstance(module, TextClassifier) else asked
    return {"batch_size": texts, "num_tokens": tokens, "num_asked": num_asked}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("make", [classifier, language_model])
def test_the_parts_sum_to_the_step(make, shape):
    module = make(layers=3)
    trainable = installed(module)
    shape = shape_of(module, *shape)
    whole = count_step(module, trainable, **shape)
    parts = [count_split_step(module, trainable, cut_layer=cut, **shape) for cut in (1, 2, 3)]
    for step in parts:
        assert step.before_flop + step.server_flop + step.after_flop == whole.flop
        assert step.client.flop == step.before_flop + step.after_flop
        assert step.width == 32
    # Blocks are alike: each has the same forward pass, and all but the lowest the same backward.
    first, second, third = parts
    assert [second.before_flop, third.before_flop] == [2 * first.before_flop, 3 * first.before_flop]
    assert third.after_flop - second.after_flop == second.after_flop - first.after_flop > 0
    kept = [each.client.activation_bytes for each in parts]
    assert 0 < kept[0] < kept[1] < kept[2] < whole.activation_bytes
    assert kept[2] - kept[1] == kept[1] - kept[0]


def test_above_all_blocks_there_is_the_head_alone():
    """Products of the head: forward, and backward to its weight and to the pooled vector."""
    module = classifier()
    trainable = installed(module)
    step = count_split_step(
        module, trainable, cut_layer=2, batch_size=4, num_tokens=7, num_asked=None
    )
    assert step.server_flop == 3 * 2 * 4 * 32 * NUM_CLASSES


@pytest.mark.parametrize("make", [classifier, language_model])
def test_weights_are_those_of_the_embedding_and_the_lower_blocks(make):
    module = make(layers=3)
    trainable = installed(module)
    shape = shape_of(module, 2, 4, 3)
    for cut in (1, 2, 3):
        step = count_split_step(module, trainable, cut_layer=cut, **shape)
        below = {
            name: each.nbytes
            for name, each in module.named_parameters()
            if "embed" in name.lower()
            or any(f"layer.{at}." in name or f"layers.{at}." in name for at in range(cut))
        }
        trained = sum(size for name, size in below.items() if name in trainable)
        assert step.client.trained_bytes == 4 * trained  # itself, its gradient and two moments
        assert step.client.frozen_bytes == sum(below.values()) - trained


def test_without_training_nothing_comes_back():
    module = classifier()
    installed(module)
    step = count_split_step(module, (), cut_layer=1, batch_size=2, num_tokens=5, num_asked=None)
    whole = count_step(module, (), batch_size=2, num_tokens=5, num_asked=None)
    assert (step.after_flop, step.client.trained_bytes) == (0, 0)
    assert step.before_flop + step.server_flop == whole.flop


def test_counting_leaves_the_module_as_it_was():
    module = classifier()
    trainable = installed(module)
    before = {name: each.detach().clone() for name, each in module.named_parameters()}
    count_split_step(module, trainable, cut_layer=1, batch_size=2, num_tokens=5, num_asked=None)
    for part in module.modules():
        assert not part._forward_hooks
        assert not part._forward_pre_hooks
    assert all(torch.equal(before[name], each) for name, each in module.named_parameters())


def test_a_cut_above_the_last_block_is_refused():
    module = classifier()
    trainable = installed(module)
    with pytest.raises(ValueError, match=r"^cut_layer: must be <= 2, the blocks of the model, got"):
        count_split_step(module, trainable, cut_layer=3, batch_size=1, num_tokens=2, num_asked=None)


def test_a_block_that_is_passed_several_times_cannot_be_cut_behind():
    config = AlbertConfig(
        vocab_size=60,
        embedding_size=16,
        hidden_size=32,
        num_hidden_layers=3,
        num_attention_heads=4,
        intermediate_size=64,
        attn_implementation="eager",
    )
    encoder = AlbertModel(config, add_pooling_layer=False)
    module = TextClassifier(encoder, num_classes=3, hidden_size=32, pooling="mean").eval()
    trainable = installed(module)
    with pytest.raises(ValueError, match=r"^cut_layer: needs blocks that are passed once, .* 3 ti"):
        count_split_step(module, trainable, cut_layer=1, batch_size=1, num_tokens=2, num_asked=None)
