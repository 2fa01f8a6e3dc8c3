"""The data of a scenario with the place of every key, so that a problem can name it."""

import copy
import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from fl.problems import one_line
from scenarios.errors import ScenarioError
from scenarios.yaml_text import MAX_CHARACTERS, MAX_DEPTH, Path, parse_yaml

Prepare = Callable[[dict[str, Any], Path, object, Sequence[Path]], None]


@dataclass(frozen=True)
class Document:
    """Plain data of a scenario and where each of its keys stands."""

    data: dict[str, Any]
    source: str
    """File name for messages."""
    folder: FilePath | None = None
    """Folder of the file, where its paths begin; the working directory when ``None``."""
    lines: dict[Path, int] = field(default_factory=dict)
    overrides: dict[Path, str] = field(default_factory=dict)
    """Values that came from an option, with its text; neither these nor ``lines`` hold a place at
    or below a later one."""

    def place(self, path: Path) -> str:
        """Name the place of a key: the option that set it, or file and line."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.overrides:
                return self.overrides[path[:end]]
            if path[:end] in self.lines:
                return f"{self.source}:{self.lines[path[:end]]}"
        return self.source

    def base(self, path: Path) -> FilePath:
        """Return the folder that a path at a key is relative to: of the file, or of a command."""
        is_typed = any(path[:end] in self.overrides for end in range(len(path), 0, -1))
        return FilePath() if is_typed or self.folder is None else self.folder

    def line(self, path: Path) -> int:
        """Return the line of a key, or of the nearest key above it; 0 when none is known."""
        known = (
            self.lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self.lines
        )
        return next(known, 0)

    def assigned(self, path: Path, data: dict[str, Any], option: str) -> "Document":
        """Return the document with other data, in which an option has set the value at a path."""
        return Document(
            data=data,
            source=self.source,
            folder=self.folder,
            lines=_without(self.lines, path),
            overrides={**_without(self.overrides, path), path: option},
        )


def read_document(path: FilePath) -> Document:
    """Read a scenario file.

    Raises
    ------
    ScenarioError
        If the file is missing, is not YAML, is not a mapping, or repeats a key.
    """
    try:
        with path.open(encoding="utf-8") as file:
            text = file.read(MAX_CHARACTERS + 1)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ScenarioError([f"{path}: cannot be read: {reason}"]) from None
    document = parse_document(text, source=str(path))
    return dataclasses.replace(document, folder=path.parent)


def parse_document(text: str, *, source: str) -> Document:
    """Parse the text of a scenario; see :func:`read_document`."""
    data, lines = parse_yaml(text, source, name_line=True)
    if not isinstance(data, dict):
        found = "nothing" if data is None else type(data).__name__
        raise ScenarioError([f"{source}: a scenario is a mapping of keys to values, got {found}"])
    return Document(data=data, source=source, lines=lines)


def override(
    document: Document,
    assignments: list[str],
    *,
    prepare: Prepare | None = None,
    option: str | None = None,
) -> Document:
    """Apply ``a.b=c`` assignments; a value is read as YAML, a number in a path indexes a list.

    Parameters
    ----------
    document
        Left as it is.
    assignments
        In this order.
    prepare
        Called before each with the data, the path, the value and the paths already assigned; it
        may alter the data.
    option
        What messages call an assignment; ``--set`` and its text when ``None``.

    Raises
    ------
    ScenarioError
        If an assignment has no ``=`` or walks through something that is not a mapping or list.
    """
    data = copy.deepcopy(document.data)
    problems = []
    for assignment in assignments:
        label = f"--set {one_line(assignment)}" if option is None else one_line(option)
        dotted, separator, value_text = assignment.partition("=")
        if not separator or not dotted.strip():
            problems.append(f"{label}: must have the form KEY.KEY=VALUE")
            continue
        if dotted.count(".") >= MAX_DEPTH:
            problems.append(f"{label}: is nested too deep: at most {MAX_DEPTH} levels")
            continue
        try:
            value, _ = parse_yaml(value_text, label, name_line=False, key=dotted.strip())
            fixed = list(document.overrides)
            path = assign(data, dotted.strip(), value, prepare=prepare, fixed=fixed)
        except ScenarioError as error:
            problems.extend(error.problems)
        except ValueError as error:
            problems.append(f"{label}: {error}")
        else:
            document = document.assigned(path, data, label)
    if problems:
        raise ScenarioError(problems)
    return document


def assign(
    data: dict[str, Any],
    dotted: str,
    value: object,
    *,
    prepare: Prepare | None = None,
    fixed: Sequence[Path] = (),
) -> Path:
    """Set the value at a dotted path in place, making mappings on the way; give the path.

    ``prepare`` and the paths already assigned, ``fixed``, are those of :func:`override`.

    Raises
    ------
    ValueError
        If the path runs through a scalar or past the end of a list.
    """
    path: list[str | int] = []
    target: Any = data
    keys = dotted.split(".")
    for depth, key in enumerate(keys):
        is_last = depth == len(keys) - 1
        if isinstance(target, list):
            if not key.isdecimal() or int(key) >= len(target):
                where, last = ".".join(map(str, path)), len(target) - 1
                msg = f"{where} is a list: its items are 0 to {last}, got {key!r}"
                raise ValueError(msg)
            step: str | int = int(key)
        elif isinstance(target, dict):
            step = key
            if not is_last and target.get(key) is None:
                target[key] = {}
        else:
            where = ".".join(map(str, path))
            msg = f"{where} is the value {target!r}, it has no key {key!r}"
            raise ValueError(msg)  # noqa: TRY004 -- wrong input, not a wrong Python type
        path.append(step)
        if is_last:
            if prepare is not None:
                prepare(data, tuple(path), value, fixed)
            target[step] = value
        else:
            target = target[step]
    return tuple(path)


def _without(places: dict[Path, Any], path: Path) -> dict[Path, Any]:
    """Leave out the places at and below a path."""
    return {place: told for place, told in places.items() if place[: len(path)] != path}
