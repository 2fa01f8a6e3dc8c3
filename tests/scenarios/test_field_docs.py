"""Every key of a scenario has its description in the schema, wherever its field is defined.

The keys that tell classes apart (kind, mode) may do without.
"""

from dataclasses import dataclass

from scenarios.field_docs import field_docs, setting_classes
from scenarios.schema import Scenario, json_schema


@dataclass
class Above:
    """A class that others inherit from."""

    near: int
    """Near, above."""
    far: int = 1
    """Far,
    on two lines."""
    silent: int = 2


@dataclass
class Below(Above):
    """Inherits."""

    near: int
    """Near, below."""
    own: tuple[Above, ...] = ()
    """Own."""


def test_the_nearest_class_describes_a_field():
    assert field_docs(Below) == {
        "near": "Near, below.",
        "far": "Far,\non two lines.",
        "own": "Own.",
    }


def test_classes_are_found_at_any_depth():
    assert setting_classes(Below) == {"Below": Below, "Above": Above}
    assert {"FilesData", "HubData", "FeditConfig"} <= setting_classes(Scenario).keys()


def test_every_key_of_the_schema_is_described():
    schema = json_schema()
    silent = [
        f"{name}.{key}"
        for name, definition in [("Scenario", schema), *schema["$defs"].items()]
        for key, told in definition.get("properties", {}).items()
        if key not in {"kind", "mode"} and not told.get("description")
    ]
    assert not silent
