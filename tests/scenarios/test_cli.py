import json

import pytest

from scenarios.cli import main
from scenarios.load import LIBRARY
from tests.scenarios.conftest import SMALL

OVERRIDES = [part for assignment in SMALL for part in ("--set", assignment)]


@pytest.fixture
def bad(tmp_path, capsys):
    """Run a scenario that must be refused; give what was said, and check that nothing is left."""

    def refuse(*arguments):
        out = tmp_path / "out"
        code = main(["run", "quickstart", *OVERRIDES, "--out", str(out), *arguments])
        said = capsys.readouterr()
        assert code == 2
        assert not out.exists()
        assert "Traceback" not in said.err
        return [line for line in said.err.splitlines() if line.startswith("airtune: ")]

    return refuse


@pytest.mark.parametrize(
    ("assignment", "words"),
    [
        ("radio.bandwith_hz=1", "did you mean 'bandwidth_hz'?"),
        ("radio.bandwidth_hz=20 MHz", "write 2e7"),
        ("radio.bandwidth_hz=.nan", "finite"),
        ("radio.bandwidth_hz=-1", "must be > 0"),
        ("radio.bandwidth_hz=21e6", "radio.bandwidth_hz"),
        ("clients.num_clients=many", "must be a whole number"),
        ("clients.num_clients=150", "10 texts x 150 clients"),
        ("model.name=no/such-model", "neither a folder nor reachable"),
        ("radio.scheduler=mine.py:Best", "must name a Python file"),
        ("clients.devices={phone_tiny: 1}", "phone_tiny"),
    ],
)
def test_bad_input_is_one_clear_line(bad, assignment, words):
    (line,) = bad("--set", assignment)
    assert words in line


def test_every_bad_key_is_named_in_one_go(bad):
    lines = bad("--set", "radio.bandwith_hz=1", "--set", "training.batch_size=0")
    assert len(lines) == 2


def test_files_that_cannot_be_used_are_one_clear_line(bad, tmp_path):
    table = tmp_path / "texts.csv"
    table.write_text("text,label\n" + "".join(f"text number {i},a\n" for i in range(300)))
    other = tmp_path / "test.csv"
    other.write_text("text,label\n" + "".join(f"another {i},{'ab'[i % 2]}\n" for i in range(50)))
    files = f"data={{source: files, partition: {{kind: iid}}, train: {table}, test: {other}}}"
    keep = ("--set", "data=null")  # drops the keys of the quickstart's own source
    (line,) = bad(*keep, "--set", files)
    assert "at least 2 classes" in line
    table.write_text("text,label\n" + "".join(f"number {i},{'ab'[i % 2]}\n" for i in range(300)))
    (line,) = bad(*keep, "--set", files.replace("}, ", "}, text: headline, ", 1))
    assert "headline" in line
    (line,) = bad(*keep, "--set", files.replace("texts.csv", "absent.csv"))
    assert "absent.csv" in line


def test_json_answers_can_be_parsed(capsys, tmp_path):
    assert main(["validate", "quickstart", *OVERRIDES, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["variants"] == ["local", "fedit", "pftt"]
    assert main(["validate", "quickstart", "--set", "seeds=x", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["errors"]
    arguments = ["--set", "methods=[{kind: fedit, rank: 2}]", "--out", str(tmp_path), "--json"]
    assert main(["run", "quickstart", *OVERRIDES, "--seeds", "1,2", *arguments]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["tables"]["summary"]
    assert main(["report", answer["folder"], "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["report"] == answer["report"]
    assert main(["run", "quickstart", *OVERRIDES, *arguments]) == 2
    assert "--overwrite" in capsys.readouterr().err


@pytest.mark.parametrize(
    "what",
    ["methods", "policies", "schedulers", "models", "datasets", "devices", "scenarios", "presets"],
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
