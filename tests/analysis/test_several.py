"""Several folders as one study: methods, seeds and settings that were added later."""

import copy
import json
import shutil

import pytest

from analysis.compare import compare
from analysis.differences import final_differences
from analysis.errors import ResultError
from analysis.load import load_results
from analysis.several import load_several
from tests.analysis.synthetic import METHODS, without_metrics, write_results

SCENARIO = {
    "name": "made",
    "seeds": [1, 2, 3],
    "radio": {"scheduler": "round_robin", "fading": {"kind": "tdl", "profile": "A"}},
    "server": {"num_rounds": 12, "targets": {"accuracy": 0.8}},
    "methods": [{"kind": "fedit"}],
}


def folder_of(path, *, methods=METHODS[1:2], seeds=(1, 2, 3), change=None):
    folder = write_results(path, methods=methods, seeds=seeds, num_rounds=12)
    scenario = copy.deepcopy(SCENARIO)
    if change is not None:
        change(scenario)
    (folder / "scenario.yaml").write_text(json.dumps(scenario))  # JSON is YAML
    return folder


def only(folder, place, name):
    """Copy a folder with one of its variants."""
    shutil.copytree(folder, place)
    path = place / "manifest.json"
    manifest = json.loads(path.read_text())
    for entry in manifest["variants"]:
        if entry["name"] != name:
            shutil.rmtree(place / entry["name"])
    manifest["variants"] = [each for each in manifest["variants"] if each["name"] == name]
    manifest["runs"] = [each for each in manifest["runs"] if each["variant"] == name]
    path.write_text(json.dumps(manifest))
    return place


def test_one_folder_is_itself(tmp_path):
    folder = folder_of(tmp_path / "one")
    assert load_several([folder]).evaluations.equals(load_results(folder).evaluations)


def test_seeds_that_came_later_are_runs_of_the_same_variant(tmp_path):
    first = folder_of(tmp_path / "one", seeds=(1, 2))
    later = folder_of(tmp_path / "two", seeds=(3, 4))
    whole = load_several([first, later])
    assert [each.name for each in whole.variants] == ["fedit_r8"]
    assert whole.runs["seed"].tolist() == [1, 2, 3, 4]
    alone = [load_results(each).evaluations for each in (first, later)]
    assert len(whole.evaluations) == sum(len(each) for each in alone)


def test_a_method_that_came_later_is_paired_by_seed_as_if_run_together(tmp_path):
    together = folder_of(tmp_path / "all", methods=METHODS[1:3])
    apart = [only(together, tmp_path / each.name, each.name) for each in METHODS[1:3]]
    settings = {"metric": "accuracy", "target": 0.6}
    expected = compare(load_results(together), **settings).numbers
    assert compare(load_several(apart), **settings).numbers.equals(expected)


def test_what_scenarios_differ_in_is_a_knob(tmp_path):
    def other(scenario):
        scenario["radio"]["scheduler"] = "max_ci"
        scenario["name"] = "another name is no knob"
        scenario["server"]["targets"] = {"accuracy": 0.7}

    folders = [folder_of(tmp_path / "rr"), folder_of(tmp_path / "ci", change=other)]
    whole = load_several(folders)
    assert [dict(each.knobs) for each in whole.variants] == [
        {"radio.scheduler": "round_robin"},
        {"radio.scheduler": "max_ci"},
    ]
    assert [each.label for each in whole.variants] == [
        "FedIT, rank 8 (scheduler round_robin)",
        "FedIT, rank 8 (scheduler max_ci)",
    ]
    assert "The folders differ in radio.scheduler." in whole.notes
    numbers = final_differences(whole, by="scheduler", baseline="max_ci").numbers
    assert set(numbers["variant"]) == {"fedit_r8--scheduler=round_robin"}
    assert (numbers["num_pairs"] == 3).all()
    assert (numbers["difference"] == 0).all()


def test_of_parts_of_another_kind_the_kind_says_it_all(tmp_path):
    def other(scenario):
        scenario["radio"]["fading"] = {"kind": "rayleigh", "mode": "block"}

    whole = load_several([folder_of(tmp_path / "a"), folder_of(tmp_path / "b", change=other)])
    assert [dict(each.knobs) for each in whole.variants] == [
        {"radio.fading.kind": "tdl"},
        {"radio.fading.kind": "rayleigh"},
    ]


def test_the_same_run_twice_is_refused(tmp_path):
    folder = folder_of(tmp_path / "one")
    shutil.copytree(folder, tmp_path / "copy")
    with pytest.raises(ResultError, match="both hold fedit_r8, seed 1"):
        load_several([folder, tmp_path / "copy"])


def test_timing_alone_does_not_stand_beside_training(tmp_path):
    folder = folder_of(tmp_path / "one")
    timing = without_metrics(folder_of(tmp_path / "two", seeds=(4,)))
    with pytest.raises(ResultError, match=r"two: nothing was trained, so it cannot stand beside"):
        load_several([folder, timing])


@pytest.mark.parametrize("text", [None, "- a list", "a: [1"])
def test_a_folder_without_its_scenario_is_one_line(tmp_path, text):
    folders = [folder_of(tmp_path / "one"), folder_of(tmp_path / "two", seeds=(4,))]
    path = folders[1] / "scenario.yaml"
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    with pytest.raises(ResultError, match=r"scenario\.yaml: "):
        load_several(folders)
