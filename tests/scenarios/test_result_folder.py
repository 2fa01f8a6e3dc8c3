import json
import os

import pytest
from ruamel.yaml import YAML

from analysis.folder_files import MANIFEST, RESERVE, STATES
from analysis.folder_lock import LOCK
from scenarios.errors import ResultFolderError, ScenarioError
from scenarios.provenance import provenance
from scenarios.result_folder import ResultFolder


def manifest_of(path):
    return json.loads((path / MANIFEST).read_text())


@pytest.fixture
def old(tmp_path):
    """The folder of an earlier run."""
    path = tmp_path / "study"
    folder = ResultFolder(path, overwrite=False)
    folder.record(["v/seed1/rounds.csv"])
    folder.write_last_manifest({"name": "study", "status": "done"})
    (path / "v" / "seed1").mkdir(parents=True)
    (path / "v" / "seed1" / "rounds.csv").write_text("old")
    folder.release()
    return path


def snapshot(path):
    return {p.relative_to(path).as_posix(): p.is_file() and p.read_bytes()
            for p in path.rglob("*")}  # fmt: skip


def refused(path, *, overwrite=True):
    """Claim a folder that must be refused; give the one line, and check that nothing changed."""
    before = snapshot(path)
    with pytest.raises(ScenarioError) as caught:
        ResultFolder(path, overwrite=overwrite)
    assert snapshot(path) == before
    (line,) = caught.value.problems
    return line


def test_an_existing_folder_is_kept_unless_replacing_is_asked_for(old):
    assert "use --overwrite" in refused(old, overwrite=False)
    folder = ResultFolder(old, overwrite=True)
    assert not (old / "v").exists()
    folder.write_manifest({"name": "study"})
    folder.release()
    assert manifest_of(old)["airtune"] == {"result_schema": 1, "run_id": folder.run_id}


