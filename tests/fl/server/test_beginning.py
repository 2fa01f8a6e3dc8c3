"""Jobs that begin alike share what is worked out of their beginning."""

import torch

from fl.methods.averaging import AveragingMethod
from fl.server.beginning import Beginnings

INITIAL = {"shared": torch.zeros(2), "own": torch.ones(3)}


def method_of(own=()):
    """Average ``shared``; ``own`` stays with the client."""
    return AveragingMethod(kind="test", initial=INITIAL, shared=("shared",), own=own)


def test_clients_without_tensors_of_their_own_begin_alike():
    method = method_of()
    state, beginnings = method.initial_state(), Beginnings()
    first = beginnings.begin(method, state.payload, {}, version=0)
    assert beginnings.begin(method, state.payload, {}, version=0) is first
    assert first.base == {"shared": INITIAL["shared"]}
    assert first.upload.tensors.keys() == {"shared"}


def test_another_download_version_or_tensors_of_their_own_begin_otherwise():
    method = method_of(own=("own",))
    state, beginnings = method.initial_state(), Beginnings()
    first = beginnings.begin(method, state.payload, {}, version=0)
    assert beginnings.begin(method, method.initial_state().payload, {}, version=0) is not first
    again = beginnings.begin(method, state.payload, {}, version=0)
    assert beginnings.begin(method, state.payload, {}, version=1) is not again
    personal = {"own": torch.full((3,), 7.0)}
    own = beginnings.begin(method, state.payload, personal, version=1)
    assert own.start.tensors["own"] is personal["own"]
    assert beginnings.begin(method, state.payload, personal, version=1) is not own


def test_what_was_trained_is_sent_with_its_own_values():
    method = method_of()
    begun = Beginnings().begin(method, method.initial_state().payload, {}, version=0)
    assert begun.upload_of(begun.start.tensors) is begun.upload
    trained = {**begun.start.tensors, "shared": torch.full((2,), 5.0)}
    assert begun.upload_of(trained).tensors["shared"] is trained["shared"]
