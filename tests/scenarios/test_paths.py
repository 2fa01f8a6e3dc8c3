"""Paths of a file begin at the file, those of an option where the command is given."""

import os
import shutil
from pathlib import Path

import pytest

from scenarios.check import check
from scenarios.cli import main
from scenarios.errors import ScenarioError
from scenarios.load import find, load, load_with_places
from scenarios.own_files import own_file_digests
from scenarios.result_folder import ResultFolder
from scenarios.schema import to_data
from scenarios.variants import variants

ROOT = Path(__file__).parents[2]
STUDY = """\
name: study
seeds: [1]
world:
  environment: uma
  layout: {kind: hexagonal, num_sites: 1, isd_m: 500}
  carrier_hz: 3.5e9
radio: {bandwidth_hz: 20e6, subcarrier_spacing_hz: 30e3, scheduler: "own_scheduler.py:NearlyDone"}
clients: {num_clients: 3, devices: {phone_mid: 1.0}}
data: {source: files, train: data/train.csv, test: data/test.csv}
model: {name: tiny-encoder, max_tokens: 32}
training: {local_steps: 2, batch_size: 4, learning_rate: 1e-2}
server: {mode: sync, num_rounds: 1, policy: {kind: random, num_clients: 2}}
methods: [{kind: "own_method.py:MedianHead"}]
"""
TRACE = "client_id,at_s,x_m,y_m\n" + "".join(f"{i},0,{100 + i},0\n" for i in range(3))

PHONES = "name,share,sustained_flop_per_s,compute_w,memory_bytes\nmine,1,6e10,4.2,3e9\n"


@pytest.fixture
def study(tmp_path):
    """A folder with a study, its texts, its trace and its own code."""
    folder = tmp_path / "study"
    (folder / "data").mkdir(parents=True)
    for name in ("own_scheduler.py", "own_method.py"):
        shutil.copy(ROOT / "docs" / "examples" / name, folder)
    for name, rows in (("train", range(40)), ("test", range(40, 50))):
        lines = [f"{'good' if i % 2 else 'bad'} film {i},{'pos' if i % 2 else 'neg'}" for i in rows]
        (folder / "data" / f"{name}.csv").write_text("text,label\n" + "\n".join(lines) + "\n")
    (folder / "walk.csv").write_text(TRACE)
    (folder / "phones.csv").write_text(PHONES)
    (folder / "study.yaml").write_text(STUDY)
    return folder


def test_a_study_is_valid_from_anywhere(study, monkeypatch, capsys):
    for place in ("/", study, study.parent):
        monkeypatch.chdir(place)
        file = os.path.relpath(study / "study.yaml")
        assert main(["validate", file]) == 0, capsys.readouterr().err
    scenario = load(file)
    assert scenario.data.train == f"{study}/data/train.csv"
    assert scenario.radio.scheduler == f"{study}/own_scheduler.py:NearlyDone"
    assert scenario.methods[0].kind == f"{study}/own_method.py:MedianHead"


def test_the_resolved_scenario_of_a_result_runs_again_from_anywhere(study, monkeypatch, tmp_path):
    monkeypatch.chdir(study)
    options = ["world.mobility={kind: trace, path: walk.csv}", "clients.devices={path: phones.csv}"]
    scenario = load("study.yaml", options)
    assert own_file_digests(variants(scenario)).keys() >= {f"{study}/phones.csv"}
    folder = ResultFolder(tmp_path / "out", overwrite=False)
    folder.write_scenario(to_data(scenario))
    folder.release()
    monkeypatch.chdir("/")
    again = load(tmp_path / "out" / "scenario.yaml")
    assert again == scenario
    assert check(again)["num_train_texts"] == 40


def test_a_path_of_an_option_begins_where_the_command_is_given(study, monkeypatch):
    monkeypatch.chdir(study / "data")
    scenario = load("../study.yaml", ["data.test=test.csv"])
    assert scenario.data.test == f"{study}/data/test.csv"
    assert Path(scenario.data.train).resolve() == study / "data" / "train.csv"
    monkeypatch.chdir("/")
    scenario = load(study / "study.yaml", ["data.test=test.csv"])
    assert scenario.data.test == "/test.csv"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("data.train", "~/data/train.csv"),
        ("radio.scheduler", "~/own_scheduler.py:NearlyDone"),
        ("world.mobility", {"kind": "trace", "path": "~/walk.csv"}),
        ("methods", [{"kind": "~/own_method.py:MedianHead"}]),
        ("model.name", "~/data"),
        ("clients.devices", {"path": "~/phones.csv"}),
    ],
)
def test_the_home_folder_is_known_to_every_key(study, monkeypatch, key, value):
    monkeypatch.setenv("HOME", str(study))
    data = to_data(load(study / "study.yaml", [f"{key}={value}"]))
    assert f"{study}/" in str(data[key.partition(".")[0]])
    assert "~" not in str(data)


