"""Settings of a user's own class stand beside ``kind`` in a file: ``{kind: mine.py:Mine, num: 4}``.

The dataclass of such a class has them in one mapping: what is no field of its own goes there when a
file is read, and comes out again when one is written.
"""

# ruff: noqa: ANN401 -- plain data of a file and the types of a schema are of any type
from collections.abc import Mapping
from typing import Any

from fl.methods.own import OwnConfig
from fl.policies.own import OwnPolicyConfig
from fl.rewards.config import OwnReward
from scenarios.unions import bare_type, child_type, member_of, tagged_union, type_hints

MAPPING = "settings"
"""Field that holds them."""
OPEN: tuple[type, ...] = (OwnConfig, OwnPolicyConfig, OwnReward)
"""Dataclasses of users' own classes."""


def gather(data: Any, here: Any) -> Any:
    """Return plain data of a file in the form of its dataclasses.

    Parameters
    ----------
    data
        Plain data.
    here
        Its type.
    """
    if isinstance(data, list):
        return [gather(item, child_type(here, index)) for index, item in enumerate(data)]
    if not isinstance(data, Mapping):
        return data
    here = _member(here, data)
    found = {key: gather(value, child_type(here, key)) for key, value in data.items()}
    if here not in OPEN:
        return found
    own = type_hints(here).keys() - {MAPPING}
    others = {key: value for key, value in found.items() if key not in own}
    return {key: found[key] for key in found if key in own} | {MAPPING: others}


def spread(data: Any, here: Any) -> Any:
    """Return plain data of dataclasses as a file has them; :func:`gather` undoes it."""
    if isinstance(data, list | tuple):
        return [spread(item, child_type(here, index)) for index, item in enumerate(data)]
    if not isinstance(data, Mapping):
        return data
    here = _member(here, data)
    if here in OPEN:
        return {key: data[key] for key in data if key != MAPPING} | dict(data[MAPPING])
    return {key: spread(value, child_type(here, key)) for key, value in data.items()}


def open_schema(schema: dict[str, Any]) -> None:
    """Let a JSON schema take any key beside the fields of a user's own class, in place."""
    for each in OPEN:
        told = schema["$defs"].get(each.__name__)
        if told is not None:
            told["properties"].pop(MAPPING, None)
            told["additionalProperties"] = True


def _member(here: Any, data: Mapping[str, Any]) -> Any:
    union = tagged_union(here)
    return bare_type(here) if union is None else member_of(union[1], data.get(union[0]))
