"""The result folder: rows appended and flushed every round, and a manifest of what made them.

A killed run leaves readable files: a row is on disk as soon as its round is over, and the manifest
is replaced in one step, never half written.
"""

import csv
import dataclasses
import importlib.metadata
import json
import os
import platform
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TextIO

from ruamel.yaml import YAML

from scenarios.errors import ScenarioError

MANIFEST = "manifest.json"
SCENARIO = "scenario.yaml"
_PACKAGES = (
    "airtune", "datasets", "matplotlib", "networkx", "numpy", "pandas", "peft", "pydantic",
    "scipy", "simpy", "tokenizers", "torch", "transformers",
)  # fmt: skip


class RowWriter:
    """One CSV file of one row type; the header comes from the fields of the row's dataclass."""

    def __init__(self, path: Path, row_type: type) -> None:
        self._file: TextIO = path.open("w", encoding="utf-8", newline="")
        self._writer = csv.writer(self._file, lineterminator="\n")
        self._names = [field.name for field in dataclasses.fields(row_type)]
        self._writer.writerow(self._names)
        self._file.flush()

    def write(self, rows: Iterable[object]) -> None:
        """Append rows and hand them to the operating system."""
        for row in rows:
            self._writer.writerow([_cell(getattr(row, name)) for name in self._names])
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class RunFolder:
    """The CSV files of one run (variant under one seed), open while it lasts."""

    def __init__(self, path: Path, row_types: Mapping[str, type]) -> None:
        path.mkdir(parents=True)
        self.path = path
        self._writers = {
            name: RowWriter(path / f"{name}.csv", kind) for name, kind in row_types.items()
        }

    def write(self, name: str, rows: Iterable[object]) -> None:
        """Append rows to ``<name>.csv``."""
        self._writers[name].write(rows)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for writer in self._writers.values():
            writer.close()


def make_result_folder(path: Path, *, overwrite: bool) -> None:
    """Create the folder of a study; replace an existing one only when asked, and when it is ours.

    Raises
    ------
    ScenarioError
        If the folder exists and may not be replaced, or cannot be made.
    """
    if path.exists() and not overwrite:
        message = f"{path}: exists already; use --overwrite to replace it, or --out to go elsewhere"
        raise ScenarioError([message])
    if path.exists():
        if not (path / MANIFEST).is_file():
            message = f"{path}: has no {MANIFEST}, so it is not a result folder and is not replaced"
            raise ScenarioError([message])
        shutil.rmtree(path)
    try:
        path.mkdir(parents=True)
    except OSError as error:
        raise ScenarioError([f"{path}: cannot be made: {error.strerror}"]) from None


def write_scenario(path: Path, data: Mapping[str, Any]) -> None:
    """Write the resolved scenario: every key with the value that was used."""
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    with path.open("w", encoding="utf-8") as file:
        yaml.dump(data, file)


def write_manifest(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Replace the manifest in one step."""
    text = json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    draft = folder / f".{MANIFEST}.draft"
    draft.write_text(text, encoding="utf-8")
    draft.replace(folder / MANIFEST)


def provenance() -> dict[str, Any]:
    """Versions, commit and machine: what else a number may depend on."""
    versions: dict[str, str | None] = {}
    for name in _PACKAGES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = None
    return {
        "versions": {"python": platform.python_version(), **versions},
        "commit": _commit(),
        "machine": {
            "system": platform.system(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
        },
    }


def _commit() -> dict[str, Any] | None:
    """Commit of the source tree, or None for an installed copy."""
    root = Path(__file__).resolve().parent.parent
    try:
        revision = _git(root, "rev-parse", "HEAD")
        top = Path(_git(root, "rev-parse", "--show-toplevel"))
        is_dirty = bool(_git(root, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.CalledProcessError):
        return None
    return {"revision": revision, "is_dirty": is_dirty} if top == root else None


def _git(root: Path, *arguments: str) -> str:
    command: Sequence[str] = ("git", "-C", str(root), *arguments)
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(float(value))
    return value
