"""One entry of the store: what is written is read to the bit, and what is damaged is found."""

import errno
import resource

import pytest
import torch
from safetensors.torch import save_file

from fl.execution.store_file import DamagedEntryError, read_entry, write_entry

TENSORS = {
    "single": torch.tensor([[1.0, float("nan")], [-0.0, 3e-45]]),
    "double": torch.tensor(0.1, dtype=torch.float64),
    "half": torch.arange(3).to(torch.bfloat16),
    "none": torch.zeros(0, 4),
    "transposed": torch.arange(6.0).reshape(2, 3).T,
}
TOLD = {"names": ["single"], "loss": float("nan"), "text": 'a "name" and \u0000 ü'}


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "ab" / f"{'ab' * 32}.safetensors"
    write_entry(path, TENSORS, TOLD)
    return path


def bits(tensor):
    return tensor.dtype, tensor.shape, bytes(tensor.contiguous().view(torch.uint8).flatten())


def test_what_is_written_is_read(path):
    tensors, told = read_entry(path)
    assert tensors.keys() == TENSORS.keys()
    for name in ("single", "half", "none", "transposed"):
        assert bits(tensors[name]) == bits(TENSORS[name])
    assert (tensors["double"].dtype, float(tensors["double"])) == (torch.float64, 0.1)
    assert told["names"] == TOLD["names"]
    assert told["text"] == TOLD["text"]
    assert told["loss"] != told["loss"]


def test_an_entry_without_tensors_is_one(tmp_path):
    write_entry(tmp_path / "entry", {}, {"loss": 1.5})
    assert read_entry(tmp_path / "entry") == ({}, {"loss": 1.5})


def test_there_is_none(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_entry(tmp_path / "absent")


@pytest.mark.parametrize("part", [0.0, 0.01, 0.3, 0.9, 0.999])
def test_a_file_that_is_cut_off_is_damaged(path, part):
    whole = path.read_bytes()
    path.write_bytes(whole[: int(part * len(whole))])
    with pytest.raises(DamagedEntryError):
        read_entry(path)


def test_every_byte_counts(path):
    """A bit that flips anywhere is found, in the header as in the numbers."""
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[place] ^= 0x10
        path.write_bytes(bytes(changed))
        try:
            tensors, told = read_entry(path)
        except DamagedEntryError:
            continue
        # blanks that fill the header up say nothing
        assert whole[place] == ord(" ")
        assert {name: bits(value) for name, value in tensors.items() if name != "double"} == {
            name: bits(value) for name, value in TENSORS.items() if name != "double"
        }
        assert told["text"] == TOLD["text"]


@pytest.mark.parametrize("metadata", [None, {"format": "0", "result": "{}"}, {"result": "{}"}])
def test_a_file_of_another_version_is_damaged(path, metadata):
    save_file({"a": torch.ones(2)}, path, metadata=metadata)
    with pytest.raises(DamagedEntryError, match="format must be 1, got"):
        read_entry(path)


def test_no_pickle_is_read(path):
    torch.save({"a": torch.ones(2)}, path)
    with pytest.raises(DamagedEntryError, match="is no whole safetensors file"):
        read_entry(path)


def test_a_full_disk_is_the_error_of_the_system_and_leaves_nothing(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with pytest.raises(OSError) as caught:  # noqa: PT011 -- its number is looked at
            write_entry(tmp_path / "in" / "entry", {"a": torch.zeros(1000)}, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert caught.value.errno == errno.EFBIG
    assert caught.value.filename
    assert list((tmp_path / "in").iterdir()) == []