def test_a_foreign_folder_is_never_replaced(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    assert f"{tmp_path}: no manifest.json, so it is not a result folder" in refused(tmp_path)


@pytest.mark.parametrize(
    ("manifest", "words"),
    [
        ('{"name": "a web page", "icons": []}', "lacks the mark of Airtune"),
        ('{"name": "study", "variants": [], "runs": []}', "lacks the mark of Airtune"),
        ('{"airtune": "yes"}', "lacks the mark of Airtune"),
        ('{"airtune": {"result_schema": 99}}', "made by a newer Airtune (result schema 99"),
        ("[]", "must hold one JSON object"),
        ("[" * 5000, "levels of nesting"),
        ("\x00", "not readable as JSON"),
    ],
)
def test_a_file_name_is_no_mark(tmp_path, manifest, words):
    (tmp_path / MANIFEST).write_text(manifest)
    (tmp_path / "thesis.txt").write_text("precious")
    line = refused(tmp_path)
    assert words in line
    assert "not replaced" in line


def test_nothing_is_removed_that_airtune_did_not_write(old):
    (old / "v" / "seed1" / "my_notes.txt").write_text("precious")
    with pytest.raises(ScenarioError, match=r"did not write \(v/seed1/my_notes.txt\)"):
        ResultFolder(old, overwrite=True)
    assert (old / "v" / "seed1" / "rounds.csv").read_text() == "old"
    (old / "v" / "seed1" / "my_notes.txt").unlink()
    ResultFolder(old, overwrite=True).release()


def test_a_folder_in_use_is_refused_and_left_to_its_run(old):
    first = ResultFolder(old, overwrite=True)
    first.write_manifest({"status": "running"})
    for overwrite in (True, False):
        line = refused(old, overwrite=overwrite)
        assert line.startswith(f"{old}: in use: process {os.getpid()} on ")
        assert line.endswith("wait for its end, or use --out to go elsewhere")
    first.write_last_manifest({"status": "done"})
    first.release()
    ResultFolder(old, overwrite=True).release()


def test_a_linked_folder_is_replaced_in_its_place(old, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(old)
    folder = ResultFolder(link, overwrite=True)
    folder.write_manifest({"name": "new"})
    folder.release()
    assert link.is_symlink()
    assert manifest_of(old)["name"] == "new"
    assert not (old / "v").exists()


def test_a_link_inside_is_never_followed(old, tmp_path):
    outside = tmp_path / "outside"
    (old / "v").rename(outside)
    (old / "v").symlink_to(outside)
    assert "did not write (v)" in refused(old)
    assert (outside / "seed1" / "rounds.csv").read_text() == "old"


def test_a_link_to_nothing_and_a_file_are_refused(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").write_text("x")
    for name, words in (("link", "is a link to nothing"), ("file", "is a file, not a folder")):
        with pytest.raises(ScenarioError, match=words):
            ResultFolder(tmp_path / name, overwrite=True)
    with pytest.raises(ScenarioError, match="cannot be made: Not a directory"):
        ResultFolder(tmp_path / "file" / "study", overwrite=False)


def test_an_empty_folder_may_be_used(tmp_path):
    ResultFolder(tmp_path, overwrite=False).release()


def test_a_folder_that_was_taken_away_is_not_made_again(old, tmp_path):
    folder = ResultFolder(old, overwrite=True)
    old.rename(tmp_path / "moved")
    for write in (folder.write_manifest, folder.write_last_manifest):
        with pytest.raises(ResultFolderError, match="no longer the folder of this run"):
            write({"status": "done"})
    assert not old.exists()
    folder.release()


def test_the_last_manifest_has_space_kept_for_it_on_a_full_disk(tmp_path, monkeypatch):
    """A disk of 100 kB, of which the reserve holds 64: the rest is full when the study ends."""
    folder = ResultFolder(tmp_path / "study", overwrite=False)
    folder.write_manifest({"status": "running"})
    write = type(tmp_path).write_bytes

    def write_while_reserved(path, data):
        if (tmp_path / "study" / RESERVE).exists():
            raise OSError(28, "No space left on device", str(path))
        return write(path, data)

    monkeypatch.setattr(type(tmp_path), "write_bytes", write_while_reserved)
    with pytest.raises(ResultFolderError, match="No space left on device"):
        folder.write_manifest({"status": "running", "more": "x"})
    assert manifest_of(tmp_path / "study")["status"] == "running"
    folder.write_last_manifest({"status": "failed"})
    assert manifest_of(tmp_path / "study")["status"] == "failed"
    folder.release()


def test_a_full_disk_at_the_start_is_one_line_and_frees_the_lock(tmp_path, file_limit):
    with file_limit(1000), pytest.raises(ResultFolderError, match="reserve: cannot be written"):
        ResultFolder(tmp_path / "study", overwrite=False)
    ResultFolder(tmp_path / "study", overwrite=False).release()


def test_a_run_that_ended_leaves_no_reserve_and_a_free_lock(old):
    assert sorted(path.name for path in (old / ".airtune").iterdir()) == ["files.txt", "lock"]
    assert (old / LOCK).read_bytes() == b""


def test_manifest_and_scenario_are_read_back(tmp_path):
    folder = ResultFolder(tmp_path / "study", overwrite=False)
    folder.write_manifest({"name": "x\udc80", **provenance()})
    assert manifest_of(folder.path)["versions"]["numpy"]
    folder.write_scenario({"b": 1e-3, "a": {"c": [1, None]}})
    data = YAML(typ="safe", pure=True).load(folder.path / "scenario.yaml")
    assert data == {"b": 1e-3, "a": {"c": [1, None]}}
    assert list(data) == ["b", "a"]
    folder.release()


def test_what_clients_held_in_a_run_that_was_killed_goes(old, tmp_path):
    folder = ResultFolder(old, overwrite=True)
    states = folder.states_of("v", 1)
    folder.release()
    states.mkdir(parents=True)
    (states / "7.safetensors").write_bytes(b"left by a run that was killed")
    folder = ResultFolder(old, overwrite=True)
    assert not (old / STATES).exists()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "thesis.txt").write_text("precious")
    (old / STATES).symlink_to(elsewhere)
    folder.release()
    assert not (old / STATES).is_symlink()
    assert (elsewhere / "thesis.txt").read_text() == "precious"
