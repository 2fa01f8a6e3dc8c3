"""What each verb answers, and what it refuses in one line."""

import json
from importlib.metadata import version

import pytest

from fl.methods import METHODS as KINDS
from scenarios.catalogue import CATALOGUES
from scenarios.cli import main
from scenarios.load import LIBRARY
from tests.analysis.synthetic import METHODS, write_results
from tests.scenarios.conftest import SMALL, STUDY, options

OVERRIDES = options(SMALL)


def test_json_answers_can_be_parsed(capsys, tmp_path):
    assert main(["validate", STUDY, *OVERRIDES, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["variants"] == ["local", "fedit", "pftt"]
    assert main(["validate", STUDY, "--set", "seeds=x", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["errors"]
    arguments = ["--set", "methods=[{kind: fedit, rank: 2}]", "--out", str(tmp_path), "--json"]
    assert main(["run", STUDY, *OVERRIDES, "--seeds", "1,2", *arguments]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["tables"]["summary"]
    assert main(["report", answer["folder"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["report"] == answer["report"]
    assert main(["run", STUDY, *OVERRIDES, *arguments]) == 0
    assert json.loads(capsys.readouterr().out)["num_runs_done_before"] == 2
    assert main(["run", STUDY, *OVERRIDES, "--seeds", "1", *arguments]) == 2
    assert "--overwrite" in capsys.readouterr().err


@pytest.mark.parametrize(
    "what",
    [
        "methods",
        "policies",
        "modes",
        "schedulers",
        "models",
        "datasets",
        "devices",
        "scenarios",
        "presets",
    ],
)
def test_every_list_has_names_and_summaries(what, capsys):
    assert main(["list", what, "--json"]) == 0
    entries = json.loads(capsys.readouterr().out)
    assert entries
    assert all(entry["name"] and entry["summary"] for entry in entries)


def test_every_scenario_of_the_library_says_what_it_is():
    for path in LIBRARY.glob("*.yaml"):
        assert path.read_text(encoding="utf-8").startswith("# ")


def test_report_of_a_missing_folder_is_bad_input(tmp_path, capsys):
    assert main(["report", str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_report_that_cannot_be_written_is_bad_input(tmp_path, capsys):
    folder = write_results(tmp_path / "out", methods=METHODS[1:2], seeds=(1,), num_rounds=3)
    (folder / "figures").write_text("in the way")
    assert main(["report", str(folder)]) == 2
    said = capsys.readouterr().err
    assert said.startswith("airtune: ")
    assert "figures: File exists" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("verb", [["report"], ["compare", "--target", "accuracy=0.5"]])
def test_a_manifest_with_bad_runs_is_bad_input(tmp_path, capsys, verb):
    folder = write_results(tmp_path / "out", methods=METHODS[1:2], seeds=(1,), num_rounds=3)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "runs": [{"seed": 1}]}))
    assert main([verb[0], str(folder), *verb[1:]]) == 2
    said = capsys.readouterr().err
    assert "manifest.json: runs: must be a list of objects" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("form", "start"),
    [
        ("csv", "split,first,second,cost,difference,"),
        ("json", '[{"split":"global","first":'),
        ("md", "| model | first | second | cost | first - second | pairs | p | verdict |"),
        ("tex", "% needs \\usepackage{booktabs}"),
        ("text", "Cost to accuracy ≥ 0.5, differences paired by seed"),
    ],
)
def test_a_comparison_is_written_in_every_form(tmp_path, capsys, form, start):
    folder = write_results(tmp_path / "made", methods=METHODS[1:3], num_rounds=12)
    words = ["compare", str(folder), "--target", "accuracy=0.5", "--format", form]
    assert main(words) == 0
    assert capsys.readouterr().out.startswith(start)
    assert main([*words, "--json"]) == (0 if form == "json" else 2)


def test_rows_are_exported_beside_the_folder(tmp_path, capsys):
    folder = write_results(tmp_path / "made", methods=METHODS[1:3], num_rounds=3)
    assert main(["export", str(folder), "--to", "csv", "--json"]) == 0
    files = json.loads(capsys.readouterr().out)["files"]
    assert str(tmp_path / "made_export" / "rounds.csv") in files
    assert main(["export", str(tmp_path / "none")]) == 2
    assert "no such result folder" in capsys.readouterr().err


def test_compare_needs_something_to_compare_by(tmp_path, capsys):
    folder = write_results(tmp_path / "out", methods=METHODS[1:3], seeds=(1, 2), num_rounds=3)
    assert main(["compare", str(folder)]) == 2
    assert (
        "give --target METRIC=VALUE, --baseline METHOD, --by KNOB, or several"
        in capsys.readouterr().err
    )
    assert main(["compare", str(folder), "--baseline", METHODS[1].name, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)[0]["baseline"] == METHODS[1].name


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("accuracy=nan", "accuracy: must be a finite number, got nan"),
        ("accuracy=inf", "accuracy: must be a finite number, got inf"),
        ("accuracy=5", "accuracy: must be <= 1, got 5"),
        ("accuracy=0", "accuracy: must be > 0, got 0"),
        ("loss=-1", "loss: must be > 0, got -1"),
        ("accuracy", "must have the form METRIC=NUMBER"),
    ],
)
def test_a_target_that_no_scenario_may_have_is_refused(tmp_path, capsys, target, words):
    folder = write_results(tmp_path / "out", methods=METHODS[1:3], seeds=(1, 2), num_rounds=3)
    before = sorted(folder.rglob("*"))
    assert main(["compare", str(folder), "--target", target]) == 2
    assert capsys.readouterr().err == f"airtune: --target {target}: {words}\n"
    assert sorted(folder.rglob("*")) == before


def test_a_target_of_a_perplexity_may_exceed_one(tmp_path, capsys):
    folder = write_results(tmp_path / "out", methods=METHODS[1:3], seeds=(1, 2), num_rounds=3)
    assert main(["compare", str(folder), "--target", "perplexity=30"]) == 2
    assert "no metric 'perplexity'" in capsys.readouterr().err
    assert main(["compare", str(folder), "--target", "accuracy=1"]) == 0


@pytest.fixture
def bad_map(tmp_path, capsys, monkeypatch):
    """Ask for a map that must be refused, in an empty folder; give what was said."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "taken.png").mkdir()

    def refuse(option, value):
        assert main(["map", "quickstart", option, value]) == 2
        return capsys.readouterr().err

    return refuse


@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--seed", "-1", "--seed: must be >= 0"),
        ("--seed", str(2**63), "--seed: must be >= 0 and <= 9223372036854775807"),
        ("--out", "nowhere/map.png", "--out: must be in a folder that exists"),
        ("--out", "map.xyz", "--out: must end in one of .png, .svg, .pdf"),
        ("--out", "map", "--out: must end in one of .png, .svg, .pdf"),
        ("--out", "taken.png", "taken.png: cannot be written: Is a directory"),
    ],
)
def test_a_map_that_cannot_be_drawn_is_one_clear_line(bad_map, tmp_path, option, value, words):
    said = bad_map(option, value)
    assert words in said
    assert said.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["taken.png"]


def test_a_new_study_needs_a_file_name_that_is_a_name(tmp_path, capsys):
    path = tmp_path / "my study.yaml"
    assert main(["new", str(path)]) == 2
    assert "name: must be 1 to 100 letters" in capsys.readouterr().err
    assert not path.exists()


def test_without_a_word_there_is_help(capsys):
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == 0
    assert "COMMAND" in capsys.readouterr().out


def test_the_version_is_that_of_the_package(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"airtune {version('airtune')}\n"


def test_what_can_be_listed_is_listed(capsys):
    assert main(["list"]) == 0
    assert capsys.readouterr().out.split() == list(CATALOGUES)
    assert main(["list", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == list(CATALOGUES)


@pytest.mark.parametrize("what", CATALOGUES)
def test_all_is_told_of_each_thing(what, capsys):
    for entry in CATALOGUES[what]():
        assert main(["list", what, entry["name"], "--json"]) == 0
        told = json.loads(capsys.readouterr().out)
        assert told.items() >= entry.items()
        assert told["card"]
        assert main(["list", what, entry["name"]]) == 0
        assert capsys.readouterr().out == told["card"] + "\n"


def test_every_method_has_its_card(capsys):
    for kind in KINDS:
        assert main(["list", "methods", kind]) == 0
        assert capsys.readouterr().out.startswith("# ")


def test_a_name_that_is_none_is_one_line(capsys):
    assert main(["list", "methods", "fedttt"]) == 2
    told = "airtune: list methods fedttt: unknown name; did you mean 'fedtt'?\n"
    assert capsys.readouterr().err == told
