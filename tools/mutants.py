"""Do the tests notice a wrong line? ``python -m tools.mutants [AREA ...] [--sample N] [--seed S]``.

Changes one operator, comparison, number, sign or truth value of the source at a time (cosmic-ray)
in a copy of the project, and runs the tests of the module, then those of its wing, then those that
use the wing, until one fails. A change that no test notices has *survived*; it is printed with the
line before and after. What was read and found to be no change of behaviour stands in
``equivalent_mutants.csv`` with the reason and does not count.

A seeded sample of each area is run, by hand: it takes minutes to hours, and it is not part of the
suite. ``--line netsim/energy/ue_energy.py:98`` runs every change of one line instead. Needs a
system that can fork: each run of tests begins where the libraries are loaded already.
"""

import argparse
import ast
import compileall
import csv
import importlib
import json
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from py_compile import PycInvalidationMode

import numpy as np
import pytest
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from hypothesis import Phase, settings

ROOT = Path(__file__).resolve().parent.parent
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.csv")
GOAL = 0.9
"""Share of changes that tests have to notice."""
NEAR_LIMIT_S, LIMIT_S = 60, 300
"""A run of tests of the module or wing, or of others, that takes more time of a processor counts as
a failure: the change made it endless."""

LIBRARIES = (
    "hypothesis.strategies", "jaxtyping", "networkx", "numpy.random", "pandas", "scipy.optimize",
    "scipy.signal", "scipy.special", "scipy.stats", "simpy", "yaml",
)  # fmt: skip
"""What the tests of the radio import: loaded once."""

OPERATORS = (
    *(f"ReplaceBinaryOperator_{pair}" for pair in (
        "Add_Sub", "Sub_Add", "Mul_Div", "Div_Mul", "Pow_Mul", "Mod_Mul", "FloorDiv_Mul",
        "BitAnd_BitOr", "BitOr_BitAnd",
    )),
    *(f"ReplaceComparisonOperator_{pair}" for pair in (
        "Lt_LtE", "Lt_GtE", "LtE_Lt", "LtE_Gt", "Gt_GtE", "Gt_LtE", "GtE_Gt", "GtE_Lt",
        "Eq_NotEq", "NotEq_Eq", "Is_IsNot", "IsNot_Is",
    )),
    "ReplaceUnaryOperator_Delete_USub", "ReplaceUnaryOperator_Delete_Invert",
    "ReplaceUnaryOperator_Delete_Not", "ReplaceTrueWithFalse", "ReplaceFalseWithTrue",
    "ReplaceAndWithOr", "ReplaceOrWithAnd", "ReplaceBreakWithContinue",
    "ReplaceContinueWithBreak", "AddNot", "NumberReplacer", "ZeroIterationForLoop",
)  # fmt: skip
"""Operators of cosmic-ray that make one-line changes somebody could have made by mistake."""


Place = tuple[int, int]
"""Line, from 1, and column, from 0."""


@dataclass(frozen=True, kw_only=True)
class Area:
    """Files to change, and the tests that should notice, the nearest first."""

    files: tuple[str, ...]
    """Globs from the root."""
    tests: tuple[str, ...]
    """Folders or files of tests after those that mirror the module."""


_RADIO = ("tests/netsim/test_network.py", "tests/netsim/engines")
AREAS: dict[str, Area] = {
    "energy": Area(files=("netsim/energy/*.py",), tests=("tests/netsim/energy", *_RADIO)),
    "rrc": Area(files=("netsim/rrc/*.py",), tests=("tests/netsim/rrc", *_RADIO)),
    "transport": Area(files=("netsim/transport/*.py",), tests=("tests/netsim/transport", *_RADIO)),
    "mac": Area(files=("netsim/mac/**/*.py",), tests=("tests/netsim/mac", *_RADIO)),
    "phy": Area(files=("netsim/phy/*.py",), tests=("tests/netsim/phy", *_RADIO)),
    "training": Area(files=("fl/training/*.py",), tests=("tests/fl/training", "tests/fl/server")),
    "server": Area(files=("fl/server/**/*.py",), tests=("tests/fl/server",)),
    "averaging": Area(
        files=("fl/methods/averaging.py",), tests=("tests/fl/methods/test_averaging.py",)
    ),
}


@dataclass(frozen=True, kw_only=True)
class Mutant:
    """One change of one line."""

    path: str
    operator: str
    occurrence: int
    line: int
    text: str
    """The line before the change, without its indentation."""


