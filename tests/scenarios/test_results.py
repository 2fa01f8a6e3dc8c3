import csv
from dataclasses import dataclass

import numpy as np
import pytest

from scenarios.errors import ResultFolderError
from scenarios.results import RunFolder


@dataclass(frozen=True)
class Row:
    a: int
    b_s: float
    c: float | None
    d: bool = True
    e: str = "x"


@pytest.fixture
def study(tmp_path):
    (tmp_path / "study").mkdir()
    return tmp_path / "study"


def open_run(study):
    return RunFolder(study / "v" / "seed1", {"rows": Row, "more": Row})


def test_rows_are_on_disk_before_the_file_is_closed(study):
    with open_run(study) as folder:
        folder.write("rows", [Row(1, 0.1, None), Row(2, 1e-9, 3.0, d=False)])
        text = (folder.path / "rows.csv").read_text()
    assert text == "a,b_s,c,d,e\n1,0.1,,true,x\n2,1e-09,3.0,false,x\n"


def test_numbers_of_numpy_are_written_like_those_of_python(study):
    with open_run(study) as folder:
        row = Row(np.int64(7), np.float64(1e22), np.float32(0.5), d=np.bool_(True), e="x, y")
        folder.write("rows", [row])
        text = (folder.path / "rows.csv").read_text()
    assert text == 'a,b_s,c,d,e\n7,1e+22,0.5,True,"x, y"\n'


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=HYPERLINK(1)", "'=HYPERLINK(1)"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@a", "'@a"),
        ("\t=1", "\\t=1"),
        ("\ra", "\\ra"),
        ("a=1", "a=1"),
    ],
)
def test_a_text_cell_is_never_a_formula(study, text, cell):
    with open_run(study) as folder:
        folder.write("rows", [Row(1, -0.5, -1.0, e=text)])
    with (study / "v" / "seed1" / "rows.csv").open(newline="") as file:
        assert list(csv.reader(file))[1] == ["1", "-0.5", "-1.0", "true", cell]


def test_a_run_whose_folder_was_taken_away_fails_and_makes_no_new_one(study):
    with open_run(study) as folder:
        folder.write("rows", [Row(1, 0.1, None)])
        study.rename(study.with_name("moved"))
        with pytest.raises(ResultFolderError, match=r"seed1: no longer the folder of this run"):
            folder.write("rows", [Row(2, 0.2, None)])
    assert not study.exists()
    with pytest.raises(ResultFolderError, match="cannot be written: No such file or directory"):
        open_run(study)
    assert not study.exists()


def test_a_run_whose_file_was_replaced_fails_and_leaves_the_other_file(study):
    with open_run(study) as folder:
        path = folder.path / "rows.csv"
        path.unlink()
        path.write_text("of another run")
        with pytest.raises(ResultFolderError, match="removed, moved or replaced"):
            folder.write("rows", [Row(2, 0.2, None)])
    assert path.read_text() == "of another run"


def test_a_full_disk_is_one_line_and_keeps_what_was_written(study, file_limit):
    with open_run(study) as folder:
        path = folder.path / "rows.csv"
        folder.write("rows", [Row(1, 0.1, None)])
        with file_limit(40), pytest.raises(ResultFolderError) as caught:
            folder.write("rows", [Row(2, 0.2, None)] * 10)
    assert str(caught.value) == f"{path}: cannot be written: File too large"
    assert path.read_text().startswith("a,b_s,c,d,e\n1,0.1,,true,x\n")


def test_a_folder_that_is_in_the_way_is_not_written_to(study):
    (study / "v" / "seed1").mkdir(parents=True)
    with pytest.raises(ResultFolderError, match="seed1: cannot be written: File exists"):
        open_run(study)
