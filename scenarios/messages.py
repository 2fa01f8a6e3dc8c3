"""Validation errors in words: place, dotted key, rule, value found, and what would be right."""

import dataclasses
import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, get_origin

from pydantic_core import ErrorDetails

from fl.problems import one_line
from scenarios.document import Document
from scenarios.unions import (
    bare_type,
    child_type,
    form_of,
    homes_of,
    is_container,
    member_of,
    settings_beside_mapping,
    tagged_union,
    type_hints,
)
from scenarios.yaml_text import Path

_UNIT_SCALE = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9, "m": 1e-3}
_QUANTITY = re.compile(
    r"^\s*([-+]?[0-9.]+(?:[eE][-+]?\d+)?)\s*([kMGm]?)(Hz|m|s|W|J|bps|B|dBm|dB)?\s*$"
)
MAX_SHOWN = 80
"""Longest text of a value that a message repeats [characters]."""
PRESET = "preset"
"""Key at the top of a file that its values have replaced before the file is checked."""
NAME_RULE = "must be 1 to 100 letters, digits, '_', '.' or '-', and begin with a letter or digit"
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
    """Return one line a problem, in the order of the file, repeats left out.

    Parameters
    ----------
    errors
        What pydantic found.
    document
        The data that was checked, with the places of its keys.
    root
        The dataclass of the whole scenario, to know which keys are valid where.
    """
    found = list(_unclear_members(document.data, root, ()))
    unclear = [path[:-1] for path, _ in found]
    misspelt = set(_misspelt(errors, document, root))
    places = [_locate(error["loc"], document.data, root) for error in errors]
    # where one value or a list may stand, the form that the file does not give is not spoken of
    in_form = {
        place[0]
        for place, error in zip(places, errors, strict=True)
        if place is not None and not _is_other_form(error)
    }
    for place, error in zip(places, errors, strict=True):
        if place is None or any(place[0][: len(path)] == path for path in unclear):
            continue
        path, owner = place
        # a list is also called too short when its items are wrong, a misspelt key is also missing
        is_echo = path in misspelt or (
            error["type"] == "too_short" and any(known[: len(path)] == path for known, _ in found)
        )
        is_echo = is_echo or (path in in_form and _is_other_form(error))
        if not is_echo:
            found.append((path, sentence(error, path, owner)))
    lines = [
        (
            document.line(path),
            f"{document.place(path)}: {'.'.join(map(str, path)) or 'scenario'}: {text}",
        )
        for path, text in found
    ]
    return list(dict.fromkeys(line for _, line in sorted(lines, key=lambda item: item[0])))


def _is_other_form(error: ErrorDetails) -> bool:
    """Return whether a list is missed where one value stands, or one value where a list stands."""
    wants_list = error["type"] in ("tuple_type", "list_type")
    return error["type"] in _WANTED and wants_list != isinstance(error.get("input"), list | tuple)


def _misspelt(errors: Sequence[ErrorDetails], document: Document, root: type) -> Iterator[Path]:
    """Return the paths of valid keys for which a misspelt one stands in the file."""
    for error in errors:
        place = _locate(error["loc"], document.data, root)
        if place is not None and error["type"] == "unexpected_keyword_argument":
            path, owner = place
            close = _closest(str(path[-1]), [item.name for item in dataclasses.fields(owner)])
            yield from ((*path[:-1], name) for name in close)


def nearest(word: str, known: Sequence[str]) -> str:
    """Return ``did you mean X?`` when something known is close, else the list of what is known."""
    close = _closest(word, known)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"valid here: {', '.join(known)}"


def plain(word: str) -> str:
    """Return a word without what people write in different ways: capitals, blanks, ``-`` and ``_``.

    A ``+`` is read as ``plus``.
    """
    return re.sub(r"[\s_-]+", "", word[:100].casefold().replace("+", "plus"))


def _closest(word: str, known: Sequence[str]) -> list[str]:
    """Return the known word that is most like another, if one is."""
    by_plain = {plain(each): each for each in known}
    close = difflib.get_close_matches(plain(word), list(by_plain), n=1, cutoff=0.6)
    return [by_plain[each] for each in close]


