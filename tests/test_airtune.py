"""The package under whose name scripts use the others."""

import subprocess
import sys
from importlib.metadata import version

import pytest

import airtune
from analysis import figures
from analysis.load import load_results
from analysis.report import write_report
from scenarios.load import load
from scenarios.run import run


def test_names_are_those_of_the_packages():
    assert airtune.load is load
    assert airtune.run is run
    assert airtune.load_results is load_results
    assert airtune.write_report is write_report
    assert airtune.figures is figures
    assert airtune.__version__ == version("airtune")
    assert set(airtune.__all__) == set(dir(airtune))


def test_an_unknown_name_is_told_with_those_that_there_are():
    with pytest.raises(AttributeError, match=r"no attribute 'launch'; it has .*load_results"):
        _ = airtune.launch


def test_folders_of_a_user_are_no_obstacle_and_nothing_heavy_is_imported(tmp_path):
    for name in ("scenarios", "analysis"):
        (tmp_path / name).mkdir()
    lines = "import sys, airtune; print('torch' in sys.modules, airtune.load('quickstart').name)"
    done = subprocess.run(
        [sys.executable, "-c", lines], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == ["False", "quickstart"]
