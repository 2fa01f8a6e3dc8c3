"""Completion in a shell: what is offered for half a word."""

import os
import subprocess
import sys

import pytest

from scenarios.completion import scenario_keys

OFFERED = {
    "airtune sto": ["store "],
    "airtune run quick": ["quickstart "],
    "airtune list meth": ["methods "],
    "airtune list methods fedt": ["fedtt", "fedtt_plus"],
    "airtune run quickstart --set model.cost": ["model.cost_as="],
    "airtune run quickstart --exec": ["--executor "],
}


@pytest.mark.parametrize("line", OFFERED)
def test_half_a_word_is_completed(line, tmp_path):
    pytest.importorskip("argcomplete", reason="needs the extra airtune[completion]")
    answer = tmp_path / "answer"
    environment = {
        **os.environ, "_ARGCOMPLETE": "1", "COMP_LINE": line, "COMP_POINT": str(len(line)),
        "_ARGCOMPLETE_STDOUT_FILENAME": str(answer), "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_SUPPRESS_SPACE": "0",
    }  # fmt: skip
    subprocess.run([sys.executable, "-m", "scenarios.cli"], env=environment, check=True)
    assert answer.read_text("utf-8").split("\n") == OFFERED[line]


def test_keys_of_every_kind_of_a_section_are_offered_once():
    keys = list(scenario_keys(""))
    assert len(keys) == len(set(keys))
    assert {"seeds=", "radio.bandwidth_hz=", "server.buffer_size=", "data.train="} <= set(keys)
    assert "radio=" not in keys


def test_a_command_works_without_argcomplete(tmp_path):
    """A shell that asks where it is not installed gets nothing; the command itself is not run."""
    (tmp_path / "argcomplete.py").write_text("raise ImportError", "utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "scenarios.cli", "list"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "methods" in done.stdout.split()
