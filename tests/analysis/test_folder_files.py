import pytest

from analysis.errors import ResultError
from analysis.folder_files import (
    MANIFEST,
    MANIFEST_DRAFT,
    RECORD,
    RESULT_SCHEMA,
    add_to_record,
    check_no_link,
    files_to_replace,
    is_unused,
    mark,
    recorded,
    run_id_of,
    schema_of,
)

FILES = ("a/seed1/rounds.csv", "a/seed2/rounds.csv", "report.html")


@pytest.fixture
def folder(tmp_path):
    """A result folder with a manifest and three recorded files."""
    place = tmp_path / "study"
    place.mkdir()
    add_to_record(place, FILES)
    for name in (*FILES, MANIFEST):
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text("x")
    return place


def test_the_mark_tells_schema_and_run():
    assert schema_of(mark("ab")) == RESULT_SCHEMA
    assert run_id_of(mark("ab")) == "ab"


@pytest.mark.parametrize(
    "manifest",
    [
        {},
        {"airtune": None},
        {"airtune": 1},
        {"airtune": {}},
        {"airtune": {"result_schema": "1"}},
        {"airtune": {"result_schema": True}},
        {"airtune": {"result_schema": 0}},
        {"airtune": [["result_schema", 1]]},
    ],
)
def test_another_manifest_has_no_mark(manifest):
    assert schema_of(manifest) is None
    assert run_id_of(manifest) is None


def test_everything_of_ours_is_replaced_the_manifest_last(folder):
    files, folders = files_to_replace(folder)
    assert sorted(path.relative_to(folder).as_posix() for path in files) == sorted(
        (*FILES, MANIFEST)
    )
    assert files[-1] == folder / MANIFEST
    assert [path.name for path in folders[:2]] in (["seed1", "seed2"], ["seed2", "seed1"])
    assert folders[2:] == [folder / "a"]


@pytest.mark.parametrize(
    "name", ["notes.txt", "a/notes.txt", "a/seed1/more.csv", "b/seed1/rounds.csv", ".airtune/x"]
)
def test_a_file_of_somebody_else_is_named_and_stops_the_replacement(folder, name):
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("precious")
    named = "b" if name.startswith("b/") else name
    with pytest.raises(ResultError, match=rf"holds what Airtune did not write \({named}\)"):
        files_to_replace(folder)


def test_an_empty_folder_of_somebody_else_stops_the_replacement(folder):
    (folder / "b").mkdir()
    with pytest.raises(ResultError, match=r"did not write \(b\)"):
        files_to_replace(folder)


def test_many_files_of_somebody_else_are_counted(folder):
    for number in range(5):
        (folder / f"n{number}").write_text("x")
    with pytest.raises(ResultError, match=r"\(n0, n1, n2 and 2 more\)"):
        files_to_replace(folder)


@pytest.mark.parametrize("name", ["a", "a/seed1", "a/seed1/rounds.csv", "report.html", MANIFEST])
def test_a_link_in_the_place_of_ours_is_somebody_elses(folder, tmp_path, name):
    outside = tmp_path / "outside"
    (folder / name).rename(outside)
    (folder / name).symlink_to(outside)
    with pytest.raises(ResultError, match=rf"did not write \({name}\)"):
        files_to_replace(folder)
    with pytest.raises(ResultError, match="is a link, nothing is written through it"):
        check_no_link(folder, folder / name)


def test_a_folder_reached_by_a_link_is_replaced_like_itself(folder, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(folder)
    assert len(files_to_replace(link)[0]) == len(FILES) + 1
    check_no_link(link, link / "a" / "seed1" / "rounds.csv")


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "a//b", "./a"])
def test_a_record_that_points_outside_is_refused(folder, name):
    with (folder / RECORD).open("a") as file:
        file.write(f"{name}\n")
    with pytest.raises(ResultError, match="damaged: must hold paths inside the folder, got"):
        files_to_replace(folder)


def test_a_file_is_recorded_once(folder):
    add_to_record(folder, ["report.html", "new.csv", "new.csv"])
    assert recorded(folder) == {*FILES, "new.csv"}
    assert (folder / RECORD).read_text().count("new.csv") == 1


def test_an_unused_folder_holds_at_most_what_a_killed_start_leaves(folder, tmp_path):
    assert not is_unused(folder)
    empty = tmp_path / "empty"
    (empty / ".airtune").mkdir(parents=True)
    assert is_unused(empty)
    (empty / ".airtune" / "lock").write_text("")
    assert is_unused(empty)
    (empty / ".airtune" / "other").write_text("")
    assert not is_unused(empty)


def test_a_draft_of_a_manifest_is_what_a_killed_run_leaves(tmp_path):
    (tmp_path / MANIFEST_DRAFT).write_text("{}")
    assert not is_unused(tmp_path), "nothing else says that it is ours"
    (tmp_path / ".airtune").mkdir()
    assert is_unused(tmp_path)
    (tmp_path / "scenario.yaml").write_text("name: mine")
    assert not is_unused(tmp_path)
