"""FFA-LoRA."""

import torch

from fl.methods.ffa_lora.config import FfaLoraConfig
from tests.fl.methods.updates import installed, numbers_on_roberta_base, products_before_and_after


def payload_numbers(shape, version):
    d, classes, rank = shape.hidden, shape.num_classes, 8
    numbers = 2 * shape.layers * d * rank + d * classes + classes
    return numbers, numbers


def test_numbers_on_roberta_base_are_half_of_lora():
    assert numbers_on_roberta_base(FfaLoraConfig(rank=8)) == 147_456


def test_averaging_is_exact():
    method, _ = installed(FfaLoraConfig(rank=4))
    mean, product, _ = products_before_and_after(method, method.initial_state(), version=0)
    assert mean
    for name in mean:
        torch.testing.assert_close(product[name], mean[name], rtol=1e-5, atol=1e-6)


def test_the_first_factor_neither_travels_nor_trains_and_comes_from_the_seed():
    method, _ = installed(FfaLoraConfig())
    state = method.initial_state()
    download = method.download(state, client_id=0)
    start = method.start(download, method.initial_personal(0), version=0)
    upload = method.upload(start.tensors, version=0)
    frozen = [name for name in method.initial if name.endswith(".lora_A")]
    assert len(frozen) == 4
    assert not {*download.tensors, *upload.tensors, *start.trainable} & set(frozen)
    same, _ = installed(FfaLoraConfig())
    other, _ = installed(FfaLoraConfig(), seed=4)
    for name in frozen:
        assert torch.equal(start.tensors[name], same.initial[name])
        assert not torch.equal(start.tensors[name], other.initial[name])
