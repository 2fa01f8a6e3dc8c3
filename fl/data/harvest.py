"""Docstrings of installed packages, read from their source files; nothing is imported or run."""

import ast
import importlib.metadata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fl.problems import DataError

SKIPPED_PARTS = frozenset({"tests", "test", "testing", "_vendor", "externals", "conftest.py"})
"""Path parts of test and copied code, whose prose says little of the library."""

_Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceDocstring:
    """One docstring and where it stands."""

    module: str
    """Dotted module, for example ``scipy.stats._qmc``."""
    docstring: str
    """Text as ``inspect.cleandoc`` gives it: without common indentation."""
    signature: str = ""
    """Name and arguments of a function, ``def fit(self, x, *, weights)``, without annotations and
    defaults; empty for modules and classes."""


def package_version(distribution: str) -> str:
    """Return the installed version of a distribution, without its build label (``+cpu``).

    Raises
    ------
    fl.problems.DataError
        It is not installed.
    """
    try:
        return importlib.metadata.version(distribution).partition("+")[0]
    except importlib.metadata.PackageNotFoundError:
        msg = (
            f"data.source: docstrings needs the package {distribution}, which is not installed; "
            "install airtune[train]"
        )
        raise DataError(msg) from None


def read_docstrings(package: str, places: Sequence[str] = ("",)) -> Iterator[SourceDocstring]:
    """Go through the docstrings of a package in order of path, then of line.

    Parameters
    ----------
    package
        Import name, which must also be the name of its folder beside the installed metadata.
    places
        Files or folders within the package, such as ``optim`` or ``trainer.py``; all of it when
        not given.

    Raises
    ------
    fl.problems.DataError
        A place does not exist in the installed version.
    """
    root = Path(str(importlib.metadata.distribution(package).locate_file("")))
    for place in places:
        start = root / package / place
        if not start.exists():
            msg = f"data.source: docstrings expects {package}/{place} in the installed {package}"
            raise DataError(msg)
        files = [start] if start.is_file() else sorted(start.rglob("*.py"))
        for file in files:
            relative = file.relative_to(root)
            if SKIPPED_PARTS.isdisjoint(relative.parts):
                yield from _read_file(file, module=".".join(relative.with_suffix("").parts))


def _read_file(file: Path, *, module: str) -> Iterator[SourceDocstring]:
    source = file.read_bytes()
    if b'"""' not in source:
        return
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        # Packages ship a few templates that are no Python of this version.
        return
    for node in _documented(tree):
        docstring = ast.get_docstring(node)
        if docstring:
            yield SourceDocstring(module=module, docstring=docstring, signature=_signature(node))


def _documented(node: _Documented) -> Iterator[_Documented]:
    """Return a module, class or function and all those defined directly in its body."""
    yield node
    for child in node.body:
        if isinstance(child, _Documented):
            yield from _documented(child)


def _signature(node: _Documented) -> str:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return ""
    given = node.args
    names = [argument.arg for argument in (*given.posonlyargs, *given.args)]
    if given.vararg is not None:
        names.append(f"*{given.vararg.arg}")
    elif given.kwonlyargs:
        names.append("*")
    names += [argument.arg for argument in given.kwonlyargs]
    if given.kwarg is not None:
        names.append(f"**{given.kwarg.arg}")
    return f"def {node.name}({', '.join(names)})"
