"""Types of the settings of a user's own class, as far as plain annotations tell them."""

import inspect
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Union

_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list",
    tuple: "a list",
    dict: "a mapping",
    type(None): "null",
}
"""What may stand in a scenario file, in its words."""


def argument_types(cls: type) -> Mapping[str, Any]:
    """Return the annotations of a class's arguments; none where they cannot be resolved."""
    try:
        return typing.get_type_hints(inspect.getattr_static(cls, "__init__"))
    except Exception:  # an annotation may be any expression of the user's
        return {}


def find_wrong_type(value: object, annotation: Any) -> str | None:  # noqa: ANN401
    """Return the rule that a value breaks; ``None`` where it fits or the annotation is not plain.

    Plain are ``bool``, ``int``, ``float`` (whole numbers included), ``str``, ``list``, ``tuple``,
    ``dict``, ``Sequence``, ``Mapping``, ``None``, ``Literal`` and unions of them. What a container
    holds is not looked at.

    Examples
    --------
    >>> find_wrong_type("four", int | None)
    'must be a whole number or null'
    """
    wanted = _words(annotation)
    return None if wanted is None or _fits(value, annotation) else f"must be {wanted}"


def _fits(value: object, annotation: Any) -> bool:  # noqa: ANN401
    """Return whether a value is of a plain type."""
    origin = typing.get_origin(annotation)
    if origin in (Union, types.UnionType):
        return any(_fits(value, each) for each in typing.get_args(annotation))
    if origin is Literal:
        return any(type(value) is type(a) and value == a for a in typing.get_args(annotation))
    bare = _bare(annotation)
    if bare in (int, float):
        return isinstance(value, int if bare is int else int | float) and type(value) is not bool
    if bare is tuple:
        return isinstance(value, tuple | list)
    return isinstance(value, bare)


def _words(annotation: Any) -> str | None:  # noqa: ANN401
    """Return a plain type in words; ``None`` for any other annotation."""
    origin = typing.get_origin(annotation)
    if origin in (Union, types.UnionType):
        parts = [_words(each) for each in typing.get_args(annotation)]
        known = [part for part in parts if part is not None]
        return " or ".join(known) if len(known) == len(parts) else None
    if origin is Literal:
        return "one of " + ", ".join(repr(each) for each in typing.get_args(annotation))
    return _WORDS.get(_bare(annotation))


def _bare(annotation: Any) -> Any:  # noqa: ANN401
    """Return the class of an annotation without what it holds."""
    bare = typing.get_origin(annotation) or annotation
    if bare is None:
        return type(None)
    if bare is Sequence:
        return list
    return dict if bare is Mapping else bare
