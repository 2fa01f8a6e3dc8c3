"""Full fine-tuning."""

import torch

from fl.methods.full.config import FullConfig
from tests.fl.fakes import NUM_POSITIONS, VOCABULARY_SIZE, classifier
from tests.fl.methods.updates import installed, numbers_on_roberta_base


def payload_numbers(shape, version):
    d, f, classes = shape.hidden, shape.feed_forward, shape.num_classes
    embeddings = (VOCABULARY_SIZE + NUM_POSITIONS + 2) * d + 2 * d
    attention, feed_forward, norms = 4 * (d * d + d), 2 * d * f + f + d, 4 * d
    blocks = shape.layers * (attention + feed_forward + norms)
    numbers = embeddings + blocks + d * classes + classes
    return numbers, numbers


def test_every_weight_of_roberta_base_is_sent():
    assert numbers_on_roberta_base(FullConfig()) == 124_055_040


def test_installing_copies_no_weight():
    module = classifier()
    places = {name: parameter.data_ptr() for name, parameter in module.named_parameters()}
    method, _ = installed(FullConfig(), module=module)
    assert {name: tensor.data_ptr() for name, tensor in method.initial.items()} == places


def test_the_first_values_are_the_loaded_ones():
    method, module = installed(FullConfig())
    fresh = dict(classifier().named_parameters())
    assert fresh.keys() == method.initial.keys()
    assert all(torch.equal(fresh[name], tensor) for name, tensor in method.initial.items())
    assert not any(parameter.requires_grad for parameter in module.parameters())
