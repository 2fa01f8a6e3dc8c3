"""Shared adapters, personal LoRA."""

import pytest

from fl.methods.pftt.config import PfttConfig
from tests.fl.methods.updates import installed, numbers_on_roberta_base


def payload_numbers(shape, version):
    d, dim = shape.hidden, 8
    numbers = 2 * shape.layers * (2 * d * dim + d + dim)
    return numbers, numbers


@pytest.mark.parametrize(("dim", "numbers"), [(64, 2_379_264), (16, 608_640), (8, 313_536)])
def test_numbers_on_roberta_base(dim, numbers):
    assert numbers_on_roberta_base(PfttConfig(adapter_dim=dim)) == numbers


def test_ranks_are_dealt_and_never_sent():
    method, _ = installed(PfttConfig(rank=(2, 4, 8)))
    state = method.initial_state()
    ranks = []
    for client_id in range(4):
        download = method.download(state, client_id=client_id)
        start = method.start(download, method.initial_personal(client_id), version=0)
        upload = method.upload(start.tensors, version=0)
        assert not any("lora" in name for name in (*download.tensors, *upload.tensors))
        shapes = {
            tensor.shape[0] for name, tensor in start.tensors.items() if name.endswith("lora_A")
        }
        ranks.extend(shapes)
    assert ranks == [2, 4, 8, 2]


def test_shared_lora_needs_one_rank():
    config = PfttConfig(rank=(2, 4), lora="shared")
    ((path, rule),) = config.find_problems(num_clients=4, task="classification")
    assert path == ("rank",)
    assert rule == "must be one for all clients where lora is shared, got [2, 4]"


def test_all_shared_is_the_rival_that_sends_both():
    numbers = numbers_on_roberta_base(PfttConfig(adapter_dim=64, lora="shared"))
    assert numbers == 2_379_264 + 294_912
