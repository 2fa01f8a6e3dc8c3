"""Every path that a scenario can name, made absolute: where a command is given changes nothing.

A path in a file is relative to the folder of that file; one in an option (``--set``) is relative to
the working directory, as on any command line. ``~`` is the home folder everywhere. The resolved
scenario of a result folder holds absolute paths: it runs again from anywhere.
"""

import dataclasses
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from fl.models.registry import BUILT_IN, SHAPES
from fl.own_code import names_a_class
from fl.rewards.config import BUILT_IN_PAIRS, REWARDS
from scenarios.document import Document
from scenarios.errors import ScenarioError
from scenarios.yaml_text import Path

_FILES = {
    ("data", "train"),
    ("data", "test"),
    ("world", "mobility", "path"),
    ("world", "layout", "path"),
    ("network", "path"),
    ("clients", "devices", "path"),
    ("clients", "availability", "path"),
    *(("rewards", name, "path") for name in REWARDS),
}
"""Keys that name a file and nothing else."""
_BUILT_IN: dict[Path, frozenset[str]] = {
    ("model", "name"): frozenset(BUILT_IN),
    ("model", "cost_as"): frozenset(SHAPES),
    **{("rewards", name, "backbone"): frozenset(BUILT_IN) for name in REWARDS},
}
"""Names that stand for something of ours, by key."""
_FOLDERS_OR_IDS = {*_BUILT_IN, ("data", "name")}
"""Keys that name a folder (or a file, ``cost_as``) if there is one, else something of ours or on a
hub."""
_PAIRS = {("rewards", name, "pairs") for name in REWARDS}
"""Keys that name a file, or a set of ours."""
MAX_PART_BYTES = 255
"""Longest name of a file or folder that file systems take."""
MAX_PATH_BYTES = 3_000
"""Longest path that is read: systems end at 4096 bytes, and the folder of the file comes before."""


def resolve_paths(document: Document) -> Document:
    """Make every path of a document absolute, those among the values of a knob as well.

    Raises
    ------
    ScenarioError
        If a model or data set could be one of the hub or a folder of the working directory.
    """
    return dataclasses.replace(document, data=_Resolver(document).resolve(document.data))


def locate(text: str, base: FilePath) -> FilePath:
    """Return the absolute path that a text names from a folder; ``~`` is the home folder.

    A ``~name`` of nobody on this machine is a plain name.
    """
    try:
        path = FilePath(text).expanduser()
    except RuntimeError:
        path = FilePath(text)
    return base.absolute() / path


def find_path_fault(text: str) -> str | None:
    """Return why a text is no path on any file system, if it is none: asking for it would fail."""
    if "\0" in text:
        return "must be a path, got one with a null character"
    num_bytes = [len(part.encode("utf-8", "replace")) for part in text.split("/")]
    if max(num_bytes) > MAX_PART_BYTES or sum(num_bytes) + len(num_bytes) > MAX_PATH_BYTES:
        return (
            f"must be a path of at most {MAX_PATH_BYTES} bytes, {MAX_PART_BYTES} between two /, "
            f"got {sum(num_bytes) + len(num_bytes) - 1} with up to {max(num_bytes)} between two /"
        )
    return None


