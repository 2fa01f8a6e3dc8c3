"""Devices of this machine: named, looked for, refused in one line."""

import pytest
import torch

from fl.execution import host
from fl.execution.host import Host, HostError, check_compiler, check_name, find_device, open_device


@pytest.mark.parametrize("name", ["tpu", "cuda:", "cuda:x", "CPU", "", None, 3, "cuda:1234"])
def test_what_names_no_device_is_one_line(name):
    with pytest.raises(HostError, match=r"^device: must be auto, cpu, cuda, cuda:N or mps, got "):
        check_name(name)


@pytest.mark.parametrize(
    ("num_cuda", "has_mps", "name", "found"),
    [
        (0, False, "auto", "cpu"),
        (0, True, "auto", "mps"),
        (2, True, "auto", "cuda"),
        (2, False, "cuda", "cuda"),
        (2, False, "cuda:1", "cuda:1"),
        (0, True, "mps", "mps"),
        (2, True, "cpu", "cpu"),
    ],
)
def test_a_name_means_a_device(num_cuda, has_mps, name, found, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: num_cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: has_mps)
    assert find_device(name) == found


@pytest.mark.parametrize(
    ("num_cuda", "name", "seen"),
    [(0, "cuda", "none"), (2, "cuda:2", "2 of them"), (0, "mps", "none")],
)
def test_a_device_that_is_not_here_is_one_line(num_cuda, name, seen, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: num_cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for look in (find_device, open_device):
        with pytest.raises(HostError) as raised:
            look(name)
        told = str(raised.value)
        assert told.startswith(f"device: {name} is not here: torch ")
        assert f"sees {seen}" in told
        assert "\n" not in told


def test_the_cpu_needs_no_preparation():
    before = torch.are_deterministic_algorithms_enabled()
    open_device("cpu")
    assert torch.are_deterministic_algorithms_enabled() == before


def test_results_depend_on_the_kind_alone():
    assert Host(device="cuda:3").device_kind == Host(device="cuda").device_kind == "cuda"


def test_no_compiler_is_one_line(monkeypatch):
    import torch._inductor.cpp_builder as builder  # noqa: PLC0415

    def none():
        raise RuntimeError

    monkeypatch.setattr(builder, "get_cpp_compiler", none)
    with pytest.raises(HostError, match=r"^compile: torch finds no C\+\+ compiler here"):
        check_compiler()


def test_names_are_known_without_torch():
    assert "torch" not in vars(host)
