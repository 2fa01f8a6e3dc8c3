"""The wheel works outside the checkout: what it names, checks and runs lies inside it."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from scenarios.load import library

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("airtune", "netsim", "fl", "scenarios", "analysis")
VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]


def run(*words, cwd, **environment):
    done = subprocess.run(
        [*map(str, words)], cwd=cwd, capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Folder into which the wheel of this checkout is unpacked; built from a copy, so that no
    remains of an earlier build get in."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in PACKAGES:
        shutil.copytree(
            ROOT / name, folder / "source" / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "source")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    # setuptools comes from the package index where this environment has none
    isolation = ["--no-build-isolation"] if importlib.util.find_spec("setuptools") else []
    run(*pip, "wheel", "--no-deps", *isolation, "--wheel-dir", "built", "./source", cwd=folder)
    (wheel,) = (folder / "built").glob("*.whl")
    run(*pip, "install", "--no-deps", "--target", folder / "installed", wheel, cwd=folder)
    shutil.rmtree(folder / "source")
    return folder / "installed"


@pytest.fixture
def airtune(installed, tmp_path):
    """The command as the wheel installs it, called in an empty folder."""
    places = {"PYTHONPATH": str(installed), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    code = "import airtune, scenarios; print(airtune.__file__, scenarios.__file__)"
    for place in run(sys.executable, "-c", code, cwd=tmp_path, **places).split():
        assert Path(place).is_relative_to(installed)
    return lambda *words: run(installed / "bin" / "airtune", *words, cwd=tmp_path, **places)


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_packages(installed):
    git = ["git", "-C", ROOT, "ls-files", *PACKAGES]
    tracked = [name for name in run(*git, cwd=ROOT).split("\n") if name]
    assert len(tracked) > 300
    assert not [name for name in tracked if not (installed / name).is_file()]


@pytest.mark.slow
def test_the_command_lists_what_there_is(airtune):
    assert airtune("--version").split() == ["airtune", VERSION]
    assert "methods" in airtune("list").split()
    listed = json.loads(airtune("list", "scenarios", "--json"))
    assert [entry["name"] for entry in listed] == list(library())
    assert "FedTT" in airtune("list", "methods", "fedtt")


@pytest.mark.slow
def test_quickstart_is_checked_and_runs_for_two_rounds(airtune, tmp_path):
    assert json.loads(airtune("validate", "quickstart", "--json"))["is_valid"]
    settings = ["--set", "server.num_rounds=2", "--seeds", "1"]
    answer = json.loads(airtune("run", "quickstart", *settings, "--json"))
    folder = tmp_path / answer["folder"]
    assert json.loads((folder / "manifest.json").read_text("utf-8"))["status"] == "done"
    assert (folder / "report.html").is_file()
    assert len(list((folder / "figures").glob("*.png"))) > 5


def test_the_version_is_that_of_one_file():
    assert version("airtune") == VERSION
    cited = (ROOT / "CITATION.cff").read_text("utf-8").splitlines()
    assert f"version: {VERSION}" in cited
