"""The JSON schema of scenario files for editors, and the line that leads an editor to it."""

import json
from pathlib import Path
from typing import Any

from scenarios.messages import PRESET
from scenarios.schema import RADIO_SECTIONS, json_schema

FILE_NAME = "airtune.schema.json"
"""Name of the schema beside a scenario file."""
LINE = f"# yaml-language-server: $schema={FILE_NAME}\n"
"""First line of a scenario file: the YAML language server of editors reads it."""
MARK = "Written by airtune new; it is replaced when that is used again."


def editor_schema() -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of a scenario file as it is written by hand.

    It has what the schema of a resolved scenario lacks: the key ``preset``, and sections that a
    preset fills in, in which no key is required. What depends on several keys is only checked by
    ``airtune validate``.
    """
    schema = json_schema()
    definitions = schema["$defs"]
    for section in RADIO_SECTIONS:
        for option in schema["properties"][section]["anyOf"]:
            definitions.get(option.get("$ref", "").rpartition("/")[2], {}).pop("required", None)
    preset = {
        "type": "string",
        "description": "World and radio of a calibration case of 3GPP, by name; it gives what the "
        "sections world and radio leave out. airtune list presets shows the names.",
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$comment": MARK,
        **schema,
        "title": "Airtune scenario",
        "properties": {PRESET: preset, **schema["properties"]},
    }


def schema_text() -> str:
    """Return the schema as the text of a file."""
    return json.dumps(editor_schema(), indent=2) + "\n"


def write_beside(path: Path) -> Path | None:
    """Write the schema into the folder of a scenario file.

    Returns
    -------
    Path or None
        Where it is; ``None`` where a file of this name is somebody else's, which stays.

    Raises
    ------
    OSError
        It cannot be written.
    """
    place = path.parent / FILE_NAME
    if place.exists() and MARK not in place.read_text(encoding="utf-8", errors="replace"):
        return None
    place.write_text(schema_text(), encoding="utf-8")
    return place
