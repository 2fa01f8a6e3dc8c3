"""What in a result folder is ours: the mark in its manifest and the record of files written.

A folder is replaced only when its manifest carries the mark, and then only files that the record
names are removed. The record is a text file, ``.airtune/files.txt``, with one relative path a line;
a file is recorded before it is made.
"""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from analysis.errors import ResultError
from analysis.folder_lock import LOCK, PRIVATE

MANIFEST = "manifest.json"
SCENARIO = "scenario.yaml"
MANIFEST_DRAFT = f".{MANIFEST}.draft"
"""The manifest before it takes the place of the last one."""
RECORD = f"{PRIVATE}/files.txt"
RESERVE = f"{PRIVATE}/reserve"
"""Space kept for the last manifest, should the disk become full."""
STATES = f"{PRIVATE}/states"
"""Folder of what clients hold while a run lasts; a run that was killed leaves it."""

MARK = "airtune"
"""Key of the manifest whose value is an object with ``result_schema`` and ``run_id``."""
RESULT_SCHEMA = 1
"""Version of files and columns; it rises when an older reader would misread them."""

_ALWAYS = frozenset({MANIFEST, SCENARIO, MANIFEST_DRAFT})
_PRIVATE_FILES = frozenset({LOCK, RECORD, RESERVE, STATES})
_SHOWN = 3


def mark(run_id: str) -> dict[str, Any]:
    """Return the mark for the manifest of a run.

    Examples
    --------
    >>> mark("ab")
    {'airtune': {'result_schema': 1, 'run_id': 'ab'}}
    """
    return {MARK: {"result_schema": RESULT_SCHEMA, "run_id": run_id}}


def schema_of(manifest: Mapping[str, Any]) -> int | None:
    """Return the schema version in a manifest's mark; ``None`` where it has no mark."""
    entry = manifest.get(MARK)
    version = entry.get("result_schema") if isinstance(entry, Mapping) else None
    is_version = isinstance(version, int) and not isinstance(version, bool) and version >= 1
    return version if is_version else None


def run_id_of(manifest: Mapping[str, Any]) -> str | None:
    """Return the id of the run that wrote a manifest; ``None`` where it has none."""
    entry = manifest.get(MARK)
    run_id = entry.get("run_id") if isinstance(entry, Mapping) else None
    return run_id if isinstance(run_id, str) else None


def is_unused(folder: Path) -> bool:
    """Whether a folder is empty, or holds only what a run leaves that was killed at its start."""
    names = {path.name for path in folder.iterdir()}
    private = folder / PRIVATE
    if names - {PRIVATE, MANIFEST_DRAFT} or names == {MANIFEST_DRAFT}:
        return False
    inside = {f"{PRIVATE}/{path.name}" for path in private.iterdir()} if names else set()
    return inside <= _PRIVATE_FILES


def add_to_record(folder: Path, names: Iterable[str]) -> None:
    """Record files, by their paths relative to the folder, before they are made.

    Raises
    ------
    ResultError
        If the record is damaged.
    OSError
        If it cannot be written.
    """
    known = recorded(folder)
    new = [name for name in dict.fromkeys(names) if name not in known]
    (folder / PRIVATE).mkdir(exist_ok=True)
    with (folder / RECORD).open("a", encoding="utf-8", errors="surrogateescape") as file:
        file.writelines(f"{name}\n" for name in new)


def recorded(folder: Path) -> set[str]:
    """Return the relative paths of all files that were recorded.

    Raises
    ------
    ResultError
        If a line of the record is not a path inside the folder.
    """
    path = folder / RECORD
    if not path.is_file():
        return set()
    names = set(path.read_text(encoding="utf-8", errors="surrogateescape").split("\n")) - {""}
    for name in names:
        parts = PurePosixPath(name).parts
        if name.startswith("/") or ".." in parts or str(PurePosixPath(name)) != name:
            msg = f"{path}: damaged: must hold paths inside the folder, got {name[:100]!r}"
            raise ResultError(msg)
    return names


def files_to_replace(folder: Path) -> tuple[list[Path], list[Path]]:
    """List what must go before a new run may use a folder; nothing is removed here.

    Returns
    -------
    files : list of Path
        Every file but those in ``.airtune``, the manifest last.
    folders : list of Path
        Folders that hold them, deepest first; never the result folder itself.

    Raises
    ------
    ResultError
        If anything in the folder, a link or an empty folder included, is not in the record.
    """
    own = recorded(folder) | _ALWAYS
    own_folders = {str(parent) for name in own for parent in PurePosixPath(name).parents}
    files, folders, foreign = [], [], []
    for place, folder_names, file_names in os.walk(folder, onerror=_refuse):
        here = Path(place)
        for name in list(folder_names):
            path = here / name
            relative = path.relative_to(folder).as_posix()
            if relative == PRIVATE and not path.is_symlink():
                foreign += _strangers(path)
                folder_names.remove(name)
            elif path.is_symlink() or relative not in own_folders:
                foreign.append(relative)
                folder_names.remove(name)
            else:
                folders.append(path)
        for name in file_names:
            path = here / name
            relative = path.relative_to(folder).as_posix()
            if path.is_symlink() or relative not in own:
                foreign.append(relative)
            else:
                files.append(path)
    if foreign:
        shown = ", ".join(sorted(foreign)[:_SHOWN])
        more = f" and {len(foreign) - _SHOWN} more" if len(foreign) > _SHOWN else ""
        msg = (
            f"{folder}: holds what Airtune did not write ({shown}{more}), so it is not replaced; "
            "move that away, or use --out to go elsewhere"
        )
        raise ResultError(msg)
    files.sort(key=lambda path: path.name == MANIFEST and path.parent == folder)
    return files, sorted(folders, key=lambda path: len(path.parts), reverse=True)


def check_no_link(folder: Path, path: Path) -> None:
    """Refuse to write to a path inside a result folder that leads out of it by a link.

    Raises
    ------
    ResultError
        If the path, or a folder on the way to it from the result folder, is a link.
    """
    for step in (path, *path.parents):
        if step == folder:
            return
        if step.is_symlink():
            msg = f"{step}: is a link, nothing is written through it"
            raise ResultError(msg)


def _strangers(private: Path) -> list[str]:
    names = (f"{PRIVATE}/{path.name}" for path in private.iterdir())
    return [name for name in names if name not in _PRIVATE_FILES]


def _refuse(error: OSError) -> None:
    raise error
