"""A scenario file with every key, its default and what it means: the start of one's own study."""

import json
import re
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

from scenarios.editor_schema import LINE
from scenarios.errors import ScenarioError
from scenarios.load import load
from scenarios.messages import NAME_RULE, PRESET
from scenarios.schema import NAME_PATTERN, json_schema, to_data
from scenarios.unions import TAGS

WIDTH = 100
EXAMPLE_PRESET = "uma_mmtc_700_isd500"
HEAD = f"""\
# A study: every key with its value and meaning. Keys that are commented out are not set; most
# others may be left out, their value here is then the default. Check it: airtune validate FILE

# World and radio of a calibration case of 3GPP by its name (airtune list presets). It gives what
# they leave out: delete below what it shall give.
# {PRESET}: {EXAMPLE_PRESET}
"""


def annotated_template(name: str) -> str:
    """Write the quickstart scenario in full, as the text of a file.

    Parameters
    ----------
    name
        Name of the new study.

    Raises
    ------
    ScenarioError
        If a study cannot have this name.
    """
    if not re.fullmatch(NAME_PATTERN, name):
        raise ScenarioError([f"name: {NAME_RULE}, got {name!r}: it is taken from the file's name"])
    data = {**to_data(load("quickstart")), "name": name}
    schema = json_schema()
    lines = _section(data, schema, schema["$defs"], depth=0)
    return LINE + HEAD + "\n".join(lines) + "\n"


def _section(
    data: Mapping[str, Any], schema: Mapping[str, Any], known: Mapping[str, Any], *, depth: int
) -> Iterator[str]:
    indent = "  " * depth
    tags = [key for key in TAGS if key in data]
    for key in [*tags, *(key for key in data if key not in tags)]:
        value, told = data[key], schema["properties"].get(key, {})
        options = [_resolve(option, known) for option in told.get("anyOf", [])]
        text = told.get("description", "")
        kinds = [tag for option in options for tag in _tags(option)]
        if kinds:
            text = f"{text} Kinds: {', '.join(kinds)}."
        if depth == 0:
            yield ""
        yield from (f"{indent}# {line}" for line in textwrap.wrap(text, WIDTH - 2 - len(indent)))
        if isinstance(value, dict) and value:
            sections = [each for each in options if "properties" in each]
            only = sections[0] if len(sections) == 1 else _resolve(told, known)
            chosen = next((each for each in sections if _fits(each, value)), only)
            if "properties" in chosen:
                lines = list(_section(value, chosen, known, depth=depth + 1))
                is_unset = all(line.lstrip().startswith("#") for line in lines)
                yield f"{indent}{'# ' if is_unset else ''}{key}:"
                yield from lines
                continue
        if isinstance(value, list) and value and isinstance(value[0], dict):
            yield f"{indent}{key}:"
            yield from (f"{indent}  - {_flow(item)}" for item in value)
            continue
        is_unset = value is None or value in ({}, [])
        yield f"{indent}{'# ' if is_unset else ''}{key}: {_flow(value)}"


def _resolve(schema: Mapping[str, Any], known: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    return schema if reference is None else known[reference.rpartition("/")[2]]


def _tags(schema: Mapping[str, Any]) -> list[str]:
    properties = schema.get("properties", {})
    return [properties[key]["const"] for key in TAGS if "const" in properties.get(key, {})]


def _fits(schema: Mapping[str, Any], value: Mapping[str, Any]) -> bool:
    tags = _tags(schema)
    return bool(tags) and tags[0] in (value.get(key) for key in TAGS)


def _flow(value: object) -> str:
    """Write a value as YAML on one line; JSON is YAML, but for numbers people like exponents."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, float) and value != 0 and not 1e-3 <= abs(value) < 1e5:
        mantissa, _, exponent = f"{value:.10e}".partition("e")
        return f"{float(mantissa):g}e{int(exponent)}"
    if isinstance(value, str) and value.replace("_", "").replace("-", "").isalnum():
        return value
    return json.dumps(value)
