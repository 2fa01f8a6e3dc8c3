"""The collector rests while torch is loaded, and a check loads no more than it needs."""

import gc
import subprocess
import sys

import pytest

from scenarios.heavy_imports import heavy_imports
from tests.scenarios.conftest import SMALL

UNUSED = "datasets matplotlib networkx pandas peft sklearn trl"
"""Large packages that no check of built-in model, texts and methods needs."""


@pytest.fixture
def without_torch(monkeypatch):
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    monkeypatch.setattr(gc, "freeze", lambda: frozen.append(gc.isenabled()))
    frozen = []
    return frozen


def test_the_collector_rests_and_what_was_loaded_is_exempt(without_torch):
    with heavy_imports():
        assert not gc.isenabled()
    assert gc.isenabled()
    assert without_torch == [False]  # exempt before it is looked through once


def test_an_import_that_fails_turns_the_collector_on_again(without_torch):
    with pytest.raises(ImportError), heavy_imports():
        raise ImportError
    assert gc.isenabled()
    assert without_torch == []


def test_nothing_is_done_once_torch_is_loaded(without_torch, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", sys)
    with heavy_imports():
        assert gc.isenabled()
    assert without_torch == []


def test_a_check_of_built_in_parts_loads_no_library_that_only_others_need():
    code = (
        "import gc, sys; from scenarios.cli import main;"
        "status = main(['validate', 'quickstart', *sys.argv[1:]]);"
        f"extra = sys.modules.keys() & set({UNUSED.split()});"
        "print('torch' in sys.modules, gc.isenabled(), gc.get_freeze_count() > 300_000, extra);"
        "sys.exit(status)"
    )
    options = [part for setting in SMALL for part in ("--set", setting)]
    done = subprocess.run(
        [sys.executable, "-c", code, *options], check=True, capture_output=True, text=True
    )
    assert done.stdout.splitlines()[-1] == "True True True set()"


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["list"], ["run", "--help"]])
def test_what_needs_no_library_loads_none(words):
    code = (
        "import sys\n"
        "from scenarios.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "sys.stderr.write(' '.join(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    )
    assert not {"torch", "numpy", "scipy", "matplotlib", "pandas"} & set(done.stderr.split())
    assert done.stdout
