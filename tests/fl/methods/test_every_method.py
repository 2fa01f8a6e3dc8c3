"""What holds for every method in the table."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fl.methods import METHODS, install_method
from fl.methods.base import Contribution
from fl.payload import Payload, decode
from tests.fl.fakes import SMALLEST, classifier, install, roberta_base_on_meta

KINDS = sorted(METHODS)
SENDING = sorted(kind for kind in METHODS if SMALLEST[kind].sends)
AVERAGING = sorted(set(SENDING) - {"flora", "flexlora", "hetlora"})
"""Those whose server averages like-named tensors; their own tests say what the others merge."""


def random_like(tensors, seed):
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(value.shape, generator=generator) for name, value in tensors.items()}


def start_of(method, state, client_id=0):
    download = method.download(state, client_id=client_id, round_id=1)
    return method.start(download, method.initial_personal(client_id), round_id=1)


def contributions(method, num_samples, seeds):
    state = method.initial_state()
    made = []
    for client_id, (count, seed) in enumerate(zip(num_samples, seeds, strict=True)):
        start = start_of(method, state, client_id)
        trained = random_like(start.tensors, seed)
        payload = method.upload({**trained, **start.extras}, round_id=1)
        made.append(
            Contribution(client_id=client_id, payload=payload, num_samples=count, staleness=0)
        )
    return made


def test_table_and_folders_agree():
    assert KINDS
    assert SENDING
    root = Path(install_method.__code__.co_filename).parent
    folders = {path.parent.name for path in root.glob("*/method.py")}
    assert folders == set(METHODS)
    for kind, entry in METHODS.items():
        assert SMALLEST[kind].kind == kind
        assert entry.summary
        assert (root / kind / "README.md").is_file()


@pytest.mark.parametrize("kind", KINDS)
def test_installing_freezes_and_keeps_the_backbone(kind):
    module = classifier()
    before = {id(parameter): parameter.detach().clone() for parameter in module.parameters()}
    method, _ = install(kind, module)
    parameters = dict(module.named_parameters())
    kept = {
        id(parameter): parameter for parameter in parameters.values() if id(parameter) in before
    }
    assert kept.keys() == before.keys(), "backbone weights must stay the same objects"
    assert all(torch.equal(kept[key], before[key]) for key in before)
    backbone = parameters.keys() - method.initial.keys()
    assert bool(backbone) == (kind != "full")
    assert not any(parameters[name].requires_grad for name in backbone)
    assert not any(".head." in f".{name}" for name in backbone)


@pytest.mark.parametrize("kind", KINDS)
def test_start_names_every_installed_tensor(kind):
    method, _ = install(kind)
    start = start_of(method, method.initial_state())
    assert start.tensors.keys() == method.initial.keys()
    assert start.trainable
    assert set(start.trainable) <= set(start.tensors)
    for name, tensor in method.initial.items():
        assert torch.equal(start.tensors[name], tensor)


@pytest.mark.parametrize("kind", KINDS)
def test_shared_and_personal_tensors_do_not_overlap(kind):
    method, _ = install(kind)
    start = start_of(method, method.initial_state())
    given = {**start.tensors, **start.extras}
    upload = method.upload(given, round_id=1)
    assert (upload is not None) == SMALLEST[kind].sends
    sent = set() if upload is None else set(upload.tensors)
    # With a schedule a client also holds shared tensors, for the rounds that do not train them.
    own = set(method.personal(given)) - set(method.initial_state().tensors)
    assert not sent & own
    assert sent <= {*start.trainable, *start.extras}
    # Beside what it trained, a client may hold numbers of its own from the start.
    assert own <= {*start.trainable, *start.extras, *method.initial_personal(0)}
    assert set(start.trainable) <= sent | own
    assert set(method.personal_model(method.initial_state(), method.initial_personal(0))) == set(
        method.initial
    )


@pytest.mark.parametrize("kind", KINDS)
def test_global_model_is_whole_or_none(kind):
    method, _ = install(kind)
    model = method.global_model(method.initial_state())
    assert (model is not None) == SMALLEST[kind].has_global_model
    assert model is None or model.keys() == method.initial.keys()


@pytest.mark.parametrize("kind", AVERAGING)
@settings(deadline=None, max_examples=20)
@given(num_samples=st.lists(st.integers(1, 50), min_size=1, max_size=6))
def test_equal_updates_aggregate_to_themselves(kind, num_samples):
    method = METHOD[kind]
    made = contributions(method, num_samples, [5] * len(num_samples))
    after = method.aggregate(method.initial_state(), made)
    assert after.version == 1
    assert after.tensors
    for name, tensor in made[0].payload.tensors.items():
        torch.testing.assert_close(after.tensors[name], tensor, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("kind", SENDING)
@settings(deadline=None, max_examples=20)
@given(order=st.permutations(range(5)))
def test_order_of_arrival_does_not_change_a_bit(kind, order):
    method = METHOD[kind]
    made = contributions(method, [3, 1, 4, 1, 5], range(5))
    first = method.aggregate(method.initial_state(), made)
    second = method.aggregate(method.initial_state(), [made[index] for index in order])
    for name, tensor in first.tensors.items():
        assert torch.equal(second.tensors[name], tensor)


@pytest.mark.parametrize("kind", SENDING)
def test_payload_travels_as_bytes(kind):
    method, _ = install(kind)
    payload = method.download(method.initial_state(), client_id=0, round_id=1)
    back = decode(payload.encode())
    start = method.start(back, method.initial_personal(0), round_id=1)
    for name, tensor in method.initial.items():
        assert torch.equal(start.tensors[name], tensor)


METHOD = {kind: install(kind)[0] for kind in SENDING}


def bytes_on_roberta_base(kind, **settings):
    config = type(SMALLEST[kind])(**settings)
    method = install_method(config, roberta_base_on_meta(), generator=torch.Generator())
    state = method.initial_state()
    down = method.download(state, client_id=0, round_id=1)
    up = method.upload(start_of(method, state).tensors, round_id=1)
    return [0 if payload is None else payload.tensor_bytes for payload in (down, up)]


def test_payload_bytes_are_those_of_the_fact_sheet():
    head = 4 * 768 + 4
    assert bytes_on_roberta_base("fedit", rank=8) == [4 * (294_912 + head)] * 2
    assert bytes_on_roberta_base("pftt", adapter_dim=64) == [4 * 2_379_264] * 2
    assert bytes_on_roberta_base("pftt", adapter_dim=8) == [4 * 313_536] * 2
    shared = bytes_on_roberta_base("pftt", adapter_dim=64, head="shared")
    assert shared == [4 * (2_379_264 + head)] * 2
    assert bytes_on_roberta_base("local") == [0, 0]


def test_average_is_weighted_by_samples():
    method, _ = install("fedit")
    made = contributions(method, [1, 3], [1, 2])
    after = method.aggregate(method.initial_state(), made)
    for name, tensor in after.tensors.items():
        expected = 0.25 * made[0].payload.tensors[name] + 0.75 * made[1].payload.tensors[name]
        np.testing.assert_allclose(tensor, expected, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("head", ["personal", "shared"])
def test_pftt_lora_is_in_no_payload(head):
    config = type(SMALLEST["pftt"])(head=head)
    method = install_method(config, classifier(), generator=torch.Generator().manual_seed(1))
    start = start_of(method, method.initial_state())
    payloads = [
        method.download(method.initial_state(), client_id=0, round_id=1),
        method.upload(start.tensors, round_id=1),
    ]
    for payload in payloads:
        assert isinstance(payload, Payload)
        assert not any("lora" in name for name in payload.tensors)
        assert any(name.startswith("head.") for name in payload.tensors) == (head == "shared")
    assert any("lora" in name for name in method.personal(start.tensors))
    assert (method.global_model(method.initial_state()) is not None) == (head == "shared")