def sentence(error: ErrorDetails, path: Path, owner: Any) -> str:  # noqa: PLR0911 -- one rule a line
    """State rule and value of what pydantic found at the last key of a path, one of its owner's."""
    kind, value, context = error["type"], error.get("input"), error.get("ctx", {})
    if kind in ("unexpected_keyword_argument", "extra_forbidden"):
        return f"unknown key; {_nearest_key(path, owner)}"
    if kind == "missing":
        return f"missing; it is required ({_wanted(owner, str(path[-1]))})"
    if kind in _COMPARISONS:
        sign, name = _COMPARISONS[kind]
        bound = context[name]
        shown = str(bound) if isinstance(bound, int) else f"{bound:g}"
        return f"must be {sign} {shown}, got {_show(value)}"
    if kind == "literal_error":
        return f"must be one of {context['expected']}, got {_show(value)}{_meant(value, context)}"
    if kind == "string_pattern_mismatch":
        return f"{NAME_RULE}, got {_show(value)}"
    if kind in _WANTED:
        return f"must be {_WANTED[kind]}, got {_show(value)}{_hint(kind, value)}"
    if kind == "too_long":
        return f"must have at most {context['max_length']} items, got {context['actual_length']}"
    if kind == "too_short":
        return f"must have at least {context['min_length']} item, got {context['actual_length']}"
    return f"{error['msg'][0].lower()}{error['msg'][1:]}, got {_show(value)}"


def _meant(value: object, context: Mapping[str, Any]) -> str:
    """Say which of a few words is meant by one that is written in another way."""
    known = re.findall("'([^']*)'", str(context["expected"]))
    close = _closest(value, known) if isinstance(value, str) else []
    return f"; did you mean {close[0]!r}?" if close else ""


def _nearest_key(path: Path, owner: Any) -> str:
    """State which key is meant by an unknown one."""
    *above, key = path
    if key == PRESET:
        return f"{PRESET} stands at the top of the file, see airtune list presets"
    if homes := homes_of(str(key), owner):
        return f"it stands in {' or '.join(homes)}"
    known = [item.name for item in dataclasses.fields(owner)]
    return nearest(str(key), known if above else [*known, PRESET])


def _wanted(owner: Any, name: str) -> str:
    """State what a missing key would hold, from its type."""
    names = {float: "a number", int: "a whole number", str: "text"}
    bare = bare_type(type_hints(owner)[name])
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
    return one_line(text, MAX_SHOWN)


def _unclear_members(data: Any, here: Any, path: Path) -> Iterator[tuple[Path, str]]:
    """Find unions whose member cannot be told, before their branches are looked at.

    A tag is missing or unknown, or keys of two forms stand beside each other.
    """
    if not isinstance(data, Mapping | list):
        return
    settings = settings_beside_mapping(here)
    if settings is not None and isinstance(data, Mapping):
        known = type_hints(settings)
        own = [key for key in data if key in known]
        others = [str(key) for key in data if key not in known]
        if own and others:
            text = f"must stand alone, got {one_line(', '.join(others), MAX_SHOWN)} beside it"
            yield (*path, own[0]), text
            return
    union = tagged_union(here)
    if union is not None and isinstance(data, Mapping):
        key, members = union
        tag = data.get(key)
        if key not in data:
            yield (*path, key), f"missing; it is one of {', '.join(members)}"
            return
        if not isinstance(tag, str):
            yield (*path, key), f"must be text, one of {', '.join(members)}; got {_show(tag)}"
            return
        here = member_of(members, tag)
        if here is None:
            yield (*path, key), f"unknown {key} {_show(tag)}; {nearest(str(tag), list(members))}"
            return
    if isinstance(data, Mapping):
        for key, value in data.items():
            yield from _unclear_members(value, child_type(here, key), (*path, key))
    elif isinstance(data, list):
        for index, value in enumerate(data):
            yield from _unclear_members(value, child_type(here, index), (*path, index))


def _locate(location: tuple[int | str, ...], data: Any, root: Any) -> tuple[Path, Any] | None:
    """Walk schema and data together; give the path in the file and the owner of its last key.

    pydantic puts the name of the branch of a union into a location; the file has no such level.
    None for an error in a branch that the data do not choose, by tag or by form.
    """
    path: list[str | int] = []
    here, owner = root, root
    for step in location:
        union = tagged_union(here)
        if union is not None:
            key, members = union
            tag = data.get(key) if isinstance(data, Mapping) else None
            chosen = member_of(members, tag)
            # What is no mapping at all has no tag, and is told as such.
            if isinstance(data, Mapping) and (chosen is None or chosen.__name__ != step):
                return None
            here = chosen
            continue
        form = form_of(here, data)
        if form is not None:
            here, name = form
            if dataclasses.is_dataclass(here) != (step == name):
                return None
            continue
        if not (isinstance(data, Mapping | list) and is_container(here)):
            break
        owner, here = bare_type(here), child_type(here, step)
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
