"""Do the tests notice a wrong line? ``python -m tools.mutants [AREA ...] [--sample N] [--seed S]``.

Changes one operator, comparison, number, sign or truth value of the source at a time (cosmic-ray)
in a copy of the project, and runs the tests of the module, then those of its wing, then those that
use the wing, until one fails. A change that a test notices is *killed*, also one that makes the
tests endless (five times the processor time of the unchanged code); how many these are is printed
too. One that no test notices has *survived*; it is printed with the line before and after. Where
pytest cannot do its work, that is an *error*, which counts as not noticed. What was read and found
to be no change of behaviour stands in ``equivalent_mutants.csv`` with the reason and does not
count. The tests have to pass on the unchanged code.

A seeded sample of each area is run, by hand: it takes minutes to hours, and it is not part of the
suite. ``--line netsim/energy/tr38840_power.py:98`` runs every change of one line instead. Needs a
system that can fork, see :mod:`tools.forked_pytest`.
"""

import argparse
import ast
import compileall
import csv
import importlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from py_compile import PycInvalidationMode

import numpy as np
from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator

from tools.forked_pytest import Ending, Run, UnchangedRuns, UnchangedTestsError, run_tests

ROOT = Path(__file__).resolve().parent.parent
EQUIVALENT = Path(__file__).with_name("equivalent_mutants.csv")
GOAL = 0.9
"""Share of changes that tests have to notice."""

LIBRARIES = (
    "hypothesis.strategies", "jaxtyping", "networkx", "numpy.random", "pandas", "scipy.optimize",
    "scipy.signal", "scipy.special", "scipy.stats", "simpy", "yaml",
)  # fmt: skip
"""What tests import: loaded once."""

LEARNING_LIBRARIES = (
    "datasets", "peft", "safetensors.torch", "tokenizers", "torch", "transformers",
    "transformers.models.bert.modeling_bert", "transformers.models.distilbert.modeling_distilbert",
    "transformers.models.llama.modeling_llama",
)  # fmt: skip
"""What tests of ``fl`` import besides: seconds."""

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
LEARNING_AREAS = {name for name, area in AREAS.items() if area.files[0].startswith("fl/")}


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


def stages(mutant: Mutant, area: Area, *, is_near: bool = False) -> list[list[str]]:
    """Return the runs of tests for a change, the nearest first.

    ``is_near`` leaves out what only uses the wing.
    """
    module = Path(mutant.path)
    mirror = Path("tests") / module.parent / f"test_{module.name}"
    nearest = [str(mirror)] if (ROOT / mirror).is_file() else []
    if (ROOT / module).is_file() and ">>> " in (ROOT / module).read_text(encoding="utf-8"):
        nearest.append(mutant.path)
    others = [each for each in area.tests if each != str(mirror)]
    far = [] if is_near else others[1:]
    return [tests for tests in (nearest, others[:1], far) if tests]


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


def try_out(
    mutant: Mutant, area: Area, *, copy: Path, unchanged: UnchangedRuns, is_near: bool = False
) -> Run:
    """Make a change in a copy of the project; return its first run that does not pass, or the last.

    Raises
    ------
    tools.forked_pytest.UnchangedTestsError
        If the tests do not pass without the change.
    """
    place = copy / mutant.path
    source = place.read_text(encoding="utf-8")
    for tests in stages(mutant, area, is_near=is_near):
        limit_s = unchanged.limit_s(tests)
        try:
            place.write_text(changed(mutant, root=copy), encoding="utf-8")
            run = run_tests(tests, copy=copy, limit_s=limit_s)
        finally:
            place.write_text(source, encoding="utf-8")
        if run.ending != Ending.PASSED:
            break
    return run


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