@dataclasses.dataclass(frozen=True)
class _Resolver:
    document: Document

    def resolve(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Resolve a whole scenario."""
        faults: list[str] = []
        resolved = {
            key: self._resolve(value, (key,), (key,), faults)
            for key, value in data.items()
            if key not in ("cases", "matrix")
        }
        if "cases" in data:
            resolved["cases"] = self._resolve_cases(data["cases"], faults)
        if "matrix" in data:
            resolved["matrix"] = self._resolve_matrix(data["matrix"], faults)
        if faults:
            raise ScenarioError(faults)
        return {key: resolved[key] for key in data}

    def _resolve_cases(self, cases: object, faults: list[str]) -> object:
        if not isinstance(cases, Mapping):
            return cases
        return {
            case: {
                key: self._resolve(value, tuple(key.split(".")), ("cases", case, key), faults)
                for key, value in keys.items()
            }
            if isinstance(keys, Mapping)
            else keys
            for case, keys in cases.items()
        }

    def _resolve_matrix(self, matrix: object, faults: list[str]) -> object:
        if not isinstance(matrix, Mapping):
            return matrix
        return {
            knob: [
                self._resolve(value, tuple(knob.split(".")), ("matrix", knob, index), faults)
                for index, value in enumerate(values)
            ]
            if isinstance(values, list)
            else values
            for knob, values in matrix.items()
        }

    def _resolve(self, value: object, key: Path, place: Path, faults: list[str]) -> object:
        """Resolve what stands at a place of the document as the value of a key of a variant."""
        if isinstance(value, Mapping):
            return {
                name: self._resolve(item, (*key, name), (*place, name), faults)
                for name, item in value.items()
            }
        if isinstance(value, list):
            return [
                self._resolve(item, (*key, index), (*place, index), faults)
                for index, item in enumerate(value)
            ]
        if not isinstance(value, str):
            return value
        return self._resolve_text(value, key, place, faults)

    def _resolve_text(self, value: str, key: Path, place: Path, faults: list[str]) -> str:
        if not value:
            if key in _FILES:
                where = f"{self.document.place(place)}: {'.'.join(map(str, key))}"
                faults.append(f"{where}: must be the path of a file, got ''")
            return value
        base = self.document.base(place)
        is_code = _may_be_code(key) and names_a_class(value)
        is_folder_or_id = key in _FOLDERS_OR_IDS and not self._is_plain_name(key, place)
        is_file = key in _FILES or (key in _PAIRS and value not in BUILT_IN_PAIRS)
        if is_file or is_code or is_folder_or_id:
            fault = find_path_fault(value.rpartition(":")[0] if is_code else value)
            if fault is not None:
                found = f"{self.document.place(place)}: {'.'.join(map(str, key))}: {fault}"
                faults.append(found)
                return value
        if is_file:
            return str(locate(value, base))
        if is_folder_or_id:
            return self._resolve_folder(value, key, place, faults)
        if is_code:
            path, _, class_name = value.rpartition(":")
            return f"{locate(path, base)}:{class_name}"
        return value

    def _is_plain_name(self, key: Path, place: Path) -> bool:
        """Whether ``data.name`` is what a data set is called in figures, not where it lies."""
        if key != ("data", "name"):
            return False
        beside: Any = self.document.data
        for step in place[:-1] if place[0] not in ("cases", "matrix") else ("data",):
            beside = beside[step] if isinstance(beside, Mapping) else beside
        whole = self.document.data.get("data")
        own = beside if isinstance(beside, Mapping) and "source" in beside else whole
        return not (isinstance(own, Mapping) and own.get("source") == "hub")

    def _resolve_folder(self, value: str, key: Path, place: Path, faults: list[str]) -> str:
        """Return the folder of a model or data set, if it is one, else its name."""
        if value in _BUILT_IN.get(key, ()):
            return value
        found, here = locate(value, self.document.base(place)), FilePath(value)
        if found.is_dir() or (key == ("model", "cost_as") and found.is_file()):
            return str(found)
        fault = None
        if value.startswith(("~", "/", "./", "../")):
            fault = f"there is no folder {found}"
        elif here.is_dir():
            fault = (
                f"there is no folder {found}, but one in the working directory: "
                f"write its path, {here.absolute()}"
            )
        if fault is not None:
            faults.append(f"{self.document.place(place)}: {'.'.join(map(str, key))}: {fault}")
        return value


def _may_be_code(key: Path) -> bool:
    """Whether a key may name a class in a file as ``path.py:Class``."""
    return key == ("radio", "scheduler") or key[-1] in ("kind", "mode")
