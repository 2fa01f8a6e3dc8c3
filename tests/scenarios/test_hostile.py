"""Whatever stands in an argument or a file: a few short lines at once, never a traceback."""

import time
from pathlib import Path

import pytest

from scenarios.cli import main
from scenarios.errors import MAX_PROBLEMS
from scenarios.output import MAX_LINE, MAX_LINES
from tests.scenarios.conftest import STUDY

LONG = "x" * 900_000
TEXTS = {
    "long": LONG,
    "a name beyond file systems": "x" * 300,
    "many folders": "x/" * 100_000,
    "control": "a\nb\x1b[2J",
    "null": "a\0b",
    "surrogate": "\ud800",
    "empty": "",
}
WITH_FILES = ("validate", "run", "map")
VALUES = {
    "no assignment": "a" * 2_000_000,
    "long name": f"name={LONG}",
    "many seeds": "seeds=[" + "1," * 100_000 + "]",
    "deep list": "a=" + "[" * 10_000,
    "deep key": "x" + ".y" * 100_000 + "=1",
    "open mappings": "data=" + "{a: " * 500,
    "long scheduler": f"radio.scheduler={LONG}",
    "long scheduler file": f"radio.scheduler={LONG}.py:Mine",
    "long scheduler class": f"radio.scheduler=mine.py:{LONG}",
    "long model": f"model.name={LONG}",
    "long data file": f"data={{source: files, train: {LONG}, test: b.csv}}",
    "long hub name": f"data={{source: hub, name: {LONG}}}",
    "long trace": f"world.mobility={{kind: trace, path: {LONG}}}",
    "long device file": f"clients.devices={{path: {LONG}}}",
    "long device": f"clients.devices={{{'x' * 900}: 1}}",
    "long method": f"methods=[{{kind: {LONG}}}]",
    "long method file": f"methods=[{{kind: /x/{LONG}.py:Mine}}]",
    "long label": f"methods=[{{kind: head, label: {LONG}}}]",
    "long knob": f"matrix={{{'k' * 1000}: [1]}}",
    "long preset": f"preset={LONG}",
    "many methods": "methods=[" + "{kind: none}," * 300 + "]",
    "long integer": "server.num_rounds=0x" + "f" * 4300,
    "surrogate": 'model.name="\\ud800"',
    "null": 'radio.scheduler="a\\0b.py:Mine"',
}


@pytest.fixture
def answer(capsys, tmp_path, monkeypatch):
    """Give the exit code of a command, checked to say little and to say it soon."""
    monkeypatch.chdir(tmp_path)

    def ask(*arguments):
        started_s = time.process_time()
        try:
            code = main(list(arguments))
        except SystemExit as error:  # of the parser of arguments
            code = error.code
        lines = capsys.readouterr().err.splitlines()
        assert time.process_time() - started_s < 20
        assert 1 <= len(lines) <= MAX_LINES
        assert max(map(len, lines)) <= MAX_LINE + 40  # the name of the command stands before
        assert not any("Traceback" in line for line in lines)
        assert all(line.isprintable() for line in lines)
        return code

    return ask


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("verb", [*WITH_FILES, "report", "list"])
def test_a_name_of_any_kind_is_refused(answer, verb, name):
    assert answer(verb, TEXTS[name]) == 2


@pytest.mark.parametrize("name", TEXTS)
def test_a_folder_to_compare_of_any_kind_is_refused(answer, name):
    assert answer("compare", TEXTS[name], "--target", "accuracy=0.5") == 2


@pytest.mark.parametrize("name", ["long", "a name beyond file systems", "null", "empty"])
def test_a_new_file_of_any_name_is_refused(answer, name):
    assert answer("new", TEXTS[name]) == 2


@pytest.mark.parametrize("name", VALUES)
def test_a_value_of_any_kind_is_refused(answer, name):
    for verb in WITH_FILES if name.startswith("long") and "file" in name else ("validate",):
        if verb == "map" and ("method" in name):
            continue  # a map needs no method
        assert answer(verb, STUDY, "--set", VALUES[name]) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", STUDY, "--seeds", "1," * 1_000_000),
        ("run", STUDY, "--seeds", "9" * 1_000_000),
        ("run", STUDY, "--jobs", "9" * 5000),
        ("map", STUDY, "--seed", "9" * 5000),
        ("map", STUDY, "--out", "x" * 5000 + ".png"),
        ("map", STUDY, "--out", "a\0b.png"),
        ("compare", "none", "--target", "x" * 1_000_000),
        ("compare", "none", "--target", "accuracy=" + "9" * 100_000),
    ],
)
def test_an_option_of_any_kind_is_refused(answer, arguments):
    assert answer(*arguments) == 2


@pytest.mark.parametrize(
    "content",
    [
        f"name: {LONG}\n".encode(),
        b"name: " + b"x" * 2_000_000,
        bytes(range(256)) * 100,
        b"".join(b"unknown_%d: 1\n" % number for number in range(300)),
        b"[" * 100_000,
        b"a0: &a0 [1]\n"
        + b"".join(b"a%d: &a%d [%s]\n" % (n, n, b"*a%d, " % (n - 1) * 9) for n in range(1, 9)),
    ],
    ids=["long value", "long line", "bytes", "300 problems", "deep", "aliases"],
)
def test_a_file_of_any_content_is_refused(answer, tmp_path, content):
    (tmp_path / "s.yaml").write_bytes(content)
    assert answer("validate", "s.yaml") == 2


def test_problems_that_are_not_shown_are_counted_once(capsys, tmp_path):
    """All of 300 problems are shown or counted: no line that counts is itself left out."""
    file = tmp_path / "s.yaml"
    file.write_text("".join(f"k{number}: !foo x\n" for number in range(300)))
    assert main(["validate", str(file)]) == 2
    *shown, last = capsys.readouterr().err.splitlines()
    assert len(shown) == MAX_PROBLEMS
    assert last == f"airtune: and {300 - len(shown)} more problems"


@pytest.mark.parametrize(
    "content", ["[" * 100_000, f'{{"schema": "{LONG}"}}', LONG, "\x00", "null"]
)
@pytest.mark.parametrize("verb", ["report", "compare"])
def test_a_manifest_of_any_content_is_refused(answer, tmp_path, verb, content):
    (tmp_path / "results").mkdir()
    (Path("results") / "manifest.json").write_text(content)
    option = ["--target", "accuracy=0.5"] if verb == "compare" else []
    assert answer(verb, "results", *option) == 2
