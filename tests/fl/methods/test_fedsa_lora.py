"""FedSA-LoRA."""

from fl.methods.fedsa_lora.config import FedsaLoraConfig
from tests.fl.methods.updates import installed, numbers_on_roberta_base


def payload_numbers(shape, version):
    numbers = 2 * shape.layers * shape.hidden * 8
    return numbers, numbers


def test_numbers_on_roberta_base_are_half_of_lora():
    assert numbers_on_roberta_base(FedsaLoraConfig(rank=8)) == 147_456


def test_second_factor_and_head_are_in_no_payload():
    method, _ = installed(FedsaLoraConfig())
    state = method.initial_state()
    download = method.download(state, client_id=0)
    start = method.start(download, method.initial_personal(0), version=0)
    upload = method.upload(start.tensors, version=0)
    for payload in (download, upload):
        assert len(payload.tensors) == 4
        assert all(name.endswith(".lora_A") for name in payload.tensors)
    personal = method.personal(start.tensors)
    assert {"head.weight", "head.bias"} <= set(personal)
    assert personal.keys() | upload.tensors.keys() == set(start.trainable) == set(method.initial)
    assert method.global_model(state) is None
