"""What lies in a store is told, checked and removed; nothing else in its folder is touched."""

import os

import pytest
import torch

from fl.execution.store_file import write_entry
from fl.execution.store_upkeep import DRAFT_AGE_S, FULL_FRACTION, clear, evict, facts, verify


def digest_of(number):
    return f"{number:02x}" * 32


def path_of(folder, number):
    digest = digest_of(number)
    return folder / digest[:2] / f"{digest}.safetensors"


@pytest.fixture
def folder(tmp_path):
    """A store of ten entries, the first of which was used longest ago, beside a user's files."""
    for number in range(10):
        path = path_of(tmp_path, number)
        write_entry(path, {"a": torch.zeros(100)}, {})
        os.utime(path, (1e9 + number, 1e9 + number))
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "00" / "model.safetensors").write_text("mine")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / f"{digest_of(3)}.safetensors").write_text("mine")
    return tmp_path


def mine(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file() and _is_mine(path))


def _is_mine(path):
    return path.read_bytes() == b"mine"


def entries(folder):
    return [number for number in range(10) if path_of(folder, number).exists()]


def test_entries_are_counted(folder):
    found = facts(folder)
    assert found.num_entries == 10
    assert found.num_bytes == sum(path_of(folder, n).stat().st_size for n in range(10))


def test_no_folder_is_an_empty_store(tmp_path):
    assert facts(tmp_path / "absent").num_entries == 0
    assert verify(tmp_path / "absent") == (0, [])
    assert clear(tmp_path / "absent").num_bytes == 0


def test_what_was_used_longest_ago_goes_first(folder):
    size = path_of(folder, 0).stat().st_size
    assert evict(folder, max_bytes=10 * size) == 10 * size
    assert entries(folder) == list(range(10))
    os.utime(path_of(folder, 0))  # used just now
    left = evict(folder, max_bytes=5 * size)
    assert left <= FULL_FRACTION * 5 * size
    assert entries(folder) == [0, 7, 8, 9]
    assert facts(folder).num_bytes == left
    assert len(mine(folder)) == 3


def test_damaged_entries_are_named_and_removed(folder):
    path_of(folder, 2).write_bytes(b"")
    path_of(folder, 5).write_bytes(path_of(folder, 5).read_bytes()[:-1])
    num_whole, problems = verify(folder)
    assert num_whole == 8
    assert [str(path_of(folder, n)) in line for n, line in zip((2, 5), problems, strict=True)] == [
        True,
        True,
    ]
    assert entries(folder) == [0, 1, 3, 4, 6, 7, 8, 9]
    assert verify(folder) == (8, [])


def test_clearing_removes_entries_and_old_drafts_alone(folder):
    old, new = folder / "00" / "old.part", folder / "00" / "new.part"
    for draft in (old, new):
        draft.write_bytes(b"half")
    os.utime(old, (1e9, 1e9))
    assert DRAFT_AGE_S < 1e9
    assert clear(folder).num_entries == 10
    assert entries(folder) == []
    assert (old.exists(), new.exists()) == (False, True)
    assert len(mine(folder)) == 3