def test_paths_of_a_case_begin_at_the_file_too(study, monkeypatch):
    monkeypatch.chdir("/")
    cases = """\
cases:
  still: {}
  walking:
    radio.scheduler: own_scheduler.py:NearlyDone
    world.mobility: {kind: trace, path: walk.csv}
"""
    (study / "study.yaml").write_text(STUDY + cases)
    _, walking = variants(load(study / "study.yaml"))
    assert walking.scenario.radio.scheduler == f"{study}/own_scheduler.py:NearlyDone"
    assert walking.scenario.world.mobility.path == f"{study}/walk.csv"


def test_paths_among_the_values_of_a_knob_begin_at_the_file_too(study, monkeypatch):
    monkeypatch.chdir("/")
    shutil.copy(study / "own_scheduler.py", study / "data")
    matrix = """\
matrix:
  radio.scheduler: [round_robin, own_scheduler.py:NearlyDone, data/own_scheduler.py:NearlyDone]
  world.mobility: [{kind: static}, {kind: trace, path: walk.csv}]
"""
    (study / "study.yaml").write_text(STUDY + matrix)
    scenario = load(study / "study.yaml")
    assert scenario.matrix["radio.scheduler"] == [
        "round_robin",
        f"{study}/own_scheduler.py:NearlyDone",
        f"{study}/data/own_scheduler.py:NearlyDone",
    ]
    assert scenario.matrix["world.mobility"][1]["path"] == f"{study}/walk.csv"
    names = [variant.name for variant in variants(scenario)]
    assert names[2].startswith("MedianHead--radio.scheduler_own_scheduler.py_NearlyDone--")
    assert names[4].startswith("MedianHead--radio.scheduler_data_own_scheduler.py_NearlyDone--")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (("data/train.csv", "gone.csv"), "data.train: {study}/gone.csv does not exist"),
        (("own_scheduler", "gone"),
         "radio.scheduler: must name a Python file before ':', got '{study}/gone.py'"),
        (("own_method", "gone"), "{study}/gone.py"),
        (("carrier_hz: 3.5e9", "carrier_hz: 3.5e9\n  mobility: {kind: trace, path: gone.csv}"),
         "world.mobility.path: must be a file, got '{study}/gone.csv'"),
        (("tiny-encoder", "./gone"), "model.name: there is no folder {study}/gone"),
    ],
)  # fmt: skip
def test_a_message_says_where_it_looked(study, monkeypatch, change, expected):
    monkeypatch.chdir("/")
    (study / "study.yaml").write_text(STUDY.replace(*change))
    with pytest.raises(ScenarioError) as caught:
        check(*load_with_places(study / "study.yaml"))
    (line,) = caught.value.problems
    assert expected.format(study=study) in line
    assert line.startswith(f"{study}/study.yaml:")


def test_a_model_folder_is_looked_for_beside_the_file(study, monkeypatch):
    monkeypatch.chdir(study / "data")
    (study / "my-model").mkdir()
    (study / "data" / "other-model").mkdir()
    assert load(study / "study.yaml", ["model.name=other-model"]).model.name.endswith("other-model")
    (study / "study.yaml").write_text(STUDY.replace("tiny-encoder", "my-model"))
    assert load(study / "study.yaml").model.name == f"{study}/my-model"
    (study / "study.yaml").write_text(STUDY.replace("tiny-encoder", "other-model"))
    with pytest.raises(ScenarioError, match="but one in the working directory: write its path"):
        load(study / "study.yaml")
    monkeypatch.chdir(study)
    assert load(study / "study.yaml").model.name == "other-model"


def test_a_folder_never_hides_a_scenario_of_the_library(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "quickstart").mkdir()
    assert find("quickstart").name == "quickstart.yaml"
    with pytest.raises(ScenarioError, match=r"\./quickstart: is a folder, not a file, looked for"):
        find("./quickstart")
    with pytest.raises(
        ScenarioError, match=rf"gone.yaml: no such file, looked for {tmp_path}/gone"
    ):
        find("gone.yaml")
    with pytest.raises(ScenarioError, match=rf"neither a file \({tmp_path}/quikstart\) nor"):
        find("quikstart")