def mutants(path: str, *, root: Path = ROOT) -> Iterator[Mutant]:
    """Return every change of a file that can alter what the program does."""
    source = (root / path).read_text(encoding="utf-8")
    lines = source.splitlines()
    skipped = list(_stretches_without_behaviour(source))
    between = list(_between_operands(source))
    nodes = list(ast_nodes(get_ast(source)))
    for name in OPERATORS:
        operator = get_operator(f"core/{name}")()
        occurrence = 0
        for node in nodes:
            for start, end in operator.mutation_positions(node):
                is_operator = not name.startswith("ReplaceBinary") or _is_within(
                    start, end, between
                )
                if is_operator and not _is_within(start, end, skipped):
                    yield Mutant(
                        path=path,
                        operator=name,
                        occurrence=occurrence,
                        line=start[0],
                        text=lines[start[0] - 1].strip(),
                    )
                occurrence += 1


def _is_within(start: Place, end: Place, stretches: Iterable[tuple[Place, Place]]) -> bool:
    return any(first <= start and end <= last for first, last in stretches)


def _between_operands(source: str) -> Iterator[tuple[Place, Place]]:
    """Return where binary operators stand; a bare ``*`` among parameters is none."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.BinOp):
            left, right = node.left, node.right
            yield (left.end_lineno or 0, left.end_col_offset or 0), (right.lineno, right.col_offset)


def _stretches_without_behaviour(source: str) -> Iterator[tuple[Place, Place]]:
    """Return the stretches of source that alter nothing that a right program does.

    These are annotations, the flags of ``@dataclass`` (``frozen`` and ``kw_only`` refuse code that
    the type checker refuses as well, ``slots`` saves memory) and ``zip(strict=True)`` (refuses
    columns of unlike length, which only another fault could make).
    """
    for node in ast.walk(ast.parse(source)):
        parts: list[ast.expr | None] = []
        if isinstance(node, ast.AnnAssign | ast.arg):
            parts.append(node.annotation)
        if isinstance(node, ast.FunctionDef):
            parts.append(node.returns)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id == "dataclass":
                parts.extend(keyword.value for keyword in node.keywords)
            if node.func.id == "zip":
                parts.extend(each.value for each in node.keywords if each.arg == "strict")
        for part in parts:
            if part is not None and part.end_lineno is not None:
                start = (part.lineno, part.col_offset)
                yield start, (part.end_lineno, part.end_col_offset or 0)


def sample(area: str, *, count: int, seed: int, root: Path = ROOT) -> list[Mutant]:
    """Draw changes of an area, each equally likely; all of them when there are fewer."""
    found = [mutant for name in _files(area, root) for mutant in mutants(name, root=root)]
    rng = np.random.default_rng([seed, sorted(AREAS).index(area)])
    order = rng.permutation(len(found))[:count]
    return [found[place] for place in sorted(order)]


def of_lines(area: str, places: Sequence[str], *, root: Path = ROOT) -> list[Mutant]:
    """Return all changes of some lines, each given as ``path:number``, in files of an area."""
    return [
        mutant
        for name in _files(area, root)
        if any(place.startswith(f"{name}:") for place in places)
        for mutant in mutants(name, root=root)
        if f"{name}:{mutant.line}" in places
    ]


def _files(area: str, root: Path) -> list[str]:
    files = sorted({path for glob in AREAS[area].files for path in root.glob(glob)})
    return [str(path.relative_to(root)) for path in files if path.name != "__init__.py"]


def stages(mutant: Mutant, area: Area, *, is_near: bool = False) -> list[tuple[list[str], int]]:
    """Return the runs of tests for a change, the nearest first, and the limit of each [s].

    ``is_near`` leaves out what only uses the wing.
    """
    module = Path(mutant.path)
    mirror = Path("tests") / module.parent / f"test_{module.name}"
    nearest = [str(mirror)] if (ROOT / mirror).is_file() else []
    if (ROOT / module).is_file() and ">>> " in (ROOT / module).read_text(encoding="utf-8"):
        nearest.append(mutant.path)
    others = [each for each in area.tests if each != str(mirror)]
    far = [] if is_near else others[1:]
    runs = [(nearest, NEAR_LIMIT_S), (others[:1], NEAR_LIMIT_S), (far, LIMIT_S)]
    return [(tests, limit_s) for tests, limit_s in runs if tests]


def changed(mutant: Mutant, *, root: Path = ROOT) -> str:
    """Return the source of the file with the change."""
    source = (root / mutant.path).read_text(encoding="utf-8")
    made = mutate_code(source, get_operator(f"core/{mutant.operator}")(), mutant.occurrence)
    if made is None:
        msg = f"{mutant.path}:{mutant.line}: {mutant.operator} cannot be made"
        raise RuntimeError(msg)
    return made


def changed_line(mutant: Mutant, *, root: Path = ROOT) -> str:
    """Return the line after the change, without its indentation."""
    return changed(mutant, root=root).splitlines()[mutant.line - 1].strip()


def survives(mutant: Mutant, area: Area, *, copy: Path, is_near: bool = False) -> bool:
    """Whether no test notices a change, made in a copy of the project."""
    place = copy / mutant.path
    source = place.read_text(encoding="utf-8")
    try:
        place.write_text(changed(mutant, root=copy), encoding="utf-8")
        runs = stages(mutant, area, is_near=is_near)
        return all(_passes(tests, copy, limit_s) for tests, limit_s in runs)
    finally:
        place.write_text(source, encoding="utf-8")


def _passes(tests: Sequence[str], copy: Path, limit_s: int) -> bool:
    fork = multiprocessing.get_context("fork")
    process = fork.Process(target=_run_tests, args=(tests, copy, limit_s))
    process.start()
    process.join()
    return process.exitcode == 0


def _run_tests(tests: Sequence[str], copy: Path, limit_s: int) -> None:
    """Run tests on the copy in this process, which ends with the exit code of pytest."""
    resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s))
    with Path(os.devnull).open("r+b") as nothing:
        for stream in (0, 1, 2):
            os.dup2(nothing.fileno(), stream)
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None) or "").startswith(f"{ROOT}{os.sep}"):
            del sys.modules[name]
    os.chdir(copy)
    os.environ["PYTHONPATH"] = str(copy)
    sys.path.insert(0, str(copy))
    # Hypothesis need not look for the smallest example: it takes minutes.
    phases = (Phase.explicit, Phase.generate)
    settings.register_profile("mutants", derandomize=True, deadline=None, phases=phases)
    options = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-profile=mutants"]
    os._exit(pytest.main([*options, *tests]))


def equivalents() -> dict[tuple[str, str, str, str], str]:
    """Return why changes change nothing, by path, operator, line before and line after."""
    with EQUIVALENT.open(encoding="utf-8", newline="") as file:
        return {
            (row["path"], row["operator"], row["line"], row["changed"]): row["reason"]
            for row in csv.DictReader(file)
        }


def _copy(folder: Path) -> Path:
    """Copy what git tracks, as it is now, compiled so that a changed file is compiled again."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z"], check=True, capture_output=True, text=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    compileall.compile_dir(folder, quiet=1, invalidation_mode=PycInvalidationMode.CHECKED_HASH)
    return folder


