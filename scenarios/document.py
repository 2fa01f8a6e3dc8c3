"""A YAML document with the line of every key, so that a problem can name its place.

YAML 1.2 through ruamel.yaml: ``20e6`` is a number and ``no`` is text; readers of YAML 1.1 get both
wrong.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from scenarios.errors import ScenarioError

Path = tuple[str | int, ...]
Prepare = Callable[[dict[str, Any], Path, object, Sequence[Path]], None]
MAX_VALUES = 100_000
"""Aliases of aliases could ask for more than any memory holds."""
_TEXT = "tag:yaml.org,2002:str"
_MERGE = "tag:yaml.org,2002:merge"
_SCALARS = {_TEXT, *(f"tag:yaml.org,2002:{name}" for name in ("int", "float", "bool", "null"))}


@dataclass(frozen=True)
class Document:
    """Plain data of a scenario and where each of its keys stands."""

    data: dict[str, Any]
    source: str
    """File name for messages."""
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

    def line(self, path: Path) -> int:
        """Give the line of a key, or of the nearest key above it; 0 when none is known."""
        known = (
            self.lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self.lines
        )
        return next(known, 0)

    def assigned(self, path: Path, data: dict[str, Any], option: str) -> "Document":
        """Give the document with other data, in which an option has set the value at a path."""
        return Document(
            data=data,
            source=self.source,
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
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise ScenarioError([f"{path}: cannot be read: {reason}"]) from None
    return parse_document(text, source=str(path))


def parse_document(text: str, *, source: str) -> Document:
    """Parse the text of a scenario; see :func:`read_document`."""
    data, lines = _parse(text, source, name_line=True)
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
        label = f"--set {_shorten(assignment)}" if option is None else _shorten(option)
        dotted, separator, value_text = assignment.partition("=")
        if not separator or not dotted.strip():
            problems.append(f"{label}: must have the form KEY.KEY=VALUE")
            continue
        try:
            value, _ = _parse(value_text, label, name_line=False)
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


def _shorten(text: str) -> str:
    """Put a text on one line of at most 100 characters."""
    line = " ".join(text.split())
    return line if len(line) <= 100 else f"{line[:97]}..."


def _yaml() -> YAML:
    return YAML(typ="safe", pure=True)


def _parse(text: str, source: str, *, name_line: bool) -> tuple[Any, dict[Path, int]]:
    """Read YAML that is also JSON: mappings with text keys, lists, text, numbers, booleans, null.

    Raises
    ------
    ScenarioError
        If it is anything else.
    """
    lines: dict[Path, int] = {}

    def place(line: int | None) -> str:
        return f"{source}:{line}" if name_line and line is not None else source

    node = _translated(_yaml().compose, text, place)
    problems = [] if node is None else list(_walk(node, (), lines, place, ()))
    if problems:
        raise ScenarioError(problems)
    return _translated(_yaml().load, text, place), lines


def _translated(read: Callable[[str], Any], text: str, place: Callable[[int | None], str]) -> Any:  # noqa: ANN401 -- plain data of any type
    """Call a reader of YAML; say in one line what it cannot read."""
    try:
        return read(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else None
        reason = f"not valid YAML: {error.problem or error.context}"
    except (YAMLError, ValueError, LookupError, TypeError, AttributeError) as error:
        # the loader's own constructors raise these when a value does not suit its explicit tag
        line, reason = None, f"not valid YAML: {_shorten(str(error))}"
    except RecursionError:
        line, reason = None, "is nested too deep"
    raise ScenarioError([f"{place(line)}: {reason}"])


def _walk(
    node: Node,
    path: Path,
    lines: dict[Path, int],
    place: Callable[[int], str],
    above: tuple[Node, ...],
) -> Iterator[str]:
    """Note the line of every key below a node; yield what JSON has not and keys that repeat."""
    here = f"{place(node.start_mark.line + 1)}: {'.'.join(map(str, path)) or 'value'}"
    if len(lines) > MAX_VALUES:
        raise ScenarioError(
            [f"{here}: a scenario has at most {MAX_VALUES} values, aliases spelt out"]
        )
    if any(node is outer for outer in above):
        yield f"{here}: must not contain itself"
    elif isinstance(node, MappingNode) and node.tag == "tag:yaml.org,2002:map":
        for key_node, value_node in node.value:
            yield from _walk_key(key_node, path, lines, place)
            if isinstance(key_node, ScalarNode):
                child = (*path, str(key_node.value))
                yield from _walk(value_node, child, lines, place, (*above, node))
    elif isinstance(node, SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
        for index, item in enumerate(node.value):
            lines[*path, index] = item.start_mark.line + 1
            yield from _walk(item, (*path, index), lines, place, (*above, node))
    elif not (isinstance(node, ScalarNode) and node.tag in _SCALARS):
        kind = str(node.tag).rpartition(":")[2]
        hint = "; quote it if it is text" if isinstance(node, ScalarNode) else ""
        yield f"{here}: must be a mapping, a list, text, a number or true/false, got {kind}{hint}"


def _walk_key(
    node: Node, path: Path, lines: dict[Path, int], place: Callable[[int], str]
) -> Iterator[str]:
    """Note the line of one key; yield a problem if it is not text or repeated."""
    line = node.start_mark.line + 1
    if not isinstance(node, ScalarNode) or node.tag not in (_TEXT, _MERGE):
        where = ".".join(map(str, path)) or "scenario"
        shown = repr(node.value) if isinstance(node, ScalarNode) else "a list or mapping"
        yield f"{place(line)}: {where}: a key must be text, got {shown}"
        return
    here = (*path, str(node.value))
    if here in lines:
        dotted = ".".join(map(str, here))
        yield f"{place(line)}: {dotted}: key stands twice, first in line {lines[here]}"
    else:
        lines[here] = line
