import os
import subprocess
import sys
from pathlib import Path

import pytest

from scenarios.cli import main
from tests.scenarios.conftest import SMALL, STUDY, options

OVERRIDES = options(SMALL)


@pytest.fixture
def bad(tmp_path, capsys):
    """Run a scenario that must be refused; give what was said, and check that nothing is left."""

    def refuse(*arguments):
        out = tmp_path / "out"
        code = main(["run", STUDY, *OVERRIDES, "--out", str(out), *arguments])
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
        ("radio.bandwidth_hz=-1", "must be one of 5e6, 10e6"),
        ("radio.bandwidth_hz=21e6", "radio.bandwidth_hz"),
        ("clients.num_clients=many", "must be a whole number"),
        ("clients.num_clients=150", "10 texts x 150 clients"),
        ("model.name=no/such-model", "neither a folder nor reachable"),
        ("radio.scheduler=mine.py:Best", "must name a Python file"),
        ("clients.devices={phone_tiny: 1}", "phone_tiny"),
        ("name=../esc", "name: must be 1 to 100 letters"),
        ("name=/tmp/x", "name: must be 1 to 100 letters"),
        (f"name={'x' * 300}", "name: must be 1 to 100 letters"),
        ("name=2024-01-01", "quote it if it is text"),
        ("data.max_train_texts=2024-99-99", "got timestamp"),
        ("data.max_train_texts=!!binary aGk=", "got binary"),
        ("seeds=!!set {1, 2}", "got set"),
        ("seeds=&x [*x]", "must not contain itself"),
        ("radio={[1]: 2}", "a key must be text"),
        ("radio.fading.kind=[rayleigh]", "radio.fading.kind: must be text, one of"),
        ("radio.fading={kind: {a: 1}}", "radio.fading.kind: must be text, one of"),
        ("methods.0.kind=[fedit]", "methods.0.kind: must be text, one of"),
        ("methods=[{kind: pftt, rank: 0}]", "methods.0.rank: must be > 0, got 0"),
        ("methods=[{kind: pftt, rank: [4, 0]}]", "methods.0.rank: must be > 0, got 0"),
        ("methods=[{kind: pftt, rank: []}]", "methods.0.rank: must have at least 1 item"),
        ("methods=[{kind: pftt, rank: 2.5}]", "methods.0.rank: must be a whole number, got 2.5"),
        ("methods=[{kind: pftt, rank: [4, x]}]", "methods.0.rank: must be a whole number, got 'x'"),
        ("methods=[{kind: fedit, server_optimiser: fedadam}]", "server_optimiser: must be a map"),
        ("methods=[{kind: bitfit, server_optimiser: {kind: adam}}]", "did you mean 'fedadam'?"),
        ("methods=[{kind: fedsa_lora, proximal_weight: 0}]", "proximal_weight: must be > 0"),
        ("methods=[{kind: prefix_tuning, projection_dim: 0}]", "projection_dim: must be > 0"),
        ("methods=[{kind: local, proximal_weight: 1}]", "proximal_weight: unknown key"),
        (f"seeds=[{2**63}]", "must be a whole number of at most 64 bits"),
        ("matrix={server.targets.accuracy: [0.5, 0.6]}", "must not be one of name, seeds"),
        ("matrix={server.target_split: [personal, global]}", "must not be one of name, seeds"),
        ("matrix={training.local_steps: [1, 2, 1]}", "values must differ, got 1 more than once"),
    ],
)
def test_bad_input_is_one_clear_line(bad, assignment, words):
    (line,) = bad("--set", assignment)
    assert words in line


@pytest.mark.parametrize(
    ("seeds", "words"),
    [
        ("", "--seeds: seeds: must have at least 1 item"),
        ("1,a", "--seeds 1,a: seeds.1: must be a whole number, got 'a'"),
        ("1,1", "--seeds 1,1: seeds: must differ, got 1 more than once"),
        ("1]", "--seeds 1]: not valid YAML"),
    ],
)
def test_seeds_that_are_none_are_refused(bad, seeds, words):
    (line,) = bad("--seeds", seeds)
    assert line.startswith(f"airtune: {words}")


def test_what_shows_only_when_parts_are_loaded_has_its_place(bad):
    """Each of these is found by putting a variant together, not by reading the file."""
    methods = "methods=[{kind: local}, {kind: fedadapter}, {kind: fedit, rank: 1000}]"
    (line,) = bad("--set", methods)
    assert line.startswith(f"airtune: --set {methods}: methods.2.rank: must be <= 128")
    (line,) = bad("--set", "methods.1.rank=1000")
    assert line.startswith("airtune: --set methods.1.rank=1000: methods.1.rank: must be <= 128")
    (line,) = bad("--set", "methods=[{kind: local}, {kind: no.py:Mine}]")
    assert f"}}]: methods.1: no file {str(Path.cwd() / 'no.py')!r}" in line
    (line,) = bad("--set", "model.name=no/model")
    assert line.startswith("airtune: --set model.name=no/model: model.name: 'no/model' is neither")


def test_a_knob_is_the_place_of_what_its_value_breaks(bad, tmp_path):
    (tmp_path / "mine.py").write_text("class Other: pass\n")
    matrix = f"matrix={{radio.scheduler: [{tmp_path}/mine.py:Mine]}}"
    (line,) = bad("--set", matrix, "--set", "methods=[{kind: local}]")
    assert line.startswith("airtune: --set matrix={radio.scheduler: ")
    assert line.endswith(f": radio.scheduler: {tmp_path}/mine.py has no class 'Mine'")


def test_a_line_of_the_file_is_the_place_of_what_a_part_complains_of(tmp_path, capsys):
    text = Path(STUDY).read_text(encoding="utf-8")
    path = tmp_path / "s.yaml"
    path.write_text(text.replace("{kind: fedit, rank: 8}", "{kind: fedit, rank: 999}"))
    assert main(["validate", str(path), *OVERRIDES]) == 2
    assert capsys.readouterr().err.startswith(f"airtune: {path}:24: methods.1.rank: must be <= 128")


def test_a_scheduler_file_that_ends_the_program_is_one_clear_line(bad, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text("raise SystemExit(0)\n")
    lines = bad("--set", f"radio.scheduler={file}:Mine")
    assert len(lines) == 1
    assert "does not run: SystemExit: 0" in lines[0]


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


def test_a_reader_that_leaves_does_not_change_the_exit_code(tmp_path):
    """The answer is lost, its exit code is not: bad input stays bad input."""
    for arguments, code in ((["list", "scenarios"], 0), (["validate", "absent", "--json"], 2)):
        reading, writing = os.pipe()
        os.close(reading)
        done = subprocess.run(
            [sys.executable, "-m", "scenarios.cli", *arguments],
            stdout=writing, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
        os.close(writing)
        assert done.returncode == code
        assert "Traceback" not in done.stderr
        assert "BrokenPipe" not in done.stderr


def test_a_broken_pipe_inside_a_command_is_not_success(monkeypatch):
    def fail(options):
        raise BrokenPipeError

    monkeypatch.setattr("scenarios.commands.list_names", fail)
    with pytest.raises(BrokenPipeError):
        main(["list", "scenarios"])
