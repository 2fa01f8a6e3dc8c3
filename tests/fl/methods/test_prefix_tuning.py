"""Federated prefix tuning."""

from fl.methods.prefix_tuning.config import PrefixTuningConfig
from fl.training.cost import CostModel
from tests.fl.fakes import MAX_TOKENS, federation
from tests.fl.methods.updates import installed, numbers_on_roberta_base


def payload_numbers(shape, version):
    d, classes = shape.hidden, shape.num_classes
    numbers = 2 * shape.layers * 16 * d + d * classes + classes
    return numbers, numbers


def test_numbers_on_roberta_base():
    assert numbers_on_roberta_base(PrefixTuningConfig(num_virtual_tokens=16)) == 294_912
    made = numbers_on_roberta_base(PrefixTuningConfig(num_virtual_tokens=16, projection_dim=512))
    assert made == 16 * 768 + (768 * 512 + 512) + 513 * 24 * 768


def test_prefixes_cost_the_attention_to_them():
    """Forward: scores and context over n keys more, 2 x 2 B T n d a layer."""
    flops = []
    for count in (1, 9):
        _, module = installed(PrefixTuningConfig(num_virtual_tokens=count))
        cost = CostModel(module, max_tokens=MAX_TOKENS)
        flops.append(cost.step_flop((), batch_size=3, num_tokens=10))
    assert flops[1] - flops[0] == 2 * (4 * 3 * 10 * 8 * 32)


def test_the_network_is_counted_once_a_step():
    config = PrefixTuningConfig(num_virtual_tokens=4, projection_dim=6)
    _, module = installed(config)
    _, plain = installed(PrefixTuningConfig(num_virtual_tokens=4))
    for batch_size in (1, 5):
        shape = {"batch_size": batch_size, "num_tokens": 7}
        more = CostModel(module, max_tokens=MAX_TOKENS).step_flop((), **shape)
        without = CostModel(plain, max_tokens=MAX_TOKENS).step_flop((), **shape)
        assert more - without == 2 * 4 * (32 * 6 + 6 * 2 * 2 * 32)


def test_prefixes_take_no_position_from_texts():
    assert federation(PrefixTuningConfig(num_virtual_tokens=64)).facts().num_trainable
