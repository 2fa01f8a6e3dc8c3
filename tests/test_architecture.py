"""Who may import whom, and what library code never does; read from the source text."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from fl.methods import METHODS
from fl.server.modes import MODES
from tools.import_graph import FLOORS, circles, floors, graph, unused, upward, wing

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("netsim", "fl", "scenarios", "analysis")
LEARNING = {"torch", "transformers", "peft", "trl", "datasets", "tokenizers", "safetensors"}
FORBIDDEN = {
    "netsim": {"fl", "scenarios", "analysis", "pydantic", "tests", "benchmarks"} | LEARNING,
    "fl": {"netsim", "scenarios", "analysis", "pydantic", "tests", "benchmarks"},
    "analysis": {"netsim", "fl", "scenarios", "pydantic", "simpy", "tests", "benchmarks"}
    | LEARNING,
    "scenarios": {"tests", "benchmarks"},
}
SEEDED = {"Generator", "SeedSequence", "PCG64", "BitGenerator", "default_rng"}
"""Names of ``numpy.random`` without hidden state, given that ``default_rng`` gets a seed."""
TORCH_GLOBAL = {"manual_seed", "seed", "set_rng_state"}
MAY_PRINT = {"scenarios/cli.py"}
MAY_SEED = {"fl/global_generators.py"}
"""Saves, seeds and restores the global generators, for code that draws from them all the same."""


def sources(package):
    files = sorted((ROOT / package).rglob("*.py"))
    assert len(files) > 1, f"no source found below {ROOT / package}"
    return files


def is_in(path, names):
    return str(path.relative_to(ROOT)) in names


def dotted(node):
    """Name of ``a.b.c``, or empty for anything that is not a plain chain of names."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def imported(tree):
    """(line, dotted module) of every import, wherever it stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.lineno, "." * node.level + (node.module or "")


def import_faults(source, package):
    for line, name in imported(ast.parse(source)):
        if name.startswith("."):
            yield line, "relative import"
        elif name.split(".")[0] in FORBIDDEN[package]:
            yield line, f"{package} must not import {name}"
        elif name == "__future__":
            yield line, "string annotations defeat the shape checks"
        elif name.split(".")[0] == "random":
            yield line, "global randomness: import random"


def code_faults(source, *, may_print=False):
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            yield node.lineno, "assert vanishes under python -O: raise"
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield node.lineno, "bare except"
        if isinstance(node, ast.Call):
            fault = _call_fault(dotted(node.func), node)
            if fault and not (may_print and fault == "print"):
                yield node.lineno, fault
    for node in tree.body:
        value = getattr(node, "value", None)
        if isinstance(value, ast.Call):
            name = dotted(value.func).split(".")[-1]
            if name in {"default_rng", "stream"}:
                yield node.lineno, "generator made at import"


def _call_fault(name, node):
    *front, last = name.split(".")
    if name == "print":
        return "print"
    if last == "default_rng" and not (node.args or node.keywords):
        return "default_rng() without a seed"
    if front in (["np", "random"], ["numpy", "random"]) and last not in SEEDED:
        return f"global randomness: {name}"
    if front in (["torch"], ["torch", "random"], ["torch", "cuda"]) and last in TORCH_GLOBAL:
        return f"global randomness: {name}"
    return None


@pytest.mark.parametrize("package", PACKAGES)
def test_imports(package):
    faults = [
        f"{path.relative_to(ROOT)}:{line}: {fault}"
        for path in sources(package)
        for line, fault in import_faults(path.read_text(encoding="utf-8"), package)
        if not (fault.startswith("global randomness") and is_in(path, MAY_SEED))
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("package", PACKAGES)
def test_library_code(package):
    faults = [
        f"{path.relative_to(ROOT)}:{line}: {fault}"
        for path in sources(package)
        for line, fault in code_faults(
            path.read_text(encoding="utf-8"),
            may_print=is_in(path, MAY_PRINT),
        )
        if not (fault.startswith("global randomness") and is_in(path, MAY_SEED))
    ]
    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("source", "package"),
    [
        ("import torch", "netsim"),
        ("def f():\n    from fl.rows import RoundRow", "netsim"),
        ("import netsim.units as units", "fl"),
        ("from netsim import streams", "analysis"),
        ("from . import units", "netsim"),
        ("from __future__ import annotations", "fl"),
        ("import random", "scenarios"),
    ],
)
def test_import_rule_can_fail(source, package):
    assert list(import_faults(source, package))


@pytest.mark.parametrize(
    "source",
    [
        "def f(x):\n    assert x",
        "print(1)",
        "import numpy as np\nnp.random.seed(1)",
        "import numpy as np\nx = np.random.normal()",
        "import numpy as np\ndef f():\n    return np.random.default_rng()",
        "from numpy.random import default_rng\nRNG = default_rng(3)",
        "import torch\ntorch.manual_seed(1)",
        "try:\n    pass\nexcept:\n    pass",
    ],
)
def test_code_rule_can_fail(source):
    assert list(code_faults(source))


def test_harmless_code_passes():
    source = "import numpy as np\ndef f(rng: np.random.Generator):\n    return rng.normal()\n"
    assert not list(import_faults(source, "netsim"))
    assert not list(code_faults(source))


@pytest.mark.parametrize("package", ["netsim", "analysis"])
def test_package_runs_without_torch(package):
    """Import every module of the package where torch, the learner and pydantic cannot be found."""
    names = [
        ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for path in sources(package)
    ]
    blocked = sorted(FORBIDDEN[package] - {"tests", "benchmarks"})
    code = (
        "import importlib, sys\n"
        "class Gone:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] in {blocked!r}: raise ModuleNotFoundError(name)\n"
        "sys.meta_path.insert(0, Gone())\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_every_wing_has_a_floor():
    for package in FLOORS:
        wings = {wing(name) for name in graph([package]) if "." in name}
        assert wings == set(floors(package))


@pytest.mark.parametrize("package", FLOORS)
def test_wings_import_lower_floors_only(package):
    arrows = graph([package])
    assert sum(len(targets) for targets in arrows.values()) > 50
    assert not upward(arrows, package)


def test_there_is_no_import_circle():
    assert circles(graph()) == []


def test_no_file_serves_tests_alone():
    by_name = [entry.module for entry in (*METHODS.values(), *MODES.values())]
    assert len(by_name) > 10
    assert unused(graph(), loaded_by_name=by_name) == []


def test_rules_on_imports_can_fail():
    up = {"netsim.phy.mcs": {"netsim.mac.demand"}, "netsim.mac.demand": set()}
    assert upward(up, "netsim") == [("netsim.phy.mcs", "netsim.mac.demand")]
    side = {"netsim.mac.demand": {"netsim.rrc.links"}, "netsim.rrc.links": set()}
    assert upward(side, "netsim") == [("netsim.mac.demand", "netsim.rrc.links")]
    ring = {"a.x": {"a.y"}, "a.y": {"a.z"}, "a.z": {"a.x"}, "a.w": {"a.x"}}
    assert circles(ring) == [["a.x", "a.y", "a.z"]]
    assert unused(ring) == ["a.w"]
    assert unused(ring, loaded_by_name=["a.w"]) == []


def test_no_folder_of_tests_is_empty():
    folders = [path.parent for path in (ROOT / "tests").rglob("__init__.py")]
    assert len(folders) > 20
    assert [str(folder) for folder in folders if not any(folder.rglob("test_*.py"))] == []
