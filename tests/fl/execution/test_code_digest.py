"""The digest of code moves with the code that a job runs, and with no other."""

import hashlib
from importlib.metadata import version
from pathlib import Path

import pytest

import fl
from fl.execution import code_digest
from fl.execution.code_digest import imported_modules, library_versions


def forget():
    for function in (code_digest._file_of, code_digest._read, code_digest.code_digest):
        function.cache_clear()


@pytest.fixture
def package(tmp_path, monkeypatch):
    """Sources of ``fl`` that are made up; digests of them are not kept."""
    files = {
        "a.py": "import json\nfrom fl.b import thing\nfrom fl import c\n",
        "b.py": "def thing():\n    import fl.d\n",
        "c/__init__.py": "",
        "d.py": "import fl.a\n",
        "e.py": "import numpy\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)

    class Spec:
        submodule_search_locations = (str(tmp_path),)

    monkeypatch.setattr(code_digest, "find_spec", lambda _: Spec)

    def digest(*modules):
        forget()
        return code_digest.code_digest(*modules)

    yield tmp_path, digest
    forget()


@pytest.mark.parametrize("changed", ["a.py", "b.py", "c/__init__.py", "d.py"])
def test_a_change_of_anything_that_is_imported_moves_the_digest(package, changed):
    folder, digest = package
    before, alone = digest("fl.a"), digest("fl.e")
    path = folder / changed
    path.write_text(path.read_text() + "# more\n")
    assert digest("fl.a") != before
    assert digest("fl.e") == alone


def test_a_change_elsewhere_leaves_it(package):
    folder, digest = package
    before = digest("fl.a")
    (folder / "e.py").write_text("import torch\n")
    assert digest("fl.a") == before == digest("fl.a", "fl.b")
    assert digest("fl.a", "fl.e") != before


def test_it_is_the_hash_of_names_lengths_and_sources(package):
    _, digest = package
    assert digest("fl.e") == hashlib.sha256(b"fl.e 13 import numpy\n").hexdigest()


def test_an_unknown_module_is_named(package):
    _, digest = package
    with pytest.raises(ModuleNotFoundError, match=r"no module 'fl\.nothing' in fl"):
        digest("fl.nothing")


def test_only_our_modules_are_followed_wherever_they_are_imported():
    source = Path(fl.__file__).with_name("execution").joinpath("procedures.py").read_bytes()
    assert "fl.training.supervised" in imported_modules(source)
    assert all(name.split(".")[0] == "fl" for name in imported_modules(source))
    inner = b"def f():\n    from fl.training import batches\n    import fl.payload, os\n"
    assert imported_modules(inner) == ["fl.training.batches", "fl.payload"]


def test_versions_are_the_installed_ones():
    assert library_versions() == {
        name: version(name) for name in ("torch", "transformers", "peft", "tokenizers")
    }
