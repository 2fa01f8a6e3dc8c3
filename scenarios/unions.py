"""Types of the schema, walked beside the data: what may stand at a path, and under which tag.

A union of dataclasses is told apart by a literal field, its tag: ``kind``, ``source`` or ``mode``.
"""

# ruff: noqa: ANN401 -- plain data of a file and the types of a schema are of any type
import dataclasses
import types
from collections.abc import Sequence
from functools import cache
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from fl.own_code import OWN_KIND, names_a_class

TAGS = ("kind", "source", "mode")
"""Fields that tell the members of a union apart, in design order."""


def find_foreign(root: type, data: Any, path: Sequence[str | int], tag: object) -> list[str]:
    """Name the keys beside another one that have no place any more once that has a new value.

    That is so beside a tag, and beside a key of another form, see :func:`settings_beside_mapping`.

    Parameters
    ----------
    root
        Dataclass of the whole of ``data``.
    data
        Plain data in which the key still has its old value.
    path
        Where the key stands.
    tag
        Its new value.

    Returns
    -------
    list of str
        In the order of the data. Empty when the key tells no members of a union apart, and for a
        tag whose value stays or that no member has.
    """
    *above, last = path
    here: Any = root
    for step in above:
        union = tagged_union(here)
        if union is not None and isinstance(data, dict):
            here = member_of(union[1], data.get(union[0]))
        here = child_type(here, step)
        if isinstance(data, dict):
            data = data.get(step)
        elif isinstance(data, list) and isinstance(step, int) and step < len(data):
            data = data[step]
        else:
            return []
    if not isinstance(data, dict):
        return []
    settings = settings_beside_mapping(here)
    if settings is not None:
        own = type_hints(settings)
        return [key for key in data if (key in own) != (last in own)]
    union = tagged_union(here)
    if union is None or union[0] != last:
        return []
    members = union[1]
    member = member_of(members, tag)
    if member is None or data.get(last) == tag:
        return []
    known = {item.name for item in dataclasses.fields(member)}
    return [key for key in data if key not in known]


def member_of(members: dict[Any, type], tag: object) -> type | None:
    """Return the member of a union that a tag chooses, or None; ``path.py:Class`` is a tag, too."""
    if not isinstance(tag, str) or tag == OWN_KIND:
        return None
    return members.get(OWN_KIND if names_a_class(tag) else tag)


def form_of(here: Any, data: Any) -> tuple[Any, str] | None:
    """Return which member of a union without a tag plain data are meant as.

    Only of unions of one dataclass with other forms, such as a number: a mapping is meant as the
    dataclass, unless another member is a mapping as well and the data have none of its keys.

    Returns
    -------
    tuple of type and str, or None
        The member, and the name of the dataclass; ``None`` for any other type.
    """
    while get_origin(here) is Annotated:
        here = get_args(here)[0]
    members = _members(here)
    settings = [each for each in members if isinstance(each, type) and _is_settings(each)]
    if len(members) < 2 or len(settings) != 1:
        return None
    (own,) = settings
    others = [member for member in members if member is not own]
    if not isinstance(data, dict):
        return others[0], own.__name__
    mappings = [each for each in others if get_origin(bare_type(each)) is dict]
    is_other = bool(mappings) and not type_hints(own).keys() & data.keys()
    return mappings[0] if is_other else own, own.__name__


def settings_beside_mapping(here: Any) -> type | None:
    """Return the dataclass of a union whose other form is a mapping with keys of any name."""
    while get_origin(here) is Annotated:
        here = get_args(here)[0]
    members = _members(here)
    settings = [each for each in members if isinstance(each, type) and _is_settings(each)]
    has_mapping = any(get_origin(bare_type(each)) is dict for each in members)
    return settings[0] if has_mapping and len(settings) == 1 else None


def homes_of(key: str, owner: type) -> list[str]:
    """Name the keys of a dataclass below which a key may stand; tags may stand below most."""
    if key in TAGS:
        return []
    return [
        name
        for name, here in type_hints(owner).items()
        if any(key in type_hints(each) for each in _settings_within(here))
    ]


def _settings_within(here: Any) -> list[type]:
    """Return the dataclasses that a value of a type may be, or its items if it is a list."""
    if isinstance(here, type) and _is_settings(here):
        return [here]
    inner = () if get_origin(here) in (dict, Literal) else get_args(here)
    return [found for each in inner for found in _settings_within(each)]


def _is_settings(kind: type) -> bool:
    return dataclasses.is_dataclass(kind)


def is_container(here: Any) -> bool:
    """Whether values of a type have children: a dataclass, a list or a mapping."""
    bare = bare_type(here)
    return dataclasses.is_dataclass(bare) or get_origin(bare) in (tuple, list, dict)


def child_type(here: Any, step: str | int) -> Any:
    """Return the type of a key of a dataclass, of a list's items or a mapping's values, or None."""
    bare = bare_type(here)
    if dataclasses.is_dataclass(bare) and isinstance(bare, type):
        return type_hints(bare).get(str(step))
    arguments = get_args(bare)
    if get_origin(bare) in (tuple, list):
        return arguments[0]
    return arguments[1] if get_origin(bare) is dict else None


@cache
def type_hints(kind: type) -> dict[str, Any]:
    """Return the types of a dataclass's fields by name, annotations kept; read once a class."""
    return get_type_hints(kind, include_extras=True)


def bare_type(here: Any) -> Any:
    """Strip annotations and an optional None from a type."""
    while get_origin(here) is Annotated:
        here = get_args(here)[0]
    members = _members(here)
    return bare_type(members[0]) if len(members) == 1 else here


def _members(here: Any) -> list[Any]:
    if get_origin(here) not in (Union, types.UnionType):
        return []
    return [member for member in get_args(here) if member is not type(None)]


def tagged_union(here: Any) -> tuple[str, dict[Any, type]] | None:
    """Return tag key and members by tag of a union of dataclasses told apart by a literal field."""
    while get_origin(here) is Annotated:
        here = get_args(here)[0]
    members = _members(here)
    if len(members) < 2 or not all(dataclasses.is_dataclass(member) for member in members):
        return None
    for key in TAGS:
        tagged = {
            tag: member
            for member in members
            for tag in get_args(bare_type(type_hints(member).get(key)))
            if get_origin(bare_type(type_hints(member)[key])) is Literal
        }
        # A member whose tag is any text is that of a user's own class in a file.
        own = [member for member in members if bare_type(type_hints(member).get(key)) is str]
        if tagged:
            return key, tagged | dict.fromkeys([OWN_KIND] if own else [], *own)
    return None
