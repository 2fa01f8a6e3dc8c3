"""A YAML document with the line of every key, so that a problem can name its place.

YAML 1.2 through ruamel.yaml: ``20e6`` is a number and ``no`` is text; readers of YAML 1.1 get both
wrong.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from scenarios.errors import ScenarioError

Path = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """Plain data of a scenario and where each of its keys stands."""

    data: dict[str, Any]
    source: str
    """File name for messages."""
    lines: dict[Path, int] = field(default_factory=dict)
    overrides: dict[Path, str] = field(default_factory=dict)
    """Values that came from ``--set``, with the text of the option."""

    def place(self, path: Path) -> str:
        """Name the place of a key: the option that set it, or file and line."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.overrides:
                return self.overrides[path[:end]]
            if path[:end] in self.lines:
                return f"{self.source}:{self.lines[path[:end]]}"
        return self.source

    def line(self, path: Path) -> int:
        """Give the line of a key, or of the nearest key above it; 0 when none is known."""
        known = (
            self.lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self.lines
        )
        return next(known, 0)


def read_document(path: FilePath) -> Document:
    """Read a scenario file.

    Raises
    ------
    ScenarioError
        If the file is missing, is not YAML, is not a mapping, or repeats a key.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ScenarioError([f"{path}: cannot be read: {reason}"]) from None
    return parse_document(text, source=str(path))


def parse_document(text: str, *, source: str) -> Document:
    """Parse the text of a scenario; see :func:`read_document`."""
    try:
        node = _yaml().compose(text)
        problems: list[str] = []
        lines: dict[Path, int] = {}
        if node is not None:
            problems = list(_walk(node, (), lines, source))
        if problems:
            raise ScenarioError(problems)
        data = _yaml().load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f":{mark.line + 1}" if mark is not None else ""
        message = f"{source}{line}: not valid YAML: {error.problem or error.context}"
        raise ScenarioError([message]) from None
    except YAMLError as error:
        first_line = str(error).strip().splitlines()[0]
        raise ScenarioError([f"{source}: not valid YAML: {first_line}"]) from None
    if not isinstance(data, dict):
        found = "nothing" if data is None else type(data).__name__
        raise ScenarioError([f"{source}: a scenario is a mapping of keys to values, got {found}"])
    return Document(data=data, source=source, lines=lines)


def override(document: Document, assignments: list[str]) -> Document:
    """Apply ``a.b=c`` assignments; a value is read as YAML, a number in a path indexes a list.

    Raises
    ------
    ScenarioError
        If an assignment has no ``=`` or walks through something that is not a mapping or list.
    """
    data = copy.deepcopy(document.data)
    overrides = dict(document.overrides)
    problems = []
    for assignment in assignments:
        label = f"--set {assignment}"
        dotted, separator, value_text = assignment.partition("=")
        if not separator or not dotted.strip():
            problems.append(f"{label}: must have the form KEY.KEY=VALUE")
            continue
        try:
            value = _yaml().load(value_text)
            path = assign(data, dotted.strip(), value)
        except YAMLError:
            problems.append(f"{label}: the value is not valid YAML; quote it if it is text")
        except ValueError as error:
            problems.append(f"{label}: {error}")
        else:
            overrides[path] = label
    if problems:
        raise ScenarioError(problems)
    return Document(data=data, source=document.source, lines=document.lines, overrides=overrides)


def assign(data: dict[str, Any], dotted: str, value: object) -> Path:
    """Set the value at a dotted path in place, making mappings on the way; give the path.

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
            target[step] = value
        else:
            target = target[step]
    return tuple(path)


def _yaml() -> YAML:
    return YAML(typ="safe", pure=True)


def _walk(node: Node, path: Path, lines: dict[Path, int], source: str) -> Iterator[str]:
    """Note the line of every key below a node; yield a problem for every key that is repeated."""
    if isinstance(node, MappingNode):
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                continue
            here = (*path, str(key_node.value))
            line = key_node.start_mark.line + 1
            if here in lines:
                dotted = ".".join(map(str, here))
                yield f"{source}:{line}: {dotted}: key stands twice, first in line {lines[here]}"
                continue
            lines[here] = line
            yield from _walk(value_node, here, lines, source)
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            here = (*path, index)
            lines[here] = item.start_mark.line + 1
            yield from _walk(item, here, lines, source)
