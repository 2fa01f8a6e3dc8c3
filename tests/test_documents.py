"""What the documents promise exists: scenario, commands, links, tests, decisions."""

import ast
import dataclasses
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import airtune
from scenarios.cli import main
from scenarios.load import load
from scenarios.single import ROW_TYPES
from tests.scenarios.conftest import SMALL
from tools.import_graph import FLOORS, floors

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def block(name, language):
    text = (ROOT / name).read_text(encoding="utf-8")
    (found,) = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return found


def test_documents_were_found():
    assert {"README.md", "CONTRIBUTING.md", "CHANGELOG.md"} <= {path.name for path in DOCUMENTS}


def test_scenario_of_the_readme_is_valid(tmp_path):
    path = tmp_path / "rank_or_bandwidth.yaml"
    path.write_text(block("README.md", "yaml"), encoding="utf-8")
    scenario = load(str(path), [])
    assert scenario.seeds == (1, 2, 3)
    assert len(scenario.methods) == 2


def test_python_of_the_readme_runs_as_a_file(tmp_path):
    code, scaled = block("README.md", "python"), json.dumps([*SMALL, "methods=[{kind: fedit}]"])
    assert code.count('["seeds=[1, 2, 3]", "radio.scheduler=round_robin"]') == 1
    code = code.replace('["seeds=[1, 2, 3]", "radio.scheduler=round_robin"]', scaled)
    (tmp_path / "study.py").write_text(code, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "study.py"], cwd=tmp_path, capture_output=True, text=True, check=False,
        timeout=300, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    pictures = done.stdout.split()
    assert pictures
    assert all((tmp_path / picture).is_file() for picture in pictures)


def test_commands_of_the_readme_are_those_there_are(capsys):
    table = set(re.findall(r"^\| `airtune (\w+)", (ROOT / "README.md").read_text("utf-8"), re.M))
    with pytest.raises(SystemExit):
        main(["--help"])
    there_are = set(re.findall(r"^ {4}(\w+) ", capsys.readouterr().out, re.M))
    assert table == there_are


def test_names_used_in_the_readme_exist():
    tree = ast.parse(block("README.md", "python"))
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == "airtune"
    }
    assert used
    assert used <= set(airtune.__all__)


def test_every_file_and_column_of_a_run_is_documented():
    """In the order of the columns, and nothing else."""
    text = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    sections = re.split(r"^## `(\w+)\.csv`$", text, flags=re.M)
    documented = {
        name: re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", section, re.M)))
        for name, section in zip(sections[1::2], sections[2::2], strict=True)
    }
    written = {
        name: [field.name for field in dataclasses.fields(kind)] for name, kind in ROW_TYPES.items()
    }
    assert documented == written


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    links = re.findall(r"(?<!!)\[[^\]]*\]\(([^)#]+)\)", text)
    dead = [x for x in links if "://" not in x and not (path.parent / x).exists()]
    assert not dead


def test_named_tests_exist():
    named = [
        match
        for path in DOCUMENTS
        for match in re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", path.read_text("utf-8"))
    ]
    assert len(named) >= 4
    for file, test in named:
        assert (ROOT / file).is_file(), file
        assert not test or f"def {test}(" in (ROOT / file).read_text(encoding="utf-8")


def test_every_decision_is_listed_and_has_its_parts():
    folder = ROOT / "docs" / "adr"
    index = (folder / "README.md").read_text(encoding="utf-8")
    decisions = sorted(folder.glob("[0-9]*.md"))
    assert len(decisions) >= 7
    assert [path.name[:4] for path in decisions] == [
        f"{number:04d}" for number in range(1, len(decisions) + 1)
    ]
    for path in decisions:
        text = path.read_text(encoding="utf-8")
        assert path.name in index
        for part in ("Status:", "## Context", "## Decision", "## Consequences", "## What would"):
            assert part in text, f"{path.name}: {part}"


def test_the_page_of_the_wings_names_every_folder():
    text = (ROOT / "docs" / "wings.md").read_text(encoding="utf-8")
    folders = [name for package in FLOORS for name in floors(package)]
    assert len(folders) > 20
    for name in folders:
        package, _, wing = name.partition(".")
        if (ROOT / package / wing).is_dir():
            assert f"`{wing}`" in text, name