def _load(names: Iterable[str]) -> None:
    for name in names:
        importlib.import_module(name)


def main() -> None:
    """Run the areas and print what survived; exit code 1 where an area misses the goal."""
    parser = argparse.ArgumentParser(description="Do the tests notice a wrong line?")
    parser.add_argument("areas", nargs="*", metavar="AREA", help=f"of {', '.join(AREAS)}")
    parser.add_argument("--sample", type=int, default=40, help="changes of each area")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument(
        "--line", action="append", metavar="PATH:NUMBER", help="all changes of a line instead"
    )
    parser.add_argument("--near", action="store_true", help="only tests of module and wing")
    parser.add_argument("--json", action="store_true", help="one JSON object in the end")
    options = parser.parse_args()
    if unknown := sorted(set(options.areas) - set(AREAS)):
        parser.error(f"AREA: must be one of {', '.join(AREAS)}, got {', '.join(unknown)}")
    known, table, missed = equivalents(), {}, False
    _load(LIBRARIES)
    with tempfile.TemporaryDirectory() as folder:
        copy = _copy(Path(folder))
        for name in options.areas or AREAS:
            killed, alive, excused = 0, [], 0
            started_s = time.monotonic()
            if options.line:
                chosen = of_lines(name, options.line, root=copy)
            else:
                chosen = sample(name, count=options.sample, seed=options.seed, root=copy)
            for mutant in chosen:
                after = changed_line(mutant, root=copy)
                if (mutant.path, mutant.operator, mutant.text, after) in known:
                    excused += 1
                elif survives(mutant, AREAS[name], copy=copy, is_near=options.near):
                    alive.append(mutant)
                    print(
                        f"SURVIVED {mutant.path}:{mutant.line} {mutant.operator} "
                        f"#{mutant.occurrence}\n  - {mutant.text}\n  + {after}",
                        flush=True,
                    )
                else:
                    killed += 1
            share = killed / max(killed + len(alive), 1)
            missed |= share < GOAL
            table[name] = {
                "killed": killed,
                "survived": len(alive),
                "equivalent": excused,
                "killed_fraction": round(share, 3),
                "host_s": round(time.monotonic() - started_s),
            }
            print(f"{name}: {table[name]}", flush=True)
    if options.json:
        print(json.dumps(table))
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
