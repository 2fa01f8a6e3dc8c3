"""Validation errors in words: place, dotted key, rule, value found, and what would be right."""

import dataclasses
import difflib
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic_core import ErrorDetails

from scenarios.document import Document, Path

_UNIT_SCALE = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "m": 1e-3}
_QUANTITY = re.compile(
    r"^\s*([-+]?[0-9.]+(?:[eE][-+]?\d+)?)\s*([kMGm]?)(Hz|m|s|W|J|bps|B|dBm|dB)?\s*$"
)
TAGS = ("kind", "source", "mode")
"""Fields that tell the members of a union apart, in design order."""
_COMPARISONS = {
    "greater_than": (">", "gt"),
    "greater_than_equal": (">=", "ge"),
    "less_than": ("<", "lt"),
    "less_than_equal": ("<=", "le"),
}
_WANTED = {
    "float_type": "a number",
    "float_parsing": "a number",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "string_type": "text",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping of keys to values",
    "dataclass_type": "a mapping of keys to values",
    "dataclass_exact_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
    "finite_number": "a finite number",
}


def explain(errors: Sequence[ErrorDetails], document: Document, root: type) -> list[str]:
    """Give one line a problem, in the order of the file, repeats left out.

    Parameters
    ----------
    errors
        What pydantic found.
    document
        The data that was checked, with the places of its keys.
    root
        The dataclass of the whole scenario, to know which keys are valid where.
    """
    found = list(_wrong_tags(document.data, root, ()))
    bad_tags = [path[:-1] for path, _ in found]
    misspelt = set(_misspelt(errors, document, root))
    for error in errors:
        place = _locate(error["loc"], document.data, root)
        if place is None or any(place[0][: len(path)] == path for path in bad_tags):
            continue
        path, owner = place
        # a list is also called too short when its items are wrong, a misspelt key is also missing
        is_echo = path in misspelt or (
            error["type"] == "too_short" and any(known[: len(path)] == path for known, _ in found)
        )
        if not is_echo:
            found.append((path, _sentence(error, path, owner)))
    lines = [
        (
            document.line(path),
            f"{document.place(path)}: {'.'.join(map(str, path)) or 'scenario'}: {text}",
        )
        for path, text in found
    ]
    return list(dict.fromkeys(line for _, line in sorted(lines, key=lambda item: item[0])))


def _misspelt(errors: Sequence[ErrorDetails], document: Document, root: type) -> Iterator[Path]:
    """Give the paths of valid keys for which a misspelt one stands in the file."""
    for error in errors:
        place = _locate(error["loc"], document.data, root)
        if place is not None and error["type"] == "unexpected_keyword_argument":
            path, owner = place
            close = _closest(str(path[-1]), [item.name for item in dataclasses.fields(owner)])
            yield from ((*path[:-1], name) for name in close)


def nearest(word: str, known: Sequence[str]) -> str:
    """Give ``did you mean X?`` when something known is close, else the list of what is known."""
    close = _closest(word, known)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"valid here: {', '.join(known)}"


def _closest(word: str, known: Sequence[str]) -> list[str]:
    return difflib.get_close_matches(word, known, n=1, cutoff=0.6)


def _sentence(error: ErrorDetails, path: Path, owner: Any) -> str:  # noqa: PLR0911 -- one rule a line
    kind, value, context = error["type"], error.get("input"), error.get("ctx", {})
    if kind in ("unexpected_keyword_argument", "extra_forbidden"):
        known = [item.name for item in dataclasses.fields(owner)]
        return f"unknown key; {nearest(str(path[-1]), known)}"
    if kind == "missing":
        return f"missing; it is required ({_wanted(owner, str(path[-1]))})"
    if kind in _COMPARISONS:
        sign, name = _COMPARISONS[kind]
        return f"must be {sign} {context[name]:g}, got {_show(value)}"
    if kind == "literal_error":
        return f"must be one of {context['expected']}, got {_show(value)}"
    if kind in _WANTED:
        return f"must be {_WANTED[kind]}, got {_show(value)}{_hint(kind, value)}"
    if kind == "too_short":
        return f"must have at least {context['min_length']} item, got {context['actual_length']}"
    return f"{error['msg'][0].lower()}{error['msg'][1:]}, got {_show(value)}"


