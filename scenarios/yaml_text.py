"""YAML that is also JSON, within bounds: mappings, lists, text, numbers, true, false and null.

YAML 1.2 through ruamel.yaml: ``20e6`` is a number and ``no`` is text; readers of YAML 1.1 get both
wrong. What no setting can mean (a whole number beyond 64 bits, an infinite one, half a character)
is refused here, with its line, before anything computes with it.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.composer import Composer
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from fl.problems import is_whole_text, one_line
from scenarios.errors import ScenarioError

Path = tuple[str | int, ...]
MAX_CHARACTERS = 1_000_000
"""Longest text that is read: 10 000 places of clients take a third of it."""
MAX_VALUES = 50_000
"""Most values, aliases spelt out: aliases of aliases could ask for more than any memory holds."""
MAX_DEPTH = 32
"""Deepest nesting; the schema itself has 7 levels."""
MAX_INTEGER = 2**63 - 1
"""Largest whole number, and largest below zero: what tables of results hold."""
_MAX_DIGITS = 80
"""Characters of a whole number that are looked at; 64 bits written in binary have fewer."""
_TEXT = "tag:yaml.org,2002:str"
_MERGE = "tag:yaml.org,2002:merge"
_INTEGER = "tag:yaml.org,2002:int"
_SCALARS = {_TEXT, _INTEGER, *(f"tag:yaml.org,2002:{name}" for name in ("float", "bool", "null"))}
_TOO_DEEP = f"is nested too deep: at most {MAX_DEPTH} levels"
_TOO_MANY = f"a scenario has at most {MAX_VALUES} values"
_INTEGER_RULE = "must be a whole number of at most 64 bits (19 digits)"

Place = Callable[[int | None], str]
"""Name the place of a line, counted from 1; of the whole text for ``None``."""


def parse_yaml(
    text: str, source: str, *, name_line: bool, key: str = ""
) -> tuple[Any, dict[Path, int]]:
    """Read a text.

    Parameters
    ----------
    text
        At most ``MAX_CHARACTERS``.
    source
        What messages call the text.
    name_line
        Whether messages name the line as well.
    key
        Dotted key that the text is the value of; empty for a whole file.

    Returns
    -------
    tuple
        Plain data, and the line of every key and item by its path.

    Raises
    ------
    ScenarioError
        With one line for every problem.
    """
    lines: dict[Path, int] = {}

    def place(line: int | None) -> str:
        return f"{source}:{line}" if name_line and line is not None else source

    if len(text) > MAX_CHARACTERS:
        rule = f"must have at most {MAX_CHARACTERS} characters, got more"
        raise ScenarioError([f"{source}: {rule}"])
    yaml = YAML(typ="safe", pure=True)
    yaml.Composer = _BoundedComposer
    node = _translated(lambda: yaml.compose(text), place)
    if node is None:
        return None, lines
    problems = list(_walk(node, (), lines, _Names(place, key), ()))
    if problems:
        raise ScenarioError(problems)
    data = _translated(lambda: yaml.constructor.construct_document(node), place)
    problems = [
        f"{_Names(place, key).of(_line(lines, path, node), path)}: {rule}"
        for path, rule in _find_values(data, ())
    ]
    if problems:
        raise ScenarioError(problems)
    return data, lines


@dataclass(frozen=True, slots=True)
class _Names:
    """What messages call the places of a text."""

    place: Place
    key: str

    def of(self, line: int, path: Path) -> str:
        """Name line and dotted key of a value."""
        above = [self.key] if self.key else []
        return f"{self.place(line)}: {'.'.join([*above, *map(str, path)]) or 'scenario'}"


class _BoundedComposer(Composer):
    """Stops at a depth that no scenario needs, where the reader itself would run out of stack."""

    num_open = 0
    """Nodes that the next one lies in."""
    num_values = 0
    """Values so far, keys left out."""

    def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401 -- nodes of ruamel.yaml
        if self.num_open >= MAX_DEPTH:
            line = self.parser.peek_event().start_mark.line + 1
            raise _TooMuchError(line, _TOO_DEEP)
        self.num_values += index is not None  # a key has none
        if self.num_values > MAX_VALUES:
            line = self.parser.peek_event().start_mark.line + 1
            raise _TooMuchError(line, _TOO_MANY)
        self.num_open += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.num_open -= 1


class _TooMuchError(Exception):
    """A text has too much of something from ``line`` on; ``rule`` says of what."""

    def __init__(self, line: int, rule: str) -> None:
        self.line, self.rule = line, rule
        super().__init__(line, rule)


def _translated(read: Callable[[], Any], place: Place) -> Any:  # noqa: ANN401 -- plain data of any type
    """Call a reader of YAML; say in one line what it cannot read."""
    line = None
    try:
        return read()
    except _TooMuchError as error:
        line, reason = error.line, error.rule
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else None
        reason = f"not valid YAML: {one_line(str(error.problem or error.context))}"
    except (YAMLError, ValueError, LookupError, TypeError, AttributeError) as error:
        # the loader's own constructors raise these when a value does not suit its explicit tag
        reason = f"not valid YAML: {one_line(str(error))}"
    raise ScenarioError([f"{place(line)}: {reason}"])


def _walk(
    node: Node, path: Path, lines: dict[Path, int], names: _Names, above: tuple[Node, ...]
) -> Iterator[str]:
    """Note the line of every key below a node; yield what JSON has not and keys that repeat."""
    here = names.of(node.start_mark.line + 1, path)
    if len(lines) > MAX_VALUES:
        raise ScenarioError([f"{here}: {_TOO_MANY}, aliases spelt out"])
    if any(node is outer for outer in above):
        yield f"{here}: must not contain itself"
    elif len(path) > MAX_DEPTH:
        raise ScenarioError([f"{here}: {_TOO_DEEP}"])
    elif isinstance(node, MappingNode) and node.tag == "tag:yaml.org,2002:map":
        for key_node, value_node in node.value:
            yield from _walk_key(key_node, path, lines, names)
            if isinstance(key_node, ScalarNode):
                child = (*path, str(key_node.value))
                yield from _walk(value_node, child, lines, names, (*above, node))
    elif isinstance(node, SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
        for index, item in enumerate(node.value):
            lines[*path, index] = item.start_mark.line + 1
            yield from _walk(item, (*path, index), lines, names, (*above, node))
    elif not (isinstance(node, ScalarNode) and node.tag in _SCALARS):
        kind = str(node.tag).rpartition(":")[2]
        hint = "; quote it if it is text" if isinstance(node, ScalarNode) else ""
        yield f"{here}: must be a mapping, a list, text, a number or true/false, got {kind}{hint}"
    elif node.tag == _INTEGER and len(node.value) > _MAX_DIGITS:
        yield f"{here}: {_INTEGER_RULE}, got {len(node.value)} characters"


def _walk_key(node: Node, path: Path, lines: dict[Path, int], names: _Names) -> Iterator[str]:
    """Note the line of one key; yield a problem if it is not text or repeated."""
    line = node.start_mark.line + 1
    if not isinstance(node, ScalarNode) or node.tag not in (_TEXT, _MERGE):
        shown = one_line(repr(node.value)) if isinstance(node, ScalarNode) else "a list or mapping"
        yield f"{names.of(line, path)}: a key must be text, got {shown}"
        return
    here = (*path, str(node.value))
    if here in lines:
        yield f"{names.of(line, here)}: key stands twice, first in line {lines[here]}"
    else:
        lines[here] = line


def _find_values(data: Any, path: Path) -> Iterator[tuple[Path, str]]:  # noqa: ANN401 -- plain data
    """Find values that no setting can take, each with its path and the rule that it breaks."""
    if isinstance(data, dict):
        for key, value in data.items():
            if not is_whole_text(key):
                yield path, f"a key must be text of whole characters, got {key!r}"
            yield from _find_values(value, (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _find_values(value, (*path, index))
    elif isinstance(data, int) and not -MAX_INTEGER <= data <= MAX_INTEGER:
        yield path, f"{_INTEGER_RULE}, got {one_line(str(data))}"
    elif isinstance(data, float) and not math.isfinite(data):
        yield path, f"must be a finite number, got {data}"
    elif isinstance(data, str) and not is_whole_text(data):
        yield path, f"must be text of whole characters, got a lone surrogate in {data[:40]!r}"


def _line(lines: dict[Path, int], path: Path, node: Node) -> int:
    """Return the line of a path, or of the nearest key above it that stands in the text."""
    known = (lines[path[:end]] for end in range(len(path), 0, -1) if path[:end] in lines)
    return next(known, int(node.start_mark.line) + 1)
