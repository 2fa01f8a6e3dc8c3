"""A state in a file: of the format safetensors, whole or refused."""

import pytest
import torch
from safetensors import safe_open

from fl.server.state_file import DamagedStateError, read_state, write_state

TENSORS = {
    "wide": torch.arange(6.0, dtype=torch.float64).view(2, 3),
    "turned": torch.arange(6.0).view(2, 3).t(),
    "bytes": torch.tensor([1, 2, 3], dtype=torch.uint8),
    "half": torch.tensor([1.5, -2.0], dtype=torch.bfloat16),
    "one": torch.tensor(7),
    "none": torch.empty(0, 4),
}


def test_the_library_reads_the_same(tmp_path):
    path = tmp_path / "state.safetensors"
    write_state(path, TENSORS, {"tokens": [1]})
    with safe_open(path, framework="pt") as file:
        assert set(file.keys()) == set(TENSORS)
        for name, value in TENSORS.items():
            assert torch.equal(file.get_tensor(name), value)
    assert list(tmp_path.iterdir()) == [path]


def test_what_is_read_is_what_was_written_in_its_order(tmp_path):
    path = tmp_path / "state.safetensors"
    write_state(path, TENSORS, {"tokens": [1, 2]})
    tensors, told = read_state(path)
    assert list(tensors) == list(TENSORS)
    assert told == {"tokens": [1, 2]}
    for name, value in TENSORS.items():
        assert tensors[name].dtype == value.dtype
        assert torch.equal(tensors[name], value)
        assert tensors[name].untyped_storage().nbytes() == value.nbytes  # memory of its own
    write_state(path, {"one": torch.tensor(8)}, {})
    assert int(read_state(path)[0]["one"]) == 8


@pytest.mark.parametrize("place", [0, 3, 40, 200, -1])
def test_a_byte_that_differs_is_noticed(tmp_path, place):
    path = tmp_path / "state.safetensors"
    write_state(path, TENSORS, {"tokens": [1]})
    data = bytearray(path.read_bytes())
    at = place if place < 200 else len(data) // 2
    data[at] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(DamagedStateError, match="does not hold what was written"):
        read_state(path)


def test_a_file_that_is_cut_off_is_noticed(tmp_path):
    path = tmp_path / "state.safetensors"
    write_state(path, TENSORS, {})
    data = path.read_bytes()
    for length in (0, 7, 20, len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(DamagedStateError):
            read_state(path)