def _wanted(owner: Any, name: str) -> str:
    """Say what a missing key would hold, from its type."""
    names = {float: "a number", int: "a whole number", str: "text"}
    bare = _bare(get_type_hints(owner, include_extras=True)[name])
    if bare in names:
        return names[bare]
    return "a list" if get_origin(bare) in (tuple, list) else "a mapping of keys to values"


def _hint(kind: str, value: object) -> str:
    """Translate a quantity written with its unit, or a number written as text."""
    if not kind.startswith(("float", "int")) or not isinstance(value, str):
        return ""
    match = _QUANTITY.match(value)
    if not match:
        return ""
    number = float(match[1]) * _UNIT_SCALE[match[2] or ""]
    mantissa, _, exponent = f"{number:e}".partition("e")
    shown = f"{number:g}" if abs(int(exponent)) < 4 else f"{float(mantissa):g}e{int(exponent)}"
    has_unit = bool(match[2] or match[3])
    why = ": the unit is in the name of the key" if has_unit else " without quotes"
    return f" (write {shown}{why})"


def _show(value: object) -> str:
    if isinstance(value, Mapping):
        return f"a mapping with {', '.join(map(str, value)) or 'no keys'}"
    text = f"the list {value!r}" if isinstance(value, list | tuple) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _wrong_tags(data: Any, here: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Find tagged unions whose tag is missing or unknown, before their branches are looked at."""
    union = _tagged_union(here)
    if union is not None and isinstance(data, Mapping):
        key, members = union
        tag = data.get(key)
        if key not in data:
            yield (*path, key), f"missing; it is one of {', '.join(members)}"
            return
        if tag not in members:
            yield (*path, key), f"unknown {key} {tag!r}; {nearest(str(tag), list(members))}"
            return
        here = members[tag]
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from _wrong_tags(value, _child(here, key), (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _wrong_tags(value, _child(here, index), (*path, index))


def _locate(location: tuple[int | str, ...], data: Any, root: Any) -> tuple[Path, Any] | None:
    """Walk schema and data together; give the path in the file and the owner of its last key.

    pydantic puts the name of the branch of a union into a location; the file has no such level.
    None for an error in a branch that the data's tag does not choose.
    """
    path: list[str | int] = []
    here, owner = root, root
    for step in location:
        union = _tagged_union(here)
        if union is not None:
            key, members = union
            chosen = members.get(data.get(key)) if isinstance(data, Mapping) else None
            if chosen is not None and chosen.__name__ != step:
                return None
            here = chosen
            continue
        if not (isinstance(data, Mapping | list) and _is_container(here)):
            break
        owner, here = _bare(here), _child(here, step)
        path.append(step)
        data = _descend(data, step)
    return tuple(path), owner


def _descend(data: Any, step: str | int) -> Any:
    if isinstance(data, Mapping):
        return data.get(step)
    return (
        data[step]
        if isinstance(data, list) and isinstance(step, int) and step < len(data)
        else None
    )


def _is_container(here: Any) -> bool:
    bare = _bare(here)
    return dataclasses.is_dataclass(bare) or get_origin(bare) in (tuple, list, dict)


def _child(here: Any, step: str | int) -> Any:
    """Give the type of a key of a dataclass, of a list's items or a mapping's values, or None."""
    bare = _bare(here)
    if dataclasses.is_dataclass(bare) and isinstance(bare, type):
        return get_type_hints(bare, include_extras=True).get(str(step))
    arguments = get_args(bare)
    if get_origin(bare) in (tuple, list):
        return arguments[0]
    return arguments[1] if get_origin(bare) is dict else None


def _bare(here: Any) -> Any:
    """Strip annotations and an optional None from a type."""
    while get_origin(here) is Annotated:
        here = get_args(here)[0]
    members = _members(here)
    return _bare(members[0]) if len(members) == 1 else here


def _members(here: Any) -> list[Any]:
    if get_origin(here) not in (Union, types.UnionType):
        return []
    return [member for member in get_args(here) if member is not type(None)]


def _tagged_union(here: Any) -> tuple[str, dict[Any, type]] | None:
    """Give tag key and members by tag of a union of dataclasses told apart by a literal field."""
    while get_origin(here) is Annotated:
        here = get_args(here)[0]
    members = _members(here)
    if len(members) < 2 or not all(dataclasses.is_dataclass(member) for member in members):
        return None
    for key in TAGS:
        tagged = {
            tag: member
            for member in members
            for tag in get_args(get_type_hints(member).get(key))
            if get_origin(get_type_hints(member)[key]) is Literal
        }
        if tagged:
            return key, tagged
    return None
