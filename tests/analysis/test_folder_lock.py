import json
import os
import signal
import socket
import subprocess
import sys

import pytest

from analysis.errors import FolderInUseError, FolderLostError, ResultError
from analysis.folder_lock import LOCK, FolderLock, holder_of, locked_if_free

HOLD = (
    "import sys, pathlib, analysis.folder_lock as module\n"
    "lock = module.FolderLock(pathlib.Path(sys.argv[1]), purpose='test')\n"
    "print('held', flush=True)\n"
    "sys.stdin.read()\n"
)


@pytest.fixture
def held(tmp_path):
    """A folder whose lock another process holds, and that process."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield tmp_path, process
    process.kill()
    process.communicate()


def test_a_held_folder_is_refused_and_the_holder_named(held):
    folder, process = held
    with pytest.raises(FolderInUseError) as caught:
        FolderLock(folder, purpose="test")
    begin = f"{folder}: in use: process {process.pid} on {socket.gethostname()} (test) writes"
    assert str(caught.value).startswith(begin)
    assert str(process.pid) in holder_of(folder)
    with locked_if_free(folder, purpose="report") as holder:
        assert str(process.pid) in holder


def test_a_killed_holder_holds_nothing(held):
    folder, process = held
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert (folder / LOCK).read_bytes()
    assert holder_of(folder) is None
    with FolderLock(folder, purpose="test"):
        assert json.loads((folder / LOCK).read_bytes())["pid"] == os.getpid()


def test_a_holder_without_a_text_is_still_a_holder(held):
    folder, _ = held
    (folder / LOCK).write_bytes(b"\xff{")
    with pytest.raises(FolderInUseError, match="in use: another process writes to it"):
        FolderLock(folder, purpose="test")


def test_a_released_lock_is_free_and_its_file_stays(tmp_path):
    FolderLock(tmp_path, purpose="test").release()
    assert holder_of(tmp_path) is None
    assert (tmp_path / LOCK).is_file()
    with locked_if_free(tmp_path, purpose="test") as holder:
        assert holder is None


def test_asking_who_holds_a_folder_makes_nothing(tmp_path):
    assert holder_of(tmp_path) is None
    assert holder_of(tmp_path / "nowhere") is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("fate", ["removed", "moved", "replaced"])
def test_a_folder_that_is_no_longer_the_locked_one_is_noticed(tmp_path, fate):
    folder = tmp_path / "study"
    folder.mkdir()
    with FolderLock(folder, purpose="test") as lock:
        lock.check()
        folder.rename(tmp_path / "elsewhere")
        if fate == "removed":
            (tmp_path / "elsewhere" / LOCK).unlink()
        if fate == "replaced":
            folder.mkdir()
            other = FolderLock(folder, purpose="other")
        with pytest.raises(FolderLostError, match="study: no longer the folder of this run"):
            lock.check()
        if fate == "replaced":
            other.check()
            other.release()


@pytest.mark.parametrize("name", [".airtune", LOCK])
def test_no_lock_is_made_through_a_link(tmp_path, name):
    outside, folder = tmp_path / "outside", tmp_path / "study"
    outside.mkdir()
    (folder / name).parent.mkdir(parents=True)
    (folder / name).symlink_to(outside / "file" if name == LOCK else outside)
    with pytest.raises((ResultError, OSError)):
        FolderLock(folder, purpose="test")
    assert list(outside.iterdir()) == []
