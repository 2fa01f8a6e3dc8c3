"""The reference of scenario files, from their JSON schema: a page for each key at the top."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from scenarios.schema import json_schema
from scenarios.unions import TAGS
from tools.site.markdown import definition, escaped, paragraphs

Schema = Mapping[str, Any]

INTRODUCTION = """\
# Scenario reference

A scenario is one YAML file. Floats carry their unit in the name of the key. A key that does not
exist, or that has no effect, is an error. `airtune new FILE` writes a file with every key;
`airtune validate FILE` checks one. This reference is made from the schema that the program itself
reads ({download}`scenario.schema.json`), which `airtune schema` prints for editors.

"""


def pages() -> dict[str, str]:
    """Return the pages by their path below the folder of the reference."""
    schema = json_schema()
    properties: Mapping[str, Schema] = schema["properties"]
    required = schema["required"]
    entries, sections = [], []
    found = {}
    for key, told in properties.items():
        page = _Page(schema["$defs"])
        text = page.write(key, told)
        term = f"`{key}`"
        if text is not None:
            found[f"{key}.md"] = text
            sections.append(key)
            term = f"[`{key}`]({key}.md)"
        entries.append(_entry(term, told, is_required=key in required, known=schema["$defs"]))
    tree = "\n".join(["```{toctree}", ":hidden:", "", *sections, "```", ""])
    found["index.md"] = INTRODUCTION + "\n".join(entries) + "\n" + tree
    found["scenario.schema.json"] = json.dumps(schema, indent=2) + "\n"
    return found


class _Page:
    """One key at the top of a scenario, and all that lies below it."""

    def __init__(self, known: Mapping[str, Schema]) -> None:
        self._known = known
        self._written: set[tuple[str, tuple[str, ...]]] = set()

    def write(self, key: str, told: Schema) -> str | None:
        """Return the page of a key; ``None`` if no keys lie below it."""
        names = _classes(told)
        if not names:
            return None
        text = escaped(_description(told))
        return f"# `{key}`\n\n{text}\n\n" + "\n".join(self._classes(key, names))

    def _classes(self, path: str, names: Sequence[str]) -> Iterator[str]:
        """Write the classes that may stand at a path, then what lies below them."""
        tagged = len(names) > 1
        for name in names:
            schema = self._known[name]
            if tagged:
                yield f"## `{path}`: {_title(name, schema)}\n"
                yield from (f"{escaped(part)}\n" for part in paragraphs(_description(schema)))
            yield from self._entries(schema)
        for name in names:
            for key, told in self._known[name].get("properties", {}).items():
                below = f"{path}.{key}"
                inner = tuple(_classes(told))
                if not inner or (below, inner) in self._written:
                    continue
                self._written.add((below, inner))
                if len(inner) == 1:
                    yield f"## `{below}`\n"
                    yield f"{escaped(_description(self._known[inner[0]]))}\n"
                yield from self._classes(below, inner)

    def _entries(self, schema: Schema) -> Iterator[str]:
        required = schema.get("required", [])
        properties: Mapping[str, Schema] = schema.get("properties", {})
        if not properties:
            yield "It has no keys.\n"
        tags = [key for key in TAGS if "const" in properties.get(key, {})]
        for key in [*tags, *(key for key in properties if key not in tags)]:
            yield _entry(
                f"`{key}`", properties[key], is_required=key in required, known=self._known
            )


def _entry(term: str, told: Schema, *, is_required: bool, known: Mapping[str, Schema]) -> str:
    parts = [_type(told, known)]
    if is_required:
        parts.append("required")
    elif "default" in told:
        parts.append(f"default `{_value(told['default'])}`")
    head = f"*{'; '.join(parts)}*" if "`" not in "".join(parts) else "; ".join(parts)
    return definition(term, [head, *map(escaped, paragraphs(_description(told)))])


def _type(told: Schema, known: Mapping[str, Schema]) -> str:  # noqa: PLR0911 -- a case a form
    """Say in words what may stand there."""
    if "const" in told:
        return f"`{told['const']}`"
    if "enum" in told:
        return "one of " + ", ".join(f"`{_value(each)}`" for each in told["enum"])
    if "anyOf" in told:
        kinds = [f"`{tag}`" for each in told["anyOf"] if (tag := _tag(each, known))]
        others = [_type(each, known) for each in told["anyOf"] if not _tag(each, known)]
        if kinds:
            others.insert(0, f"section of kind {', '.join(kinds)}")
            others = [each.replace("section of kind `path", "`path") for each in others]
        return " or ".join(dict.fromkeys(others))
    if "$ref" in told:
        inner = known[told["$ref"].rpartition("/")[2]].get("properties", {})
        is_own = "kind" in inner and "const" not in inner["kind"]
        return "section of kind `path.py:Class`" if is_own else "section"
    kind = told.get("type", "any value")
    if kind == "array":
        items = told.get("items", {})
        return _bounded(f"list of {_type(items, known)}", told, "minItems", "maxItems")
    if kind == "object":
        values = told.get("additionalProperties")
        inner = f" to {_type(values, known)}" if isinstance(values, Mapping) and values else ""
        return f"mapping of names{inner}"
    if kind == "null":
        return "none"
    words = {"integer": "whole number", "boolean": "true or false", "string": "text"}
    return _bounded(words.get(kind, str(kind)), told, "minimum", "maximum")


def _bounded(text: str, told: Schema, low: str, high: str) -> str:
    signs = {low: "≥", high: "≤", "exclusiveMinimum": ">", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {_value(told[key])}" for key, sign in signs.items() if key in told]
    unit = " entries" if low == "minItems" and bounds else ""
    return f"{text} {', '.join(bounds)}{unit}".rstrip().replace("<", "\\<").replace(">", "\\>")


def _classes(told: Schema) -> list[str]:
    """Return the names of all classes that may stand at a key, also as items of a list."""
    options = [told, *told.get("anyOf", [])]
    found = [each["$ref"].rpartition("/")[2] for each in options if "$ref" in each]
    for inner in (told.get("items"), told.get("additionalProperties")):
        if isinstance(inner, Mapping):
            found += _classes(inner)
    for each in told.get("anyOf", []):
        if "$ref" not in each:
            found += _classes(each)
    return list(dict.fromkeys(found))


def _tag(told: Schema, known: Mapping[str, Schema]) -> str | None:
    if "$ref" not in told:
        return None
    properties = known[told["$ref"].rpartition("/")[2]].get("properties", {})
    tags = [properties[key]["const"] for key in TAGS if "const" in properties.get(key, {})]
    return tags[0] if tags else None


def _title(name: str, schema: Schema) -> str:
    properties = schema.get("properties", {})
    tags = [key for key in TAGS if "const" in properties.get(key, {})]
    return f"{tags[0]} `{properties[tags[0]]['const']}`" if tags else f"`{name}`"


def _description(told: Schema) -> str:
    return str(told.get("description", ""))


def _value(value: object) -> str:
    return json.dumps(value) if not isinstance(value, str) else value
