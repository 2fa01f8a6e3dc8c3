"""The import graph of the project, read from the source text, and the floors its wings stand on.

A *wing* is a folder of ``netsim`` or ``fl`` (or a module that stands alone beside the folders). A
wing imports only wings on lower floors; :data:`FLOORS` says which floor each is on.
"""

import ast
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("netsim", "fl", "scenarios", "analysis")

FLOORS: dict[str, tuple[tuple[str, ...], ...]] = {
    "netsim": (
        (
            "units",
            "streams",
            "problems",
            "array_like",
            "interpolation",
            "standard_table",
            "frequency_range",
        ),
        ("config", "phy", "slot_arrays"),
        ("world", "energy"),
        ("channel",),
        ("phy_abstraction",),
        ("mac", "rrc"),
        ("transport",),
        ("engines", "checks", "access_networks"),
        ("network", "map_picture", "calibration"),
    ),
    "fl": (
        (
            "problems",
            "interrupts",
            "by_client",
            "cache_folder",
            "csv_rows",
            "cycle_collection",
            "own_types",
            "payload",
            "rows",
            "metrics",
            "network",
            "global_generators",
        ),
        ("own_code", "data", "clients", "codecs"),
        ("models", "policies"),
        ("rewards",),
        ("peft", "training"),
        ("methods",),
        ("execution", "privacy"),
        ("server",),
    ),
}
"""Wings by package, from the ground up."""

ENTRIES = (
    "scenarios",
    "scenarios.cli",
    "fl.models.pretrain",
    "fl.peft.registration",
)
"""Modules that a user or a command starts from; nothing in the project has to import them."""


def modules(package: str, *, root: Path = ROOT) -> dict[str, Path]:
    """Return the source files of a package by dotted name; a folder's own file has the folder's."""
    found = {}
    for path in sorted((root / package).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        found[".".join(parts).removesuffix(".__init__")] = path
    return found


def imports(path: Path, known: Iterable[str]) -> set[str]:
    """Return the modules among ``known`` that a source file imports, wherever the import stands.

    ``from a.b import c`` is an import of ``a.b.c`` where that is a module, else of ``a.b``. Imports
    for type checkers count as well: they are dependencies of the reader.
    """
    names = set(known)
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            wanted = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            wanted = [each if each in names else node.module for each in inner]
        else:
            continue
        found.update(each for each in wanted if each in names)
    return found


def graph(packages: Iterable[str] = PACKAGES, *, root: Path = ROOT) -> dict[str, set[str]]:
    """Return, for each module of the packages, the modules of the packages that it imports."""
    files: dict[str, Path] = {}
    for package in packages:
        files |= modules(package, root=root)
    return {name: imports(path, files) - {name} for name, path in files.items()}


def wing(module: str) -> str:
    """Return the wing of a module: its package and the first name below it."""
    return ".".join(module.split(".")[:2])


def wing_graph(arrows: Mapping[str, set[str]]) -> dict[str, dict[str, int]]:
    """Return how many imports lead from each wing to each other one."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for module, targets in arrows.items():
        found[wing(module)]  # a wing without imports is a wing as well
        for target in targets:
            if wing(target) != wing(module):
                found[wing(module)][wing(target)] += 1
    return {name: dict(targets) for name, targets in found.items()}


def floors(package: str) -> dict[str, int]:
    """Return the floor of each wing of a package, 0 for the ground."""
    return {
        f"{package}.{name}": floor for floor, names in enumerate(FLOORS[package]) for name in names
    }


def circles(arrows: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that import one another in a circle, each sorted.

    Tarjan's strongly connected components of more than one module.
    """
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for target in sorted(arrows[name]):
            if target not in index:
                visit(target)
                low[name] = min(low[name], low[target])
            elif target in stack:
                low[name] = min(low[name], index[target])
        if low[name] == index[name]:
            group: list[str] = []
            while not group or group[-1] != name:
                group.append(stack.pop())
            if len(group) > 1:
                found.append(sorted(group))

    for name in sorted(arrows):
        if name not in index:
            visit(name)
    return found


def upward(arrows: Mapping[str, set[str]], package: str) -> list[tuple[str, str]]:
    """Return the imports that do not lead to a lower floor, as (importing, imported) modules.

    Raises
    ------
    KeyError
        If a wing of the package is on no floor.
    """
    height = floors(package)
    return [
        (module, target)
        for module, targets in sorted(arrows.items())
        for target in sorted(targets)
        if module.startswith(f"{package}.")
        and target.startswith(f"{package}.")
        and wing(module) != wing(target)
        and height[wing(target)] >= height[wing(module)]
    ]


def unused(arrows: Mapping[str, set[str]], *, loaded_by_name: Iterable[str] = ()) -> list[str]:
    """Return the modules that nothing in the project imports or starts from.

    Left out are packages whose own file is a docstring, ``__main__`` files and :data:`ENTRIES`.

    Parameters
    ----------
    arrows
        From :func:`graph`.
    loaded_by_name
        Modules that a table names and the program loads when it needs them.
    """
    reached = set().union(*arrows.values()) | set(ENTRIES) | set(loaded_by_name)
    packages = {name.rpartition(".")[0] for name in arrows}
    return [
        name
        for name in sorted(arrows)
        if name not in reached
        and not name.endswith(".__main__")
        and not (name in packages and not arrows[name])
    ]
