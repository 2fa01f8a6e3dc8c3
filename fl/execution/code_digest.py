"""What the result of a job depends on beside its inputs: our source code and the libraries."""

import ast
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

LIBRARIES = ("torch", "transformers", "peft", "tokenizers")
"""Libraries whose version decides the numbers of a job."""
_PACKAGE = "fl"


@lru_cache(maxsize=1)
def library_versions() -> Mapping[str, str]:
    """Return the installed version of each library that computes jobs, by name."""
    return {name: version(name) for name in LIBRARIES}


@lru_cache(maxsize=64)
def code_digest(*modules: str) -> str:
    """Return the SHA-256 of the source of some modules of ``fl`` and of all that they import.

    Imports are followed within ``fl``, wherever in a file they stand; the packages that modules lie
    in are not read unless they are imported by name. Read once a process: code that changes on
    disk while a process runs is not the code that it runs.

    Parameters
    ----------
    modules
        Dotted names, such as ``fl.methods.fedit.method``.

    Raises
    ------
    ModuleNotFoundError
        If there is no such module.
    """
    sources = _closure(modules)
    digest = hashlib.sha256()
    for name in sorted(sources):
        source = sources[name]
        digest.update(f"{name} {len(source)} ".encode())
        digest.update(source)
    return digest.hexdigest()


def imported_modules(source: bytes) -> list[str]:
    """Return the names of the modules of ``fl`` that a source text imports."""
    names = []
    for node in _statements(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            if _is_ours(node.module):
                names += [each if _file_of(each) else node.module for each in inner]
    return [name for name in names if _is_ours(name)]


def _statements(module: ast.Module) -> Iterator[ast.stmt]:
    """Give every statement of a module, nested ones too, without a look into expressions."""
    found: list[ast.AST] = [module]
    for node in found:  # grows as blocks are found
        for block in ("body", "orelse", "handlers", "finalbody", "cases"):
            found += getattr(node, block, ())
        if isinstance(node, ast.stmt):
            yield node


def _closure(modules: Sequence[str]) -> dict[str, bytes]:
    """Return the source of modules and of all modules of ``fl`` that they import, by name."""
    found: dict[str, bytes] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found[name], imported = _read(name)
        waiting += imported
    return found


@cache
def _read(name: str) -> tuple[bytes, Sequence[str]]:
    """Return the source of a module of ``fl`` and the modules of ``fl`` that it imports."""
    path = _file_of(name)
    if path is None:
        msg = f"modules: no module {name!r} in {_PACKAGE}"
        raise ModuleNotFoundError(msg)
    source = path.read_bytes()
    return source, imported_modules(source)


def _is_ours(name: str) -> bool:
    return name.partition(".")[0] == _PACKAGE


@cache
def _file_of(name: str) -> Path | None:
    """Return the source file of a module of ``fl``; ``None`` if there is none."""
    spec = find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return None
    base = Path(spec.submodule_search_locations[0], *name.split(".")[1:])
    candidates = (base.with_name(f"{base.name}.py"), base / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)
