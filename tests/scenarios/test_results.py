import json
from dataclasses import dataclass

import pytest
from ruamel.yaml import YAML

from scenarios.errors import ScenarioError
from scenarios.results import (
    RunFolder,
    make_result_folder,
    provenance,
    write_manifest,
    write_scenario,
)


@dataclass(frozen=True)
class Row:
    a: int
    b_s: float
    c: float | None
    d: bool = True


def test_rows_are_on_disk_before_the_file_is_closed(tmp_path):
    with RunFolder(tmp_path / "v" / "seed1", {"rows": Row}) as folder:
        folder.write("rows", [Row(1, 0.1, None), Row(2, 1e-9, 3.0, d=False)])
        text = (folder.path / "rows.csv").read_text()
    assert text == "a,b_s,c,d\n1,0.1,,true\n2,1e-09,3.0,false\n"


def test_an_existing_folder_is_kept_unless_replacing_is_asked_for(tmp_path):
    folder = tmp_path / "study"
    make_result_folder(folder, overwrite=False)
    write_manifest(folder, {"name": "study"})
    (folder / "old.csv").write_text("x")
    with pytest.raises(ScenarioError, match="--overwrite"):
        make_result_folder(folder, overwrite=False)
    assert (folder / "old.csv").exists()
    make_result_folder(folder, overwrite=True)
    assert not (folder / "old.csv").exists()


def test_a_foreign_folder_is_never_replaced(tmp_path):
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(ScenarioError, match="not a result folder"):
        make_result_folder(tmp_path, overwrite=True)
    assert (tmp_path / "thesis.txt").exists()


def test_manifest_and_scenario_are_read_back(tmp_path):
    write_manifest(tmp_path, {"name": "x", **provenance()})
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["versions"]["numpy"]
    write_scenario(tmp_path / "scenario.yaml", {"b": 1e-3, "a": {"c": [1, None]}})
    data = YAML(typ="safe", pure=True).load(tmp_path / "scenario.yaml")
    assert data == {"b": 1e-3, "a": {"c": [1, None]}}
    assert list(data) == ["b", "a"]
