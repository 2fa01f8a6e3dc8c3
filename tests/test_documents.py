"""What the documents promise exists: scenario, commands, links, tests, decisions."""

import ast
import re
from pathlib import Path

import pytest

from scenarios.load import load

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


def test_names_imported_in_the_readme_exist():
    tree = ast.parse(block("README.md", "python"))
    imports = [node for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert imports
    for node in imports:
        module = __import__(node.module, fromlist=[alias.name for alias in node.names])
        assert all(callable(getattr(module, alias.name)) for alias in node.names), node.module


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
        assert f"def {test}" in (ROOT / file).read_text(encoding="utf-8")


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
