"""BitFit."""

import pytest
import torch
import transformers

from fl.methods.bitfit.config import BitfitConfig
from fl.models.classifier import TextClassifier
from tests.fl.methods.updates import installed, numbers_on_roberta_base


def payload_numbers(shape, version):
    d, classes = shape.hidden, shape.num_classes
    numbers = shape.layers * (7 * d + shape.feed_forward) + d + d * classes + classes
    return numbers, numbers


def test_numbers_on_roberta_base():
    assert numbers_on_roberta_base(BitfitConfig()) == 12 * (7 * 768 + 3072) + 768 == 102_144


def test_all_biases_and_no_matrix_but_the_head():
    method, module = installed(BitfitConfig())
    biases = {name for name, _ in module.named_parameters() if name.endswith(".bias")}
    assert method.initial.keys() == biases | {"head.weight"}


def test_a_backbone_without_biases_is_refused():
    config = transformers.LlamaConfig(
        vocab_size=60,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=4,
    )
    with torch.device("meta"):
        encoder = transformers.LlamaModel(config)
    module = TextClassifier(encoder, num_classes=3, hidden_size=32, pooling="mean")
    message = r"^model\.name: bitfit trains the biases of the backbone; LlamaModel has none$"
    with pytest.raises(ValueError, match=message):
        installed(BitfitConfig(), module=module)