@dataclass(kw_only=True)
class Tally:
    """How the changes of an area fared."""

    endings: Counter[Ending] = field(default_factory=Counter)
    equivalent: int = 0

    @property
    def killed(self) -> int:
        """Changes that tests notice, with those that make them endless."""
        return self.endings[Ending.FAILED] + self.endings[Ending.TIMEOUT]

    @property
    def share(self) -> float | None:
        """Share of changes that tests notice, of all that are not equivalent; ``None``: of none."""
        return self.killed / self.endings.total() if self.endings else None

    @property
    def misses_goal(self) -> bool:
        """Whether fewer changes are noticed than :data:`GOAL` asks for."""
        return self.share is not None and self.share < GOAL

    def row(self) -> dict[str, float | None]:
        """Return the numbers that are printed."""
        return {
            "killed": self.killed,
            "of_these_timeout": self.endings[Ending.TIMEOUT],
            "survived": self.endings[Ending.PASSED],
            "error": self.endings[Ending.ERROR],
            "equivalent": self.equivalent,
            "killed_fraction": None if self.share is None else round(self.share, 3),
        }


def tally(
    chosen: Iterable[Mutant],
    area: Area,
    *,
    copy: Path,
    unchanged: UnchangedRuns,
    is_near: bool = False,
) -> Tally:
    """Try out changes of an area and print each that no test notices, and each error."""
    known, total = equivalents(), Tally()
    for mutant in chosen:
        after = changed_line(mutant, root=copy)
        if (mutant.path, mutant.operator, mutant.text, after) in known:
            total.equivalent += 1
            continue
        run = try_out(mutant, area, copy=copy, unchanged=unchanged, is_near=is_near)
        total.endings[run.ending] += 1
        if run.ending != Ending.FAILED:
            word = "survived" if run.ending == Ending.PASSED else f"{run.ending} ({run.reason})"
            print(
                f"{word} {mutant.path}:{mutant.line} {mutant.operator} "
                f"#{mutant.occurrence}\n  - {mutant.text}\n  + {after}",
                flush=True,
            )
    return total


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the areas and print what survived; return 1 where an area misses the goal.

    Parameters
    ----------
    arguments
        In place of those of the command.
    """
    parser = argparse.ArgumentParser(description="Do the tests notice a wrong line?")
    parser.add_argument("areas", nargs="*", metavar="AREA", help=f"of {', '.join(AREAS)}")
    parser.add_argument("--sample", type=int, default=40, help="changes of each area")
    parser.add_argument("--seed", type=int, default=1, help="of the sample")
    parser.add_argument(
        "--line", action="append", metavar="PATH:NUMBER", help="all changes of a line instead"
    )
    parser.add_argument("--near", action="store_true", help="only tests of module and wing")
    parser.add_argument("--json", action="store_true", help="one JSON object in the end")
    options = parser.parse_args(arguments)
    if unknown := sorted(set(options.areas) - set(AREAS)):
        parser.error(f"AREA: must be one of {', '.join(AREAS)}, got {', '.join(unknown)}")
    table: dict[str, dict[str, float | None]] = {}
    is_missed = False
    _load(LIBRARIES)
    with tempfile.TemporaryDirectory() as folder:
        copy = _copy(Path(folder))
        unchanged = UnchangedRuns(copy)
        for name in options.areas or AREAS:
            started_s = time.monotonic()
            if name in LEARNING_AREAS:
                _load(LEARNING_LIBRARIES)
            if options.line:
                chosen = of_lines(name, options.line, root=copy)
            else:
                chosen = sample(name, count=options.sample, seed=options.seed, root=copy)
            try:
                total = tally(
                    chosen, AREAS[name], copy=copy, unchanged=unchanged, is_near=options.near
                )
            except UnchangedTestsError as problem:
                print(problem, file=sys.stderr)
                return 1
            is_missed |= total.misses_goal
            table[name] = {**total.row(), "host_s": round(time.monotonic() - started_s)}
            print(f"{name}: {table[name]}", flush=True)
    if options.json:
        print(json.dumps(table))
    return 1 if is_missed else 0


if __name__ == "__main__":
    sys.exit(main())
